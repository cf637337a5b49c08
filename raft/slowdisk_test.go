package raft

import (
	"errors"
	"testing"
	"time"
)

// movesAway waits until another replica leads, and returns it and how long that took.
func (c *cluster) movesAway(old *node) (*node, time.Duration) {
	c.t.Helper()
	began := c.now
	c.until("another leads", func() bool { n := c.leader(); return n != nil && n != old })
	return c.leader(), c.now - began
}

// A leader whose disk stands still, or is full, gives the leadership away although it cannot write anything, and
// without a wait for leases.
func TestLeadershipLeavesASlowDisk(t *testing.T) {
	for _, full := range []bool{false, true} {
		for seed := uint64(1); seed <= 5; seed++ {
			c := newCluster(t, seed, 1, 2, 3)
			old := c.elect()
			c.pass(2 * time.Second)
			old.propose(1)
			c.until("all replicas equal", func() bool { return c.equal(1) })
			c.stuck[old.replica], old.log.noSpace = !full, full
			old.propose(2)
			fresh, took := c.movesAway(old)
			if took > 1100*time.Millisecond || !fresh.group.tenure.succeeds {
				t.Fatalf("seed %d, full %v: moved in %v, waits: %v", seed, full, took, !fresh.group.tenure.succeeds)
			}
			fresh.propose(3)
			c.until("applied by the others", func() bool { return fresh.machine.count() == 3 })
			c.stuck[old.replica], old.log.noSpace = false, false
			c.until("all replicas equal", func() bool { return c.equal(3) })
			wantIDs(t, old.machine, 1, 2, 3)
		}
	}
}

// It does so once in a while, not again and again.
func TestLeadershipLeavesASlowDiskSeldom(t *testing.T) {
	c := newCluster(t, 3, 1, 2, 3)
	old := c.elect()
	c.pass(2 * time.Second)
	c.stuck[old.replica] = true
	old.propose(1)
	fresh, _ := c.movesAway(old)
	moved := c.now
	c.stuck[old.replica] = false
	c.pass(time.Second)
	back := fresh.group.StartTransfer(old.replica)
	c.until("it leads again", func() bool { return done(back) && c.leader() == old })
	c.stuck[old.replica] = true
	old.propose(2)
	_, took := c.movesAway(old)
	if since := c.now - moved; since < giveAwayInterval || since > giveAwayInterval+2*time.Second {
		t.Fatalf("moved after %v, %v after the first time", took, since)
	}
}

// What is slow, but within bounds, changes nothing; nor does a disk that fails where the others cannot elect anybody.
func TestLeadershipStays(t *testing.T) {
	c := newCluster(t, 4, 1, 2, 3)
	leader := c.elect()
	c.pass(2 * time.Second)
	term := leader.group.Status().Term
	for id := uint64(1); id <= 20; id++ {
		c.stuck[leader.replica] = true
		leader.propose(id)
		c.pass(350 * time.Millisecond)
		c.stuck[leader.replica] = false
		c.settle()
	}
	if s := leader.group.Status(); s.Role != RoleLeader || s.Term != term {
		t.Fatalf("%+v", s)
	}

	c = newCluster(t, 5, 1, 2)
	leader = c.elect()
	c.pass(2 * time.Second)
	term = leader.group.Status().Term
	c.stuck[leader.replica] = true
	leader.propose(1)
	c.pass(3 * time.Second)
	if s := leader.group.Status(); s.Role != RoleLeader || s.Term != term {
		t.Fatalf("%+v", s)
	}
	c.stuck[leader.replica] = false
	c.until("all replicas equal", func() bool { return c.equal(1) })
}

// Nobody is there to take over a replica that has been cut off: nothing is begun.
func TestNoSuccessorWhoIsSilent(t *testing.T) {
	c := newCluster(t, 6, 1, 2, 3)
	leader := c.elect()
	c.pass(2 * time.Second)
	for _, id := range c.order {
		c.cut[id] = id != leader.replica
	}
	c.stuck[leader.replica] = true
	leader.propose(1)
	p := leader.group.StartConfChange(Change{AddLearner, 9})
	c.pass(3 * time.Second)
	if leader.group.transfer.order != nil {
		t.Fatal("a transfer to nobody")
	}
	c.stuck[leader.replica] = false
	clear(c.cut)
	c.until("decided", func() bool { return done(p) })
	if err := p.Err(); err != nil && !errors.Is(err, ErrNotApplied) {
		t.Fatal(err)
	}
}
