package raft

import (
	"errors"
	"testing"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

func TestLoneVoterLeadsAtOnce(t *testing.T) {
	n := newNode(t).found(1).start()
	if n.group.TryRead() {
		t.Fatal("readable before any turn")
	}
	n.settle()
	s := n.group.Status()
	if s.Role != RoleLeader || s.Leader != 1 || s.Term != 2 || !s.Readable || s.Applied != 3 || s.Commit != 3 {
		t.Fatalf("status %+v", s)
	}
	if !n.group.TryRead() {
		t.Fatal("not readable")
	}
	if len(n.machine.leading) != 1 || n.machine.leading[0] != 2 {
		t.Fatalf("leading %v", n.machine.leading)
	}
}

func TestProposeApply(t *testing.T) {
	n := newNode(t).found(1).start()
	n.propose(1, 2, 3)
	n.settle()
	n.propose(4)
	n.settle()
	wantIDs(t, n.machine, 1, 2, 3, 4)
	for _, tag := range n.machine.tags {
		if tag != 2 {
			t.Fatalf("tags %v", n.machine.tags)
		}
	}
}

func TestRestartReplays(t *testing.T) {
	n := newNode(t).found(1).start()
	start := n.machine.clone()
	n.settle()
	n.propose(1, 2)
	n.settle()
	n.restart(0, start)
	n.settle()
	wantIDs(t, n.machine, 1, 2)
	if s := n.group.Status(); s.Term != 3 || s.Role != RoleLeader {
		t.Fatalf("status %+v", s)
	}
}

// Everything that happens between two turns is a place to crash at. What the state machine has
// applied before (that is, acknowledged) must be applied after, once and in order.
func TestRestartAtEveryTurn(t *testing.T) {
	for crashAt := 1; ; crashAt++ {
		n := newNode(t).found(1).start()
		rng := newRand(t, uint64(crashAt))
		checkpoint := n.machine.clone()
		turns, next := 0, uint64(1)
		finished := false
		for turns < crashAt {
			actors := n.host.Actors()
			actors[rng.IntN(len(actors))].Turn()
			turns++
			if turns%3 == 0 && next <= 40 {
				n.propose(next, next+1)
				next += 2
			}
			if turns == 50 {
				checkpoint = n.machine.clone()
				if err := n.group.Compact(checkpoint.applied); err != nil {
					t.Fatal(err)
				}
			}
			finished = n.machine.count() == 40
		}
		acked := n.machine.clone()
		n.restart(rng.IntN(n.log.unsynced()+1), checkpoint)
		n.settle()
		if got := n.machine.ids; len(got) < len(acked.ids) || !isPrefix(acked.ids, got) {
			t.Fatalf("crash at turn %d: acknowledged %v, after restart %v", crashAt, acked.ids, got)
		}
		for i, id := range n.machine.ids {
			if id != uint64(i+1) {
				t.Fatalf("crash at turn %d: applied %v", crashAt, n.machine.ids)
			}
		}
		if !n.group.TryRead() {
			t.Fatal("not readable after restart")
		}
		n.host.Stop()
		if finished || t.Failed() {
			return
		}
	}
}

func isPrefix(a, b []uint64) bool {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return false
		}
	}
	return true
}

// The commit index is written without a sync, so a lone voter may know less of it after a crash
// than it had acknowledged. Nothing may be read before an entry of the new term is applied.
func TestNoReadBeforeOwnTermEntry(t *testing.T) {
	n := newNode(t).found(1).start()
	start := n.machine.clone()
	n.settle()
	n.propose(1, 2, 3)
	n.settle()
	if n.log.unsynced() == 0 {
		t.Fatal("the last commit index was synced, the test shows nothing")
	}
	log := n.log
	for seed := range uint64(100) {
		rng := newRand(t, seed)
		n.log = log
		n.restart(0, start.clone())
		p := n.group.StartRead()
		for range 1000 {
			if readable := n.group.TryRead(); readable || done(p) {
				break
			}
			actors := n.host.Actors()
			actors[rng.IntN(len(actors))].Turn()
		}
		if n.machine.term != 3 {
			t.Fatalf("seed %d: read at term %d", seed, n.machine.term)
		}
		n.settle()
		if !done(p) || p.Err() != nil {
			t.Fatal("the read was not served")
		}
		wantIDs(t, n.machine, 1, 2, 3)
	}
}

