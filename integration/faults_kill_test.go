package integration

import (
	"testing"
)

// TestFleetKills: kill -9 of a follower and of the leader, under load.
func TestFleetKills(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	c.await(200)
	lead := f.leader()
	for _, victim := range []int{(lead + 1) % 3, lead} {
		f.killOne(c, victim)
		c.await(200)
	}
	f.serves(startTimeout, f.nodes...)
	c.settle(f.nodes...)
}

// TestFleetKilledWhole kills all nodes at once under load, and lets each of them be read as soon as its door is open
// again: nobody may see what was before the last write that was acknowledged.
func TestFleetKilledWhole(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	for range 2 {
		c.await(200)
		f.killAll()
	}
	c.await(100)
	c.settle(f.nodes...)
}
