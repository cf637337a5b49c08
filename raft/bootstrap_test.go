package raft

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/wal"
)

func TestFounding(t *testing.T) {
	seed, err := Founding(3, 1, 2)
	if err != nil || seed.Index != 1 || seed.Term != 1 {
		t.Fatalf("%+v, %v", seed, err)
	}
	if got := confOf(t, seed.ConfState).Voters; len(got) != 3 || got[0] != 1 || got[2] != 3 {
		t.Fatalf("voters %v", got)
	}
	for name, voters := range map[string][]ReplicaID{"none": nil, "twice": {1, 1}, "reserved": {^ReplicaID(0)}} {
		if _, err := Founding(voters...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBootstrapOnlyOnce(t *testing.T) {
	n := newNode(t).found(1)
	seed, _ := Founding(1)
	if _, err := Bootstrap(n.log, testGroup, seed); !errors.Is(err, ErrGroupExists) {
		t.Fatal(err)
	}
	if n.log.unsynced() != 0 {
		t.Fatal("the seed is not durable")
	}
}

// What does not belong together is named in an error, where the library would panic.
func TestStateMustBelongTogether(t *testing.T) {
	log := func(first, count uint64, hard wal.HardState) *memLog {
		l := newMemLog()
		rec := wal.Record{Group: testGroup, HardState: hard,
			Snapshot: &wal.SnapshotMark{Index: first - 1, Term: 1}}
		for i := range count {
			rec.Entries = append(rec.Entries, wal.Entry{Term: 2, Index: first + i})
		}
		if err := l.Append(&rec); err != nil {
			t.Fatal(err)
		}
		return l
	}
	seed, _ := Founding(1)
	hard := wal.HardState{Term: 2, Vote: 1, Commit: 3}
	cases := map[string]struct {
		log     *memLog
		applied Index
		term    Term
		conf    []byte
		replica ReplicaID
		want    string
	}{
		"log unknown":           {newMemLog(), 5, 2, seed.ConfState, 1, "does not know the group"},
		"gap after the state":   {log(10, 3, hard), 5, 2, seed.ConfState, 1, "begins at entry 10"},
		"log ends before state": {log(2, 3, hard), 9, 2, seed.ConfState, 1, "lost entries"},
		"commit beyond the log": {log(2, 1, hard), 1, 1, seed.ConfState, 1, "3 was committed"},
		"terms differ":          {log(2, 3, hard), 3, 1, seed.ConfState, 1, "has term 2 in the log, 1"},
		"term of last entry": {log(2, 3, wal.HardState{Term: 1, Commit: 2}), 1, 1, seed.ConfState, 1,
			"last entry 2"},
		"configuration garbage":  {log(2, 3, hard), 1, 1, []byte("\xff\xff"), 1, "configuration"},
		"configuration no voter": {log(2, 3, hard), 1, 1, []byte{0x10, 2}, 1, "configuration"},
		"reserved replica":       {log(2, 3, hard), 1, 1, seed.ConfState, 0, "reserved"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.log, n.replica = c.log, c.replica
			n.machine = &machine{t: t, applied: c.applied, term: c.term, conf: c.conf}
			err := n.tryStart()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if c.want != "reserved" && !errors.Is(err, ErrGroupState) {
				t.Fatalf("error %v is no ErrGroupState", err)
			}
		})
	}
}

// Who joins a running group begins with nothing, and waits for the leader.
func TestJoinerBeginsEmpty(t *testing.T) {
	seed, _ := Founding(1)
	for name, onDisk := range map[string]bool{"memory": false, "disk": true} {
		n := newNode(t)
		if onDisk {
			n.disk = &disk{fs: vfs.NewMem(1), segment: segmentBytes}
			n.disk.open(t)
		}
		n.replica, n.machine = 2, &machine{t: t}
		n.start()
		n.pass(time.Second)
		if s := n.group.Status(); s.Role != RoleFollower || s.Term != 0 || s.Last != 0 {
			t.Fatalf("%s: %+v", name, s)
		}
		_, err := n.host.AddGroup(GroupConfig{
			ID: 8, Replica: 2, Applied: 1, AppliedTerm: 1, ConfState: seed.ConfState,
			StateMachine: n.machine, Proposer: n.source,
		})
		if !errors.Is(err, ErrGroupState) {
			t.Fatalf("%s: a group that the log does not know was added: %v", name, err)
		}
	}
}

// A checkpoint may be newer than the commit index that survived a crash.
func TestStateAheadOfCommit(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.propose(1, 2)
	n.settle()
	checkpoint := n.machine.clone()
	after := n.log.crash(0)
	if got := after.hard(testGroup).Commit; got >= uint64(checkpoint.applied) {
		t.Fatalf("commit %d survived, the test shows nothing", got)
	}
	n.restart(0, checkpoint)
	n.settle()
	n.propose(3)
	n.settle()
	wantIDs(t, n.machine, 1, 2, 3)
}

func TestCompact(t *testing.T) {
	n := newNode(t)
	n.limits.RingBytes = 10 * (entryOverhead + 16)
	n.found(1).start()
	n.settle()
	for id := uint64(1); id <= 50; id++ {
		n.propose(id)
		n.settle()
	}
	s := n.group.Status()
	if err := n.group.Compact(s.Applied + 1); !errors.Is(err, ErrCompactBeyondApplied) {
		t.Fatal(err)
	}
	if err := n.group.Compact(s.Applied); err != nil {
		t.Fatal(err)
	}
	after := n.group.Status()
	if after.First != s.Last-9 || n.log.FirstIndex(testGroup) != uint64(after.First) {
		t.Fatalf("first %d of last %d, in the log %d", after.First, s.Last, n.log.FirstIndex(testGroup))
	}
	if err := n.group.Compact(5); err != nil || n.group.Status().First != after.First {
		t.Fatalf("an older index moved the log: %v", err)
	}
	n.propose(51)
	n.settle()
	n.restart(0, n.machine.clone())
	n.settle()
	n.propose(52)
	n.settle()
	if got := n.machine.count(); got != 52 {
		t.Fatalf("applied %d", got)
	}
}
