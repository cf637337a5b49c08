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
	for _, cut := range []struct {
		name    string
		in, out bool
	}{{"both", true, true}, {"in", true, false}, {"out", false, true}} {
		t.Run(cut.name, func(t *testing.T) {
			c := startCrowd(t, f, cut.name, rng)
			c.await(100)
			lead := f.leader()
			others := f.except(lead)
			f.net.isolate(lead, cut.in, cut.out)
			eventually(t, 10*time.Second, "the others have another leader", func() bool {
				a, errA := others[0].state()
				b, errB := others[1].state()
				return errA == nil && errB == nil && (a.leads || b.leads) && a.leader == b.leader
			})
			c.await(100)
			eventually(t, 10*time.Second, "the old leader knows that it does not lead", func() bool {
				s, err := f.nodes[lead].state()
				return err == nil && !s.leads
			})
			f.net.heal()
			f.serves(startTimeout, f.nodes...)
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
	end := time.Now().Add(4 * time.Second)
	for flaps := 0; time.Now().Before(end); flaps++ {
		lead := f.leader()
		other := (lead + 1 + rng.IntN(2)) % 3
		if ways := rng.IntN(3); ways != 0 {
			f.net.cut(lead, other)
			if ways == 1 {
				f.net.cut(other, lead)
			}
		} else {
			f.net.cut(other, lead)
		}
		<-time.After(time.Duration(rng.Int64N(int64(600 * time.Millisecond))))
		f.net.heal()
		<-time.After(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
	}
	f.serves(startTimeout, f.nodes...)
	c.await(100)
	c.settle(f.nodes...)
}

// TestFleetWithoutQuorum: with two of three nodes cut off nobody is told anything, and as soon as a quorum is back
// there is service.
func TestFleetWithoutQuorum(t *testing.T) {
	f := startFleet(t, 3, true)
	f.nodes[0].wire(t).do(t, "SET", "k", "before")
	for i := range f.nodes {
		f.net.isolate(i, true, true)
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
