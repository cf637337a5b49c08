package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

const testSegmentBytes = 16 << 10

// testOptions are those of a log in memory whose every operation happens on the test's goroutine.
func testOptions(fsys vfs.FS) Options {
	return Options{FS: fsys, Dir: "wal", SegmentBytes: testSegmentBytes, Inline: true, Random: testRandom()}
}

// testRandom makes masks repeatable.
func testRandom() io.Reader { return rand.NewChaCha8([32]byte{1}) }

func mustOpen(t testing.TB, o Options) (*Log, *Recovery) {
	t.Helper()
	l, rec, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l, rec
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// entries makes n entries of a term from an index on, with data that tells them apart.
func entries(term, first uint64, n, size int) []Entry {
	out := make([]Entry, n)
	for i := range out {
		index := first + uint64(i)
		data := bytes.Repeat([]byte{byte(index*31 + term)}, size)
		out[i] = Entry{Term: term, Index: index, Type: uint8(index % 3), Data: data}
	}
	return out
}

// record makes a record with n entries whose commit index is the one before them.
func record(g GroupID, term, first uint64, n, size int) *Record {
	return &Record{Group: g, HardState: HardState{Term: term, Vote: 7, Commit: first - 1},
		Entries: entries(term, first, n, size)}
}

func wantEntries(t testing.TB, l *Log, g GroupID, want []Entry) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	lo, hi := want[0].Index, want[len(want)-1].Index+1
	got, err := l.Entries(g, lo, hi, 1<<60, nil)
	must(t, err)
	if err := sameEntries(got, want); err != nil {
		t.Fatal(err)
	}
}

func sameEntries(got, want []Entry) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Term != w.Term || g.Index != w.Index || g.Type != w.Type || !bytes.Equal(g.Data, w.Data) {
			return fmt.Errorf("entry %d: got term %d index %d type %d with %d bytes, want %d %d %d with %d", i,
				g.Term, g.Index, g.Type, len(g.Data), w.Term, w.Index, w.Type, len(w.Data))
		}
	}
	return nil
}

func TestAppendReadReopen(t *testing.T) {
	mem := vfs.NewMem(1)
	l, rec := mustOpen(t, testOptions(mem))
	if !rec.Fresh || rec.TornTail != nil || len(rec.Groups) != 0 {
		t.Fatalf("recovery of nothing: %+v", rec)
	}
	must(t, l.Append(record(1, 1, 1, 3, 100)))
	wantEntries(t, l, 1, entries(1, 1, 3, 100)) // still in the buffer
	must(t, l.Append(record(2, 5, 1, 1, 0)))
	must(t, l.Sync())
	must(t, l.Append(record(1, 2, 3, 2, 20))) // replaces entry 3
	must(t, l.Sync())
	want := append(entries(1, 1, 2, 100), entries(2, 3, 2, 20)...)
	for range 3 {
		wantEntries(t, l, 1, want)
		wantEntries(t, l, 2, entries(5, 1, 1, 0))
		must(t, l.Close())
		l, rec = mustOpen(t, testOptions(mem))
		if g := rec.Groups[1]; g.First != 1 || g.Last != 4 || g.HardState != (HardState{2, 7, 2}) {
			t.Fatalf("group 1: %+v", g)
		}
		if g := rec.Groups[2]; rec.Fresh || g.Last != 1 || g.HardState.Term != 5 {
			t.Fatalf("group 2: %+v", g)
		}
	}
	for index, term := range map[uint64]uint64{0: 0, 1: 1, 2: 1, 3: 2, 4: 2} {
		if got, err := l.Term(1, index); got != term || err != nil {
			t.Fatalf("term of %d: %d %v", index, got, err)
		}
	}
	_, err := l.Term(1, 5)
	wantError(t, err, ErrUnavailable)
	_, err = l.Entries(1, 4, 6, 100, nil)
	wantError(t, err, ErrUnavailable)
	_, err = l.Entries(9, 1, 2, 100, nil)
	wantError(t, err, ErrUnavailable)
	must(t, l.Close())
	wantError(t, l.Append(record(1, 2, 5, 1, 1)), ErrClosed)
	_, err = l.Entries(1, 1, 2, 100, nil)
	wantError(t, err, ErrClosed)
}

func TestEntriesBudget(t *testing.T) {
	l, _ := mustOpen(t, testOptions(vfs.NewMem(1)))
	defer l.Close()
	for i := uint64(1); i <= 60; i++ {
		must(t, l.Append(record(1, 1, i, 1, 100)))
		must(t, l.Append(record(2, 1, i, 1, 300)))
	}
	cases := []struct {
		lo, hi, budget uint64
		want           int
	}{{1, 61, 0, 1}, {1, 61, 99, 1}, {1, 61, 250, 2}, {30, 61, 1000, 10}, {1, 61, 1 << 60, 60}, {5, 5, 10, 0}}
	for _, c := range cases {
		got, err := l.Entries(1, c.lo, c.hi, c.budget, nil)
		must(t, err)
		if err := sameEntries(got, entries(1, c.lo, c.want, 100)); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRollAndRelease(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	for i := uint64(1); i <= 100; i++ {
		must(t, l.Append(record(1, 1, i, 1, 1000)))
		must(t, l.Sync())
	}
	if n := len(l.segs); n < 7 {
		t.Fatalf("only %d segments", n)
	}
	before := l.Bytes()
	must(t, l.Release(1, 90))
	must(t, l.Sync())
	if n := len(l.segs); n > 3 || l.Bytes() > before/3 {
		t.Fatalf("%d segments, %d bytes are left of %d", n, l.Bytes(), before)
	}
	_, err := l.Entries(1, 90, 91, 1, nil)
	wantError(t, err, ErrCompacted)
	if term, err := l.Term(1, 90); term != 1 || err != nil {
		t.Fatalf("term of the last one released: %d %v", term, err)
	}
	wantEntries(t, l, 1, entries(1, 91, 10, 1000))
	must(t, l.Close())
	l, rec := mustOpen(t, testOptions(mem))
	if g := rec.Groups[1]; g.First != 91 || g.Last != 100 || g.Released != (SnapshotMark{90, 1}) {
		t.Fatalf("after reopening: %+v", g)
	}
	wantEntries(t, l, 1, entries(1, 91, 10, 1000))
	must(t, l.Close())
}

func TestLargeRecordGetsLargeSegment(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(record(1, 1, 1, 1, 10)))
	must(t, l.Append(record(1, 1, 2, 3, 3<<20)))
	must(t, l.Append(record(1, 1, 5, 1, 10)))
	must(t, l.Sync())
	want := append(append(entries(1, 1, 1, 10), entries(1, 2, 3, 3<<20)...), entries(1, 5, 1, 10)...)
	wantEntries(t, l, 1, want)
	must(t, l.Close())
	l, _ = mustOpen(t, testOptions(mem))
	wantEntries(t, l, 1, want)
	must(t, l.Close())
}
