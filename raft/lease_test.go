package raft

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// newQuickWorld is a world without faults, in which messages take a millisecond.
func newQuickWorld(t *testing.T, p plant) *world { return newQuickWorldOf(t, 7, p) }

func newQuickWorldOf(t *testing.T, seed uint64, p plant) *world {
	w := newWorld(t, seed, p)
	w.delays = func() []time.Duration { return []time.Duration{time.Millisecond} }
	for _, id := range w.order {
		w.rates[id] = 1
		n := w.nodes[id]
		n.machine.charter.Reads = DefaultReads
		n.restart(0, n.machine.clone())
	}
	w.until("a leader", func() bool { return w.leader() != nil && w.leader().group.Status().Leased })
	return w
}

// until lets time pass without faults until a condition holds.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		w.run(5*time.Millisecond, false)
	}
	w.t.Fatalf("never: %s", what)
}

// others returns the replicas beside one.
func (w *world) others(n *node) (a, b *node) {
	rest := slices.DeleteFunc(slices.Clone(w.order), func(id ReplicaID) bool { return id == n.replica })
	return w.nodes[rest[0]], w.nodes[rest[1]]
}

// isolate cuts a replica off in both directions.
func (w *world) isolate(n *node) {
	for _, id := range w.order {
		w.cuts[[2]ReplicaID{id, n.replica}], w.cuts[[2]ReplicaID{n.replica, id}] = true, true
	}
}

func (w *world) sound() {
	w.t.Helper()
	if w.broken != "" {
		w.t.Fatal(w.broken)
	}
}

func TestLeaseEndsAloneAndSuccessorWaits(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	old := w.leader()
	until := old.group.view.Load().lease
	if left := until - old.clock.Boot(); left <= DefaultReads.Lease/2 || left > DefaultReads.Lease {
		t.Fatalf("the lease has %v left", left)
	}
	w.isolate(old)
	a, b := w.others(old)
	var fresh *node
	w.until("a successor", func() bool {
		if old.group.TryRead() != (old.clock.Boot() < until) {
			t.Fatal("the lease was prolonged, or ended early")
		}
		for _, n := range []*node{a, b} {
			if n.group.Status().Role == RoleLeader {
				fresh = n
			}
		}
		return fresh != nil
	})
	w.hold = func(letter) bool { return false }
	elected := fresh.group.tenure.electedAt
	w.until("the successor serves", func() bool {
		serves := len(fresh.source.terms) > 0
		if waited := fresh.clock.Boot() - elected; serves && waited < 370*time.Millisecond {
			t.Fatalf("served after %v", waited)
		}
		return fresh.group.TryRead()
	})
	w.sound()
}

// A peer's question is not answered during the wait, and is after it.
func TestNoReadIndexDuringTheWait(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	old := w.leader()
	w.isolate(old)
	a, b := w.others(old)
	fresh, peer := a, b
	w.until("a successor that waits", func() bool {
		if b.group.waits() {
			fresh, peer = b, a
		}
		return fresh.group.waits()
	})
	p, own := peer.group.StartRead(), fresh.group.StartRead()
	for fresh.group.waits() {
		w.run(5*time.Millisecond, false)
		if fresh.group.waits() && (done(p) || done(own)) {
			t.Fatal("answered during the wait")
		}
	}
	w.until("both are answered", func() bool { return done(p) && done(own) })
	w.sound()
}

// The answers to a leader's rounds are late, and meanwhile a transfer that it has given up succeeds
// by a late message. Whether the message comes in time to do anything is up to the seed.
func TestLateAnswersAndLateTimeoutNow(t *testing.T) {
	tests := []struct {
		plant  plant
		broken bool
	}{{noPlant, false}, {plantReceipt, true}, {plantNoWait, true}}
	for _, tt := range tests {
		t.Run(string(tt.plant), func(t *testing.T) {
			succeeded, broken := 0, ""
			for seed := uint64(1); seed <= 12 && broken == ""; seed++ {
				w := newQuickWorldOf(t, seed, tt.plant)
				if lateTimeoutNow(t, w) {
					succeeded++
					broken = w.broken
				}
			}
			if succeeded == 0 || (broken != "") != tt.broken {
				t.Fatalf("late messages with an effect: %d, broken: %q", succeeded, broken)
			}
		})
	}
}

