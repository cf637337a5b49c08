package wal

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// TestEveryFault fails operations of a workload, one in each run, in each way a disk can. The log must
// tell, must not touch its segments again, and must come back with what was acknowledged.
func TestEveryFault(t *testing.T) {
	seed := testSeed(t)
	faults := map[string]error{
		"eio": syscall.EIO, "enospc": syscall.ENOSPC, "none": vfs.ShortWrite{}, "short": vfs.ShortWrite{N: 80},
		"page": vfs.ShortWrite{N: pageBytes},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for at := 1 + seed%13; ; at += uint64(stride(13)) {
				if done := runWithFault(t, seed, at, fault); done {
					return
				}
			}
		})
	}
}

// runWithFault fails the operation with the given number, and says whether the workload has fewer.
func runWithFault(t *testing.T, seed, at uint64, fault error) (done bool) {
	mem := vfs.NewMem(seed)
	var final bool
	var after int
	var last uint64
	mem.SetHook(func(op vfs.Op) error {
		last = op.Seq
		if final && op.Kind.Changes() {
			after++
		}
		if op.Seq != at || !op.Kind.Changes() {
			return nil
		}
		return fault
	})
	h := &history{acked: model{}}
	l, _, err := Open(testOptions(mem))
	if err == nil {
		err = h.run(l, &generator{rng: rand.New(rand.NewPCG(seed, 1)), large: 9000}, 60)
		if err != nil && !errors.Is(err, ErrNoSpace) {
			final = true
			for range 2 {
				if again := l.Sync(); !errors.Is(again, err) {
					t.Fatalf("operation %d: first %v, then %v", at, err, again)
				}
				if again := l.Append(record(1, 99, 1, 1, 1)); !errors.Is(again, err) {
					t.Fatalf("operation %d: first %v, then %v", at, err, again)
				}
			}
			if after > 0 {
				t.Fatalf("operation %d: %d operations after a final error", at, after)
			}
			final = false
		}
	}
	mem.SetHook(nil)
	for range 4 {
		if err := reopenAfterCrash(mem, h); err != nil {
			t.Fatalf("operation %d failed with %v, the log with %v; then: %v", at, fault, err, err)
		}
	}
	return last < at
}

// TestNoSpaceIsRetriable fills the disk. The record that finds no segment leaves no trace, and goes through
// once there is room.
func TestNoSpaceIsRetriable(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	mem.SetFree(3 * testSegmentBytes)
	m := model{}
	appendNext := func(size int) error {
		rec := record(1, 1, m.group(1).last()+1, 1, size)
		err := l.Append(rec)
		if err == nil {
			m.append(rec)
		}
		return err
	}
	var err error
	for err == nil {
		if err = appendNext(1000); err == nil {
			must(t, l.Sync())
		}
	}
	wantError(t, err, ErrNoSpace)
	wantError(t, err, syscall.ENOSPC)
	wantError(t, appendNext(1000), ErrNoSpace)
	wantError(t, appendNext(100000), ErrNoSpace)
	must(t, appendNext(10)) // there is still room for this one
	must(t, l.Sync())
	must(t, m.compare(l))
	for err = nil; err == nil; { // to the last byte
		err = appendNext(0)
	}
	wantError(t, err, ErrNoSpace)
	must(t, l.Sync())

	must(t, l.Release(1, 30)) // makes its own room
	m.release(1, 30)
	must(t, l.Sync())
	must(t, appendNext(1000))
	wantError(t, appendNext(100000), ErrNoSpace)
	mem.SetFree(-1)
	must(t, appendNext(100000))
	must(t, l.Close())
	l, rec := mustOpen(t, testOptions(mem))
	must(t, m.matches(l, rec.Groups))
}

