package raft

import (
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Whoever follows a known leader has its proposer forward what waits, and asks it again only when there
// is a reason.
func TestFollowerForwards(t *testing.T) {
	c := newCluster(t, 1, 1, 2, 3)
	leader := c.elect()
	c.pass(100 * time.Millisecond)
	term := leader.group.Status().Term
	for _, id := range c.order {
		n := c.nodes[id]
		n.source.forwarded = nil
		n.group.Notify()
		n.group.Notify()
	}
	c.settle()
	for _, id := range c.order {
		n := c.nodes[id]
		switch calls := n.source.forwarded; {
		case n == leader && len(calls) != 0:
			t.Fatalf("the leader was asked to forward: %v", calls)
		case n != leader && (len(calls) != 1 || calls[0] != forwardedTo{term, leader.replica}):
			t.Fatalf("replica %d was asked to forward %v, want once to %d in term %d", id, calls, leader.replica, term)
		}
	}
}

// What could not be sent is asked for again at ticks, not in a loop.
func TestForwardAgainAtTicks(t *testing.T) {
	c := newCluster(t, 1, 1, 2, 3)
	leader := c.elect()
	follower := c.nodes[1+leader.replica%3]
	follower.source.forwardAgain = true
	follower.group.Notify()
	c.settle()
	before := len(follower.source.forwarded)
	c.pass(500 * time.Millisecond)
	asked := len(follower.source.forwarded) - before
	if asked < 8 || asked > 40 {
		t.Fatalf("asked %d times in 10 ticks", asked)
	}
	follower.source.forwardAgain = false
	c.pass(50 * time.Millisecond)
	before = len(follower.source.forwarded)
	c.pass(500 * time.Millisecond)
	if asked := len(follower.source.forwarded) - before; asked != 0 {
		t.Fatalf("asked %d times though nothing waits", asked)
	}
}

// A new leader is offered what waits without another Notify.
func TestForwardToTheNextLeader(t *testing.T) {
	c := newCluster(t, 2, 1, 2, 3)
	old := c.elect()
	c.cut[old.replica] = true
	fresh := c.elect()
	for _, id := range c.order {
		n := c.nodes[id]
		if n == old || n == fresh {
			continue
		}
		want := forwardedTo{fresh.group.Status().Term, fresh.replica}
		if calls := n.source.forwarded; len(calls) == 0 || calls[len(calls)-1] != want {
			t.Fatalf("replica %d was asked %v, want %v", id, calls, want)
		}
	}
}

// The answer to a follower's read carries the stamp of the leader that gave it.
func TestReadCarriesStamp(t *testing.T) {
	c := newCluster(t, 3, 1, 2, 3)
	leader := c.elect()
	for _, id := range c.order {
		c.nodes[id].source.stamp = 1000 + int64(id)
	}
	for _, id := range c.order {
		n := c.nodes[id]
		c.pass(100 * time.Millisecond)
		p := n.group.StartRead()
		c.until("the read is served", func() bool { return done(p) })
		want := 1000 + int64(leader.replica)
		if n == leader {
			want = 0
		}
		if p.Err() != nil || p.Stamp() != want {
			t.Fatalf("replica %d: %v, stamp %d, want %d", id, p.Err(), p.Stamp(), want)
		}
	}
}

// The late answer of a former leader, which does not count, does not give its stamp to one that does.
func TestStampOfAFormerLeader(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	leader := w.leader()
	follower, former := w.others(leader)
	leader.source.stamp = 1000
	late := &pb.Message{
		Type: pb.MsgReadIndexResp.Enum(), From: new(uint64(former.replica)), To: new(uint64(follower.replica)),
		Term: new(uint64(leader.group.Status().Term) - 1), Index: new(uint64(1)),
		Entries: []*pb.Entry{{Data: readRound{}.encode()}}, Context: []byte{7, 0, 0, 0, 0, 0, 0, 0},
	}
	w.until("rest", func() bool { return len(w.wire) == 0 })
	p := follower.group.StartRead()
	came := false
	w.hold = func(l letter) bool {
		if came || l.to != follower.replica || l.message.GetType() != pb.MsgReadIndexResp {
			return false
		}
		came = true // both in one turn
		for _, m := range []*pb.Message{l.message, late} {
			if err := follower.host.Receive(l.group, ReplicaID(m.GetFrom()), m); err != nil {
				t.Error(err)
			}
		}
		return true
	}
	w.until("the read is served", func() bool { return done(p) })
	if p.Err() != nil || p.Stamp() != 1000 || !came {
		t.Fatalf("%v, stamp %d, want 1000", p.Err(), p.Stamp())
	}
}

// A replica is told once that its replay is over, wherever it stands.
func TestCaughtUpIsToldOnce(t *testing.T) {
	c := newCluster(t, 4, 1, 2, 3)
	c.elect()
	c.pass(2 * time.Second)
	follower := c.nodes[1+c.leader().replica%3]
	follower.restart(0, follower.machine.clone())
	c.pass(time.Second)
	for _, id := range c.order {
		if told := c.nodes[id].machine.caughtUp; told != 1 {
			t.Errorf("replica %d was told %d times", id, told)
		}
	}
}

// A leader that holds a lease answers a peer's read without a round of its own; one that does not asks a majority.
func TestPeersReadUnderTheLease(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	leader := w.leader()
	follower, _ := w.others(leader)
	w.until("rest", func() bool { return len(w.wire) == 0 })
	ask := func() (asked, rounds int) {
		p := follower.group.StartRead()
		w.hold = func(l letter) bool {
			switch {
			case l.message.GetType() == pb.MsgReadIndex && l.from == follower.replica:
				asked++
			case l.message.GetType() == pb.MsgHeartbeat && len(l.message.GetContext()) > 0:
				rounds++
			}
			return false
		}
		w.until("the read is served", func() bool { return done(p) })
		w.hold = nil
		return asked, rounds
	}
	if asked, rounds := ask(); asked == 0 || rounds != 0 {
		t.Errorf("under a lease: asked %d times, %d messages of rounds", asked, rounds)
	}
	p := leader.group.StartReads(Reads{Mode: ReadByQuorum, Lease: DefaultReads.Lease})
	w.until("there are no leases", func() bool { return done(p) })
	if asked, rounds := ask(); asked == 0 || rounds == 0 {
		t.Errorf("without a lease: asked %d times, %d messages of rounds", asked, rounds)
	}
}
