package integration

import (
	"testing"
)

// TestFleetFollowerAway: a follower that was away for so long that the others' logs do not reach back to what it has
// gets a checkpoint, while clients go on.
func TestFleetFollowerAway(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false, "--checkpoint-after", "4MiB")
	c := startCrowd(t, f, "w", rng)
	c.await(200)
	f.keepAway(c, f.follower(rng))
	c.await(200)
	c.settle(f.nodes...)
}

// TestFleetNodeReplaced replaces a follower, which runs, and then the leader by new nodes, while clients go on; a third
// new node takes the place of one that is lost. What the new ones have, they have from the others.
func TestFleetNodeReplaced(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	c.await(200)
	f.replace(c, f.follower(rng))
	f.replace(c, f.leader())
	lost := f.follower(rng)
	f.nodes[lost].kill()
	f.replaceLost(c, lost)
	c.await(200)
	c.settle(f.nodes...)
}