// TestNoFileHandleIsRetriable has the process run out of file handles, as a flood of connections can make it.
// Nothing of a record was written then, so that is no reason to end.
func TestNoFileHandleIsRetriable(t *testing.T) {
	for _, kind := range []vfs.Kind{vfs.OpCreate, vfs.OpSyncDir} {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		mem.SetHook(func(op vfs.Op) error {
			if op.Kind == kind {
				return syscall.EMFILE
			}
			return nil
		})
		m := model{}
		var err error
		for err == nil {
			rec := record(1, 1, m.group(1).last()+1, 1, 1000)
			if err = l.Append(rec); err == nil {
				m.append(rec)
				must(t, l.Sync())
			}
		}
		wantError(t, err, ErrNoSpace)
		wantError(t, err, syscall.EMFILE)
		mem.SetHook(nil)
		rec := record(1, 1, m.group(1).last()+1, 1, 1000)
		must(t, l.Append(rec))
		m.append(rec)
		must(t, l.Close())
		l, found := mustOpen(t, testOptions(mem))
		must(t, m.matches(l, found.Groups))
	}
}

// TestOpenOnFullDisk starts where there is no room for a spare: a node must be able to come up to be
// told to delete something.
func TestOpenOnFullDisk(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(record(1, 1, 1, 1, 1000)))
	must(t, l.Close())
	must(t, mem.Remove(segmentName("wal", 2)))
	mem.SetFree(0)
	l, _ = mustOpen(t, testOptions(mem))
	wantEntries(t, l, 1, entries(1, 1, 1, 1000))
	must(t, l.Append(record(1, 1, 2, 1, 1000)))
	must(t, l.Sync())
}

// TestOpenOnFullDiskNearTheEnd starts where the last segment is nearly full too: the seal that a start adds may
// find no room, and is not worth a node that stays down.
func TestOpenOnFullDiskNearTheEnd(t *testing.T) {
	for room := int64(64); room < sealRoom+256; room += align {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		must(t, l.Append(record(1, 1, 1, 1, int(l.room()-room-tableOffset-rowBytes))))
		must(t, l.Sync())
		mem = mem.Crash()
		if len(l.segs) > 1 {
			continue // the reserve for releases took it into the next segment
		}
		must(t, mem.Remove(segmentName("wal", 2)))
		mem.SetFree(0)
		if _, _, err := Open(testOptions(mem)); err != nil {
			t.Fatalf("with %d bytes left in the segment: %v", room, err)
		}
	}
}

func TestInvalidRecords(t *testing.T) {
	l, _ := mustOpen(t, testOptions(vfs.NewMem(1)))
	must(t, l.Append(&Record{Group: 1, HardState: HardState{Term: 3, Commit: 4}, Entries: entries(3, 1, 6, 1)}))
	must(t, l.Release(1, 2))
	before := l.end
	hard := HardState{Term: 3, Commit: 4}
	cases := map[string]*Record{
		"gap":             {Group: 1, HardState: hard, Entries: entries(3, 8, 1, 1)},
		"committed":       {Group: 1, HardState: hard, Entries: entries(3, 4, 1, 1)},
		"released":        {Group: 1, HardState: hard, Entries: entries(3, 2, 1, 1)},
		"not consecutive": {Group: 1, HardState: hard, Entries: append(entries(3, 7, 1, 1), Entry{Index: 9})},
		"older term":      {Group: 1, HardState: HardState{Term: 2, Commit: 4}},
		"older commit":    {Group: 1, HardState: HardState{Term: 3, Commit: 3}},
		"commit ahead":    {Group: 1, HardState: HardState{Term: 3, Commit: 7}},
		"old snapshot":    {Group: 1, HardState: hard, Snapshot: &SnapshotMark{1, 3}},
		"new group gap":   {Group: 2, HardState: hard, Entries: entries(3, 2, 1, 1)},
		"index zero":      {Group: 2, Entries: entries(3, 0, 1, 1)},
	}
	for name, rec := range cases {
		if err := l.Append(rec); !errors.Is(err, ErrInvalidRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	large := &Record{Group: 1, HardState: hard}
	data := make([]byte, 32<<20)
	for i := range uint64(9) {
		large.Entries = append(large.Entries, Entry{Term: 3, Index: 7 + i, Data: data})
	}
	wantError(t, l.Append(large), ErrTooLarge)
	wantError(t, l.Release(1, 5), ErrInvalidRecord)
	wantError(t, l.Release(2, 5), ErrUnavailable)
	if l.end != before || len(l.groups) != 1 {
		t.Fatal("a refused record left a trace")
	}
	must(t, l.Append(&Record{Group: 1, HardState: hard, Entries: entries(3, 7, 1, 1)}))
}
