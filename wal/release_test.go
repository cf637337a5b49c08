package wal

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// TestIdleGroupsPinNothing has one group write much while others are idle: one with entries, one with
// nothing but its hard state, one behind a snapshot.
func TestIdleGroupsPinNothing(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	m := model{}
	add := func(rec *Record) {
		t.Helper()
		must(t, l.Append(rec))
		m.append(rec)
	}
	add(record(2, 1, 1, 5, 100))
	add(&Record{Group: 3, HardState: HardState{Term: 9, Vote: 2}})
	add(&Record{Group: 4, HardState: HardState{Term: 4, Commit: 100}, Snapshot: &SnapshotMark{100, 3}})
	for i := uint64(1); i <= 100; i++ {
		add(record(1, 1, i, 1, 1000))
		must(t, l.Sync())
	}
	must(t, l.Release(1, 99))
	m.release(1, 99)
	must(t, l.Sync())
	if n := len(l.segs); n < 8 {
		t.Fatalf("group 2 needs the oldest segment, %d are left", n)
	}
	pins := l.Pins()
	if len(pins) != 2 || pins[0].Group != 2 || pins[0].Entries != 5 || pins[0].Bytes != l.Bytes() {
		t.Fatalf("pins %+v", pins)
	}
	must(t, l.Rewrite(2))
	must(t, m.compare(l)) // also before the sync
	must(t, l.Sync())
	if n := len(l.segs); n > 2 {
		t.Fatalf("%d segments are left", n)
	}
	for range 2 {
		must(t, m.compare(l))
		must(t, l.Close())
		var rec *Recovery
		l, rec = mustOpen(t, testOptions(mem))
		must(t, m.matches(l, rec.Groups))
		if rec.Groups[4].Snapshot != (SnapshotMark{100, 3}) || rec.Groups[3].HardState.Vote != 2 {
			t.Fatalf("groups %+v", rec.Groups)
		}
		add(record(2, 1, m[2].last()+1, 1, 10))
		must(t, l.Sync())
	}
	wantError(t, l.Rewrite(7), ErrUnavailable)
}

// TestRewriteInPieces rewrites more than fits one record, between other groups' records.
func TestRewriteInPieces(t *testing.T) {
	mem := vfs.NewMem(1)
	o := testOptions(mem)
	o.SegmentBytes = 1 << 20
	l, _ := mustOpen(t, o)
	m := model{}
	rng := rand.New(rand.NewPCG(testSeed(t), 0))
	for i := uint64(1); i <= 300; i++ {
		rec := record(1, 1+i/50, i, 1, rng.IntN(20000))
		must(t, l.Append(rec))
		m.append(rec)
	}
	must(t, l.Rewrite(1))
	must(t, m.compare(l))
	must(t, l.Append(record(2, 1, 1, 1, 10)))
	m.append(record(2, 1, 1, 1, 10))
	must(t, l.Sync())
	must(t, m.compare(l))
	must(t, l.Close())
	l, _ = mustOpen(t, o)
	must(t, m.compare(l))
	must(t, l.Close())
}

// TestReadNeverMixes replaces entries in the middle of a read: it must see all of the old or all of the new.
func TestReadNeverMixes(t *testing.T) {
	for at := 1; at <= 8; at++ {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		first := entries(1, 1, 1, 5)
		must(t, l.Append(&Record{Group: 1, HardState: HardState{Term: 1}, Entries: first}))
		for i := uint64(2); i <= 6; i++ { // a segment for each, so that they are read one by one
			must(t, l.Append(&Record{Group: 1, HardState: HardState{Term: 1}, Entries: entries(1, i, 1, 9000)}))
		}
		must(t, l.Sync())
		reads := 0
		mem.SetHook(func(op vfs.Op) error {
			if op.Kind != vfs.OpRead {
				return nil
			}
			if reads++; reads == at {
				must(t, l.Append(&Record{Group: 1, HardState: HardState{Term: 2}, Entries: entries(2, 2, 5, 10)}))
			}
			return nil
		})
		got, err := l.Entries(1, 1, 7, 1<<20, nil)
		must(t, err)
		older := append(entries(1, 1, 1, 5), entries(1, 2, 5, 9000)...)
		newer := append(entries(1, 1, 1, 5), entries(2, 2, 5, 10)...)
		if sameEntries(got, older) != nil && sameEntries(got, newer) != nil {
			t.Fatalf("replaced at read %d: neither the old nor the new entries", at)
		}
	}
}