// lateTimeoutNow reports whether the late message has made a leader.
func lateTimeoutNow(t *testing.T, w *world) bool {
	old := w.leader()
	next, _ := w.others(old)
	isType := func(l letter, kind pb.MessageType) bool { return l.message.GetType() == kind }
	w.hold = func(l letter) bool { return isType(l, pb.MsgTimeoutNow) }
	p := old.group.StartTransfer(next.replica)
	w.until("the transfer is given up", func() bool { return done(p) })
	if !errors.Is(p.Err(), ErrTransferFailed) {
		t.Fatal(p.Err())
	}
	w.until("a lease again", func() bool { return old.group.Status().Leased })
	w.hold = func(l letter) bool { return isType(l, pb.MsgTimeoutNow) || l.to == old.replica }
	w.run(150*time.Millisecond, false)
	w.hold = func(l letter) bool { return l.to == old.replica }
	w.run(250*time.Millisecond, false)
	if next.group.Status().Role != RoleLeader {
		return false
	}
	term := old.group.Status().Term
	w.hold = func(l letter) bool {
		return l.to == old.replica && Term(l.message.GetTerm()) > term
	}
	w.run(600*time.Millisecond, false)
	w.hold = nil
	w.run(time.Second, false)
	return true
}

func TestTransferSkipsTheWait(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	old := w.leader()
	next, third := w.others(old)
	began := w.now
	p := old.group.StartTransfer(next.replica)
	if q := old.group.StartTransfer(third.replica); !done(q) || !errors.Is(q.Err(), ErrTransferPending) {
		t.Fatal("two transfers at once")
	}
	w.until("the successor serves", func() bool { return next.group.announced() })
	if took := w.now - began; took > 150*time.Millisecond {
		t.Fatalf("took %v", took)
	}
	w.until("the transfer is resolved", func() bool { return done(p) })
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	w.until("a lease", func() bool { return next.group.Status().Leased })
	c := next.group.StartConfChange(Change{RemoveReplica, old.replica})
	w.until("the former leader is removed", func() bool { return done(c) })
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	w.sound()
}

func TestTransferFailsAndLeaseResumes(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	old := w.leader()
	next, _ := w.others(old)
	w.isolate(next)
	p := old.group.StartTransfer(next.replica)
	w.run(20*time.Millisecond, false)
	if s := old.group.Status(); s.Readable || s.Leased {
		t.Fatalf("a lease after the release: %+v", s)
	}
	w.until("the transfer is given up", func() bool { return done(p) })
	w.until("a lease again", func() bool { return old.group.Status().Leased })
	if !errors.Is(p.Err(), ErrTransferFailed) || old.group.Status().Role != RoleLeader {
		t.Fatalf("%v, %+v", p.Err(), old.group.Status())
	}
	w.sound()
}

func TestTransferRefused(t *testing.T) {
	w := newQuickWorld(t, noPlant)
	leader := w.leader()
	follower, _ := w.others(leader)
	tests := []struct {
		name string
		by   *node
		to   ReplicaID
		want error
	}{
		{"by a follower", follower, leader.replica, ErrNotLeader},
		{"to itself", leader, leader.replica, ErrTransferInvalid},
		{"to a stranger", leader, 9, ErrTransferInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.by.group.StartTransfer(tt.to)
			w.until("refused", func() bool { return done(p) })
			if err := p.Wait(context.Background()); !errors.Is(err, tt.want) {
				t.Fatal(err)
			}
		})
	}
}

