package raft

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestAddLearnerToLoneVoter(t *testing.T) {
	n := newNode(t).found(1).start()
	start := n.machine.clone()
	n.settle()
	n.propose(1)
	p := n.group.StartConfChange(Change{AddLearner, 2})
	n.propose(2)
	n.settle()
	if !done(p) || p.Err() != nil {
		t.Fatalf("change: %v, %v", done(p), p.Err())
	}
	conf := confOf(t, n.machine.conf)
	if !slices.Equal(conf.Voters, []uint64{1}) || !slices.Equal(conf.Learners, []uint64{2}) {
		t.Fatalf("configuration %v", conf)
	}
	if len(n.machine.confs) != 1 || n.machine.confs[0] == 0 {
		t.Fatalf("configurations at %v", n.machine.confs)
	}
	wantIDs(t, n.machine, 1, 2)
	if !n.group.TryRead() {
		t.Fatal("the lone voter is not readable")
	}
	checkpoint := n.machine.clone()
	n.propose(3)
	n.settle()
	for name, from := range map[string]*machine{"replayed": start, "loaded": checkpoint} {
		n.restart(100, from.clone())
		n.settle()
		wantIDs(t, n.machine, 1, 2, 3)
		if conf := confOf(t, n.machine.conf); !slices.Equal(conf.Learners, []uint64{2}) {
			t.Fatalf("%s: configuration %v", name, conf)
		}
		if n.group.Status().Role != RoleLeader {
			t.Fatalf("%s: %+v", name, n.group.Status())
		}
	}
}

// A learner may apply and answer what the lone voter has committed and not yet applied.
func TestLoneVoterWithLearnerReadsOnlyWhatIsApplied(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.group.StartConfChange(Change{AddLearner, 2})
	n.settle()
	n.propose(1)
	shard, writer, applier := n.host.shards[0], n.host.writer, n.group.applier
	refused := false
	for range 20 {
		n.turn(shard, 1)
		n.turn(writer, 1)
		s := n.group.Status()
		if s.Commit > s.Applied {
			refused = true
			if n.group.TryRead() {
				t.Fatal("read before the committed entry is applied")
			}
		}
	}
	if !refused {
		t.Fatal("nothing was committed ahead of applied, the test shows nothing")
	}
	n.turn(applier, 1)
	if !n.group.TryRead() {
		t.Fatal("not readable once applied")
	}
}

func TestConfChangesRefused(t *testing.T) {
	cases := map[string]struct {
		changes []Change
		want    error
	}{
		"none":               {nil, ErrConfChangeInvalid},
		"reserved id":        {[]Change{{AddVoter, 0}}, ErrConfChangeInvalid},
		"unknown kind":       {[]Change{{9, 2}}, ErrConfChangeInvalid},
		"removal of itself":  {[]Change{{RemoveReplica, 1}}, ErrConfChangeInvalid},
		"demotion of itself": {[]Change{{AddLearner, 1}}, ErrConfChangeInvalid},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t).found(1).start()
			n.settle()
			p := n.group.StartConfChange(c.changes...)
			n.settle()
			if !done(p) || !errors.Is(p.Err(), c.want) {
				t.Fatalf("%v", p.Err())
			}
		})
	}
	t.Run("not serving yet", func(t *testing.T) {
		n := newNode(t).found(1).start()
		p := n.group.StartConfChange(Change{AddLearner, 2})
		n.host.shards[0].Turn()
		if !errors.Is(p.Err(), ErrNotLeader) {
			t.Fatalf("%v", p.Err())
		}
	})
	t.Run("one at a time", func(t *testing.T) {
		n := newNode(t).found(1).start()
		n.settle()
		first := n.group.StartConfChange(Change{AddLearner, 2})
		same := n.group.StartConfChange(Change{AddLearner, 3})
		n.host.shards[0].Turn()
		later := n.group.StartConfChange(Change{AddLearner, 4})
		n.settle()
		if first.Err() != nil || !errors.Is(same.Err(), ErrConfChangePending) ||
			!errors.Is(later.Err(), ErrConfChangePending) {
			t.Fatalf("%v, %v, %v", first.Err(), same.Err(), later.Err())
		}
	})
	t.Run("stopped", func(t *testing.T) {
		n := newNode(t).found(1).start()
		n.host.Stop()
		if err := n.group.StartConfChange(Change{AddLearner, 2}).Err(); !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
	})
}

// One voter becomes three, as an operator grows a node into a cluster. The newcomers begin with
// nothing and get the log from entry 2 on, since no checkpoint can be sent: they are given the
// founding one.
func TestGrowToThreeAndShrink(t *testing.T) {
	c := newCluster(t, 5, 1)
	first := c.elect()
	first.propose(1, 2, 3)
	c.settle()
	for _, id := range []ReplicaID{2, 3} {
		n := c.add(id)
		n.found(1).start()
		for _, change := range []Change{{AddLearner, id}, {AddVoter, id}} {
			p := first.group.StartConfChange(change)
			c.until("the change is applied", func() bool { return done(p) })
			if p.Err() != nil {
				t.Fatal(p.Err())
			}
		}
	}
	first.propose(4)
	c.until("all replicas equal", func() bool { return c.equal(4) })
	if first.group.TryRead() {
		t.Fatal("readable without asking, with three voters")
	}
	p := first.group.StartConfChange(Change{RemoveReplica, 2}, Change{AddLearner, 3})
	c.until("the joint change is applied", func() bool { return done(p) })
	c.until("the joint configuration is left", func() bool {
		conf := confOf(t, first.machine.conf)
		return len(conf.VotersOutgoing) == 0 && slices.Equal(conf.Voters, []uint64{1}) &&
			slices.Equal(conf.Learners, []uint64{3})
	})
	first.propose(5)
	c.settle()
	wantIDs(t, first.machine, 1, 2, 3, 4, 5)
	c.until("readable alone", first.group.TryRead)
}

// A change that was proposed by a leader which lost its place is known not to have happened.
func TestConfChangeOfDeposedLeader(t *testing.T) {
	c := newCluster(t, 6, 1, 2, 3)
	old := c.elect()
	c.cut[old.replica] = true
	p := old.group.StartConfChange(Change{AddLearner, 9})
	c.pass(100 * time.Millisecond)
	c.elect().propose(1)
	c.pass(time.Second)
	if done(p) {
		t.Fatalf("resolved while nothing is known: %v", p.Err())
	}
	c.cut[old.replica] = false
	c.until("the change is resolved", func() bool { return done(p) })
	if !errors.Is(p.Err(), ErrNotApplied) {
		t.Fatal(p.Err())
	}
}