// A learner's read index must not be answered earlier either.
func TestNoReadIndexForPeersBeforeOwnTermEntry(t *testing.T) {
	n := newNode(t).found(1).start()
	start := n.machine.clone()
	n.settle()
	n.group.StartConfChange(Change{AddLearner, 2})
	n.settle()
	n.propose(1)
	n.settle()
	var answers []*pb.Message
	n.net = sendFunc(func(m *pb.Message) {
		if m.GetType() == pb.MsgReadIndexResp {
			answers = append(answers, m)
		}
	})
	log := n.log
	for seed := range uint64(100) {
		rng := newRand(t, seed)
		answers, n.log = nil, log
		n.restart(0, start.clone())
		for range 100 {
			ask := message(pb.MsgReadIndex, func(m *pb.Message) {
				m.Term, m.Entries = nil, []*pb.Entry{{Data: []byte("context")}}
			})
			if err := n.host.Receive(testGroup, 2, ask); err != nil {
				t.Fatal(err)
			}
			actors := n.host.Actors()
			actors[rng.IntN(len(actors))].Turn()
		}
		n.settle()
		for _, m := range answers {
			if opened := n.log.LastIndex(testGroup) - 1; m.GetIndex() < opened { // SERVE comes after it
				t.Fatalf("seed %d: read index %d of %d", seed, m.GetIndex(), n.log.LastIndex(testGroup))
			}
		}
		if len(answers) == 0 {
			t.Fatal("no answer")
		}
	}
}

// A long absence is one tick, not many: it says nothing about the leader.
func TestAbsenceIsOneTick(t *testing.T) {
	n := newNode(t).found(1, 2, 3).start()
	n.settle()
	n.clock.Advance(time.Minute)
	n.settle()
	if n.group.ticks != 1 || n.group.Status().Role != RoleFollower {
		t.Fatalf("%d ticks, %+v", n.group.ticks, n.group.Status())
	}
}

// The log takes back only what it knows as committed, and the writer may be behind the worker.
func TestCompactBeforeCommitIsWritten(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.propose(1)
	shard, writer := n.host.shards[0], n.host.writer
	n.turn(shard, 1)
	n.turn(writer, 1)
	n.turn(shard, 1)
	n.turn(n.group.applier, 1)
	wantIDs(t, n.machine, 1)
	if n.log.hard(testGroup).Commit >= uint64(n.machine.applied) {
		t.Fatal("the commit index is written already, the test shows nothing")
	}
	n.group.storage.ring = newRing(n.group.storage.ring.next, 1)
	if err := n.group.Compact(n.machine.applied); err != nil {
		t.Fatal(err)
	}
	n.turn(writer, 1)
	if err := n.group.Compact(n.machine.applied); err != nil {
		t.Fatal(err)
	}
	known := n.group.node.BasicStatus().Applied
	if first := n.group.Status().First; first > Index(known)+1 {
		t.Fatalf("the log begins at %d, the library has applied %d", first, known)
	}
	n.settle()
	if err := n.group.Compact(n.machine.applied); err != nil {
		t.Fatal(err)
	}
	if s := n.group.Status(); s.First != s.Applied+1 {
		t.Fatalf("%+v", s)
	}
}

func TestAnswerToAnotherReadIsIgnored(t *testing.T) {
	g := newNode(t).found(1).start().group
	g.reads = readQueue{round: newPending(), issued: true, first: 5, seq: 7}
	q, process := &g.reads, g.host.process
	for name, context := range map[string][]byte{
		"a foreign one":          []byte("another"),
		"a former process'":      readRound{process: process + 1, seq: 6}.encode(),
		"one made before it was": readRound{process: process, seq: 4}.encode(),
	} {
		g.confirm(&etcdraft.ReadState{Index: 3, RequestCtx: context})
		if q.finish(9); q.round == nil || done(q.round) {
			t.Fatalf("resolved by an answer to another request: %s", name)
		}
	}
	p := q.round
	g.confirm(&etcdraft.ReadState{Index: 3, RequestCtx: readRound{process: process, seq: 6}.encode()})
	if q.finish(2); done(p) {
		t.Fatal("resolved before its index was applied")
	}
	if q.finish(3); !done(p) {
		t.Fatal("not resolved")
	}
}

func TestNoSpaceThenRecovery(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.log.noSpace = true
	n.propose(1)
	n.settle()
	n.pass(3 * noSpaceRetry)
	if n.fatal != nil || n.machine.count() != 0 {
		t.Fatalf("fatal %v, applied %v", n.fatal, n.machine.ids)
	}
	if at, ok := n.host.writer.WakeAt(); !ok || at <= n.clock.Boot() {
		t.Fatalf("writer wakes at %v, %v", at, ok)
	}
	if !n.group.TryRead() {
		t.Fatal("a full disk must not stop reads")
	}
	n.log.noSpace = false
	n.pass(2 * noSpaceRetry)
	n.propose(2)
	n.settle()
	wantIDs(t, n.machine, 1, 2)
}

func TestLogErrorIsFinal(t *testing.T) {
	faults := map[string]func(l *memLog){
		"sync":   func(l *memLog) { l.syncErr = errDisk },
		"append": func(l *memLog) { l.appendErr = errDisk },
	}
	for name, inject := range faults {
		t.Run(name, func(t *testing.T) {
			n := newNode(t).found(1).start()
			n.settle()
			inject(n.log)
			n.propose(1)
			n.settle()
			if !errors.Is(n.fatal, errDisk) {
				t.Fatalf("fatal: %v", n.fatal)
			}
			n.log.syncErr, n.log.appendErr = nil, nil
			n.propose(2)
			p := n.group.StartRead()
			n.pass(time.Second)
			if n.machine.count() != 0 || done(p) || n.group.TryRead() {
				t.Fatal("something was delivered after the failure")
			}
			n.host.Stop()
			if !errors.Is(p.Err(), ErrStopped) {
				t.Fatalf("read: %v", p.Err())
			}
		})
	}
}

