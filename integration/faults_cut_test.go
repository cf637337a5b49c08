package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// TestFleetLeaderCutOff cuts the leader off from the others: both ways, so that it hears nothing, and so that nobody
// hears it. Clients still reach all nodes.
func TestFleetLeaderCutOff(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, true)
	for _, cut := range ways {
		t.Run(cut.name, func(t *testing.T) {
			c := startCrowd(t, f, cut.name, rng)
			c.await(100)
			f.cutLeaderOff(c, cut.in, cut.out)
			c.settle(f.nodes...)
		})
	}
}

// TestFleetFlappingLink lets a link of the leader come and go.
func TestFleetFlappingLink(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, true)
	c := startCrowd(t, f, "w", rng)
	c.await(100)
	f.flap(4*time.Second, rng)
	c.await(100)
	c.settle(f.nodes...)
}

// TestFleetWithoutQuorum: with two of three nodes cut off nobody is told anything, and as soon as a quorum is back
// there is service.
func TestFleetWithoutQuorum(t *testing.T) {
	f := startFleet(t, 3, true)
	f.nodes[0].wire(t).do(t, "SET", "k", "before")
	for i := range f.nodes {
		f.isolate(i, true, true)
	}
	eventually(t, 10*time.Second, "no node leads", func() bool {
		for _, n := range f.nodes {
			if s, err := n.state(); err != nil || s.leads {
				return false
			}
		}
		return true
	})
	var asking sync.WaitGroup
	for i, n := range f.nodes {
		for _, line := range [][]string{{"GET", "k"}, {"SET", "k", fmt.Sprint("alone ", i)}} {
			asking.Go(func() {
				if a, err := n.ask(line...); err != nil || a.prefix() != "TRYAGAIN" && a.prefix() != "UNCERTAIN" {
					t.Errorf("without a quorum %q is answered by %q, %v", line, a.raw, err)
				}
			})
		}
	}
	asking.Wait()
	f.net.heal()
	f.serves(10*time.Second, f.nodes...)
}
