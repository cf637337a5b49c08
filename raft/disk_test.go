package raft

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/wal"
)

// disk is the real log on a memory file system.
type disk struct {
	fs      *vfs.Mem
	segment int64 // bytes
	log     *wal.Log
	hard    wal.HardState
}

const segmentBytes = 64 << 10

func (d *disk) open(t testing.TB) {
	t.Helper()
	l, recovery, err := wal.Open(wal.Options{
		FS: d.fs, Dir: "wal", SegmentBytes: d.segment, Inline: true, Random: noise{rand.New(rand.NewPCG(1, 2))},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.log, d.hard = l, recovery.Groups[testGroup].HardState
}

// noise is a seeded source of bytes.
type noise struct{ rng *rand.Rand }

func (n noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(n.rng.Uint32())
	}
	return len(p), nil
}

// newDiskNode is a lone voter on the real log.
func newDiskNode(t testing.TB, seed uint64) *node {
	t.Helper()
	return newDiskNodeOf(t, seed, segmentBytes)
}

func newDiskNodeOf(t testing.TB, seed uint64, segment int64) *node {
	t.Helper()
	n := newNode(t)
	n.disk = &disk{fs: vfs.NewMem(seed), segment: segment}
	n.disk.open(t)
	founding, err := Founding(1)
	if err != nil {
		t.Fatal(err)
	}
	if n.disk.hard, err = Bootstrap(n.disk.log, testGroup, founding); err != nil {
		t.Fatal(err)
	}
	n.machine = &machine{t: t, applied: 1, term: 1, conf: founding.ConfState}
	return n.start()
}

// crash loses power and brings the node up from a checkpoint.
func (n *node) crash(checkpoint *machine) {
	n.t.Helper()
	n.host.Stop()
	n.disk = &disk{fs: n.disk.fs.Crash(), segment: n.disk.segment}
	n.disk.open(n.t)
	n.machine = checkpoint
	n.start()
}

func TestPowerLossAtEveryTurn(t *testing.T) {
	for crashAt := 1; crashAt < 250; crashAt++ {
		n := newDiskNode(t, uint64(crashAt))
		rng := newRand(t, uint64(crashAt))
		checkpoint := n.machine.clone()
		next := uint64(1)
		for turn := 1; turn <= crashAt; turn++ {
			actors := n.host.Actors()
			actors[rng.IntN(len(actors))].Turn()
			if turn%3 == 0 {
				n.source.add(next, rng.IntN(6000))
				n.group.Notify()
				next++
			}
			if rng.IntN(60) == 0 {
				checkpoint = n.machine.clone()
				if err := n.group.Compact(checkpoint.applied); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(30) == 0 {
				n.clock.Advance(sealAfter)
			}
		}
		acked := n.machine.clone()
		n.crash(checkpoint.clone())
		n.settle()
		if !isPrefix(acked.ids, n.machine.ids) {
			t.Fatalf("crash at turn %d: acknowledged %v, then %v", crashAt, acked.ids, n.machine.ids)
		}
		for i, id := range n.machine.ids {
			if id != uint64(i+1) {
				t.Fatalf("crash at turn %d: applied %v", crashAt, n.machine.ids)
			}
		}
		n.propose(next)
		n.settle()
		if n.machine.count() != len(n.machine.ids) || n.machine.ids[len(n.machine.ids)-1] != next {
			t.Fatalf("crash at turn %d: not working afterwards: %v", crashAt, n.machine.ids)
		}
		n.host.Stop()
	}
}

func TestSyncErrorOfTheDiskIsFatal(t *testing.T) {
	n := newDiskNode(t, 1)
	n.settle()
	n.disk.fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return syscall.EIO
		}
		return nil
	})
	n.propose(1)
	n.settle()
	if !errors.Is(n.fatal, syscall.EIO) || n.machine.count() != 0 {
		t.Fatalf("fatal %v, applied %v", n.fatal, n.machine.ids)
	}
}

func TestFullDiskThenSpace(t *testing.T) {
	n := newDiskNode(t, 1)
	n.settle()
	n.disk.fs.SetFree(segmentBytes)
	count := 0
	for ; count < 200 && !n.host.Stalled(); count++ {
		n.source.add(uint64(count+1), 4000)
		n.group.Notify()
		n.settle()
	}
	if !n.host.Stalled() || n.fatal != nil {
		t.Fatalf("not stalled after %d payloads; fatal %v", count, n.fatal)
	}
	applied := n.machine.count()
	n.pass(time.Second)
	if n.machine.count() != applied || !n.group.TryRead() {
		t.Fatal("the stall is not one")
	}
	n.disk.fs.SetFree(10 * segmentBytes)
	n.pass(time.Second)
	if n.machine.count() != count || n.host.Stalled() {
		t.Fatalf("%d of %d applied with space again", n.machine.count(), count)
	}
}

// A checkpoint taken while the disk is full makes room by itself.
func TestFullDiskIsFreedByCompaction(t *testing.T) {
	n := newNode(t)
	n.limits.RingBytes = 4 << 10
	n.disk = newDiskNode(t, 1).disk
	n.disk.log.Close()
	n.disk.open(t)
	seed, _ := Founding(1)
	n.machine = &machine{t: t, applied: 1, term: 1, conf: seed.ConfState}
	n.start()
	n.settle()
	n.disk.fs.SetFree(4 * segmentBytes)
	count := 0
	for ; count < 500 && !n.host.Stalled(); count++ {
		n.source.add(uint64(count+1), 1000)
		n.group.Notify()
		n.settle()
	}
	if !n.host.Stalled() {
		t.Fatal("not stalled")
	}
	if err := n.group.Compact(n.group.Status().Applied); err != nil {
		t.Fatal(err)
	}
	n.pass(time.Second)
	if n.machine.count() != count || n.host.Stalled() {
		t.Fatalf("%d of %d applied after the compaction", n.machine.count(), count)
	}
}

func TestLogIsSealedAtRest(t *testing.T) {
	n := newNode(t).found(1).start()
	n.settle()
	n.propose(1)
	n.settle()
	at, ok := n.host.writer.WakeAt()
	if !ok || n.log.seals != 0 {
		t.Fatalf("wakes %v, %d seals", ok, n.log.seals)
	}
	n.clock.Advance(at - n.clock.Boot())
	n.settle()
	if _, ok := n.host.writer.WakeAt(); ok || n.log.seals != 1 || n.log.unsynced() != 0 {
		t.Fatalf("wakes %v, %d seals", ok, n.log.seals)
	}
	n.pass(time.Second)
	if n.log.seals != 1 {
		t.Fatalf("%d seals of a log at rest", n.log.seals)
	}
}