func TestReadBackErrorIsFinal(t *testing.T) {
	n := newNode(t).found(1).start()
	start := n.machine.clone()
	n.settle()
	n.propose(1)
	n.settle()
	n.host.Stop()
	n.log, n.machine = n.log.crash(10), start
	n.log.readErr = errDisk
	n.start()
	n.settle()
	if !errors.Is(n.fatal, errDisk) {
		t.Fatalf("fatal: %v", n.fatal)
	}
}

func TestDroppedProposalsComeBack(t *testing.T) {
	n := newNode(t)
	n.limits.UncommittedBytesMax = 100
	n.found(1).start()
	n.settle()
	n.source.add(1, 80)
	n.group.Notify()
	shard, writer := n.host.shards[0], n.host.writer
	shard.Turn()
	n.source.add(2, 80)
	n.group.Notify()
	shard.Turn()
	if len(n.source.dropped) != 1 || payloadID(n.source.dropped[0]) != 2 {
		t.Fatalf("dropped %v", n.source.dropped)
	}
	writer.Turn()
	n.settle()
	wantIDs(t, n.machine, 1)
	n.propose(3)
	n.settle()
	wantIDs(t, n.machine, 1, 3)
}

// While two appends are under way nothing is taken; what comes meanwhile shares the next one.
func TestGroupCommit(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	syncs, before := n.log.syncs, len(n.log.records)
	shard := n.host.shards[0]
	for id := uint64(1); id <= 50; id++ {
		n.propose(id)
		shard.Turn()
	}
	if n.source.taken != 2 {
		t.Fatalf("%d payloads taken with the writer asleep", n.source.taken)
	}
	n.settle()
	if n.machine.count() != 50 {
		t.Fatalf("applied %d", n.machine.count())
	}
	if got := n.log.syncs - syncs; got > 2 {
		t.Errorf("%d syncs for 50 payloads", got)
	}
	t.Logf("%d syncs, %d records", n.log.syncs-syncs, len(n.log.records)-before)
}

func TestCommitIndexIsNotSynced(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	syncs := n.log.syncs
	n.propose(1)
	n.settle()
	if got := n.log.syncs - syncs; got != 1 {
		t.Fatalf("%d syncs for one entry", got)
	}
	if n.log.unsynced() != 1 {
		t.Fatalf("%d records unsynced, want the commit index", n.log.unsynced())
	}
}

func TestProposerIsWokenByTheClock(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.source.wake, n.source.wakeSet = n.clock.Boot()+35*time.Millisecond, true
	n.group.Notify()
	n.settle()
	n.source.add(1, 16)
	n.clock.Advance(30 * time.Millisecond)
	n.settle()
	if n.machine.count() != 0 {
		t.Fatal("taken too early")
	}
	at, _ := n.host.shards[0].WakeAt()
	if at != n.source.wake {
		t.Fatalf("shard wakes at %v, want %v", at, n.source.wake)
	}
	n.clock.Advance(5 * time.Millisecond)
	n.settle()
	wantIDs(t, n.machine, 1)
}

func TestLargeEntries(t *testing.T) {
	n := newNode(t)
	n.limits.RingBytes = 1 << 10
	n.limits.ApplyBytesMax = 1 << 10
	n.found(1).start()
	start := n.machine.clone()
	n.settle()
	for id := uint64(1); id <= 20; id++ {
		n.source.add(id, int(id%4)*2000)
	}
	n.group.Notify()
	n.settle()
	if n.machine.count() != 20 {
		t.Fatalf("applied %v", n.machine.ids)
	}
	if n.log.readsBack == 0 {
		t.Fatal("nothing was read back, the test shows nothing")
	}
	n.restart(0, start)
	n.settle()
	if n.machine.count() != 20 {
		t.Fatalf("applied %v after restart", n.machine.ids)
	}
}

// A slow state machine makes the proposer wait; nothing is refused and nothing is read back.
func TestSlowApplyHoldsProposals(t *testing.T) {
	n := newNode(t)
	n.limits.UnappliedBytesMax, n.limits.ProposalBytesMax = 1000, 100
	n.found(1).start()
	n.settle()
	for id := uint64(1); id <= 100; id++ {
		n.source.add(id, 100)
	}
	n.group.Notify()
	for range 100 {
		n.turn(n.host.shards[0], 1)
		n.turn(n.host.writer, 1)
	}
	if n.source.taken != 10 || len(n.source.dropped) != 0 {
		t.Fatalf("%d taken, %d dropped", n.source.taken, len(n.source.dropped))
	}
	n.settle()
	if n.machine.count() != 100 || n.log.readsBack != 0 {
		t.Fatalf("%d applied, %d reads", n.machine.count(), n.log.readsBack)
	}
}