// TestAppendAllocatesNothing holds the budget of the hot path.
func TestAppendAllocatesNothing(t *testing.T) {
	o := testOptions(vfs.OS)
	o.Dir, o.SegmentBytes = t.TempDir(), 16<<20
	l, _ := mustOpen(t, o)
	rec := record(1, 1, 1, 1, 256)
	perRecord := testing.AllocsPerRun(5000, func() {
		must(t, l.Append(rec))
		rec.HardState.Commit = rec.Entries[0].Index
		rec.Entries[0].Index++
	})
	if perRecord > 0 {
		t.Fatalf("%v allocations per record", perRecord)
	}
	must(t, l.Close())
}

// TestReadersBesideWriter reads and releases while the log is written, with the keeper on its own goroutine.
func TestReadersBesideWriter(t *testing.T) {
	o := testOptions(vfs.OS)
	o.Dir, o.Inline, o.SegmentBytes = t.TempDir(), false, 64<<10
	l, _ := mustOpen(t, o)
	const last = 1500
	var wg sync.WaitGroup
	failed := make(chan error, 3)
	for range 2 {
		wg.Go(func() {
			var buf []Entry
			for {
				lo, hi := l.FirstIndex(1), l.LastIndex(1)+1
				var err error
				if buf, err = l.Entries(1, lo, hi, 5000, buf[:0]); err == nil && len(buf) > 0 {
					err = sameEntries(buf, entries(1, lo, len(buf), 500))
				} else if l.FirstIndex(1) > lo || lo == hi {
					err = nil // released meanwhile, or nothing there
				}
				if err != nil {
					failed <- fmt.Errorf("entries from %d to %d: %w", lo, hi, err)
					return
				}
				if hi == last+1 {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for done := uint64(0); done < last-1; {
			if index := l.LastIndex(1); index > done+100 || index == last {
				done = index - 1
				if err := l.Release(1, done); err != nil {
					failed <- err
					return
				}
			}
		}
	})
	for i := uint64(1); i <= last; i++ {
		must(t, l.Append(record(1, 1, i, 1, 500)))
		if i%20 == 0 {
			must(t, l.Sync())
		}
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	must(t, l.Sync())
	must(t, l.Close())
	if names, err := vfs.OS.List(o.Dir); err != nil || len(names) > 8 {
		t.Fatalf("%q are left, %v", names, err)
	}
}

// The tail of a group begins where the log behind it has as many bytes as were asked for, over segments,
// and beside another group, and after the group's entries were written again.
func TestTail(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	if got := l.Tail(1, 1000); got != 1 {
		t.Fatalf("tail of a group without a log: %d", got)
	}
	for i := uint64(1); i <= 200; i++ {
		must(t, l.Append(record(1, 1, i, 1, 1000)))
		must(t, l.Append(record(2, 1, i, 1, 1000)))
		must(t, l.Sync())
	}
	each := uint64(2 * (1000 + tableOffset + rowBytes))
	for _, entries := range []uint64{0, 1, 10, 50, 150} {
		got := l.Tail(1, int64(entries*each))
		if want := 201 - entries; got < want || got > want+5+entries/8 { // segments have some room left at their ends
			t.Fatalf("tail of %d entries begins at %d, want %d", entries, got, want)
		}
	}
	if got := l.Tail(1, 1<<40); got != 1 {
		t.Fatalf("tail without a bound: %d", got)
	}
	must(t, l.Release(1, 190))
	if got := l.Tail(1, 1<<40); got != 191 {
		t.Fatalf("tail of what is left: %d", got)
	}
	must(t, l.Rewrite(1))
	must(t, l.Append(record(1, 1, 201, 1, 1000)))
	if got := l.Tail(1, int64(20*each)); got != 191 {
		t.Fatalf("tail of what was written again: %d", got)
	}
}