// A change of the reads, or of the configuration, takes the lease away until it is applied; a round
// from before grants nothing.
func TestChangesTakeTheLease(t *testing.T) {
	tests := []struct {
		name  string
		start func(g *Group) *Pending
		lease bool // there is one afterwards
	}{
		{"a longer lease", func(g *Group) *Pending {
			return g.StartReads(Reads{ReadByLease, time.Second})
		}, true},
		{"reads by quorum", func(g *Group) *Pending {
			return g.StartReads(Reads{ReadByQuorum, time.Second})
		}, false},
		{"a learner", func(g *Group) *Pending { return g.StartConfChange(Change{AddLearner, 9}) }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newQuickWorld(t, noPlant)
			g := w.leader().group
			w.hold = func(l letter) bool { return l.to == w.leader().replica } // nothing is committed
			before := g.reads.seq
			p := tt.start(g)
			w.run(10*time.Millisecond, false)
			if g.TryRead() || done(p) {
				t.Fatal("a lease while the change is under way")
			}
			seq := g.reads.seq
			w.hold = nil
			w.until("the change is applied", func() bool { return done(p) })
			if p.Err() != nil || g.lease.barred < max(before, seq) {
				t.Fatalf("%v; rounds up to %d grant nothing, of %d", p.Err(), g.lease.barred, seq)
			}
			w.run(time.Second, false)
			if s := g.Status(); s.Leased != tt.lease {
				t.Fatalf("%+v", s)
			}
			w.sound()
		})
	}
}

func TestInvalidReads(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	for _, r := range []Reads{
		{}, {Mode: 9, Lease: time.Second}, {ReadByLease, time.Microsecond}, {ReadByLease, time.Hour},
	} {
		p := n.group.StartReads(r)
		n.settle()
		if !done(p) || !errors.Is(p.Err(), ErrReadsInvalid) {
			t.Fatalf("%v: taken", r)
		}
	}
}

// A lone voter waits for nobody if nobody but itself has served, and waits if another has.
func TestLoneVoterWaits(t *testing.T) {
	tests := []struct {
		name    string
		charter Charter
		waits   bool
	}{
		{"nobody has served", Charter{}, false},
		{"it has served alone", Charter{Serving: 1, Voters: []ReplicaID{1}}, false},
		{"it has served with others", Charter{Serving: 1, Voters: []ReplicaID{1, 2}}, true},
		{"another has served", Charter{Serving: 1, Voters: []ReplicaID{2}}, true},
		{"another, without leases", Charter{
			Serving: 1, Voters: []ReplicaID{2}, Reads: Reads{ReadByQuorum, time.Second},
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t).found(1)
			n.machine.charter = tt.charter
			n.start()
			n.settle()
			if waits := !n.group.TryRead(); waits != tt.waits {
				t.Fatalf("waits: %v", waits)
			}
			n.pass(400 * time.Millisecond)
			if !n.group.TryRead() {
				t.Fatal("does not serve")
			}
		})
	}
}

// The log of a group from before there were host entries goes on, and its payloads are payloads.
func TestOldLogGoesOn(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.propose(1, 2)
	n.settle()
	for i := range n.log.state[testGroup].entries {
		if e := &n.log.state[testGroup].entries[i]; len(e.Data) > 0 && e.Data[0] == hostMark {
			e.Data = nil
		}
	}
	n.host.Stop()
	seed, err := Founding(1)
	if err != nil {
		t.Fatal(err)
	}
	n.machine = &machine{t: t, applied: seed.Index, term: seed.Term, conf: seed.ConfState}
	n.start()
	n.settle()
	wantIDs(t, n.machine, 1, 2)
	if s := n.machine.charter; s.Serving != 3 || !slices.Equal(s.Voters, []ReplicaID{1}) || !n.group.TryRead() {
		t.Fatalf("%+v", s)
	}
}
