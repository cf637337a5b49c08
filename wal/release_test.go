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
