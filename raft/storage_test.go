package raft

import (
	"bytes"
	"errors"
	"testing"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/wal"
)

// twin is the dumb form of storage: all entries in a slice.
type twin struct {
	floor, floorTerm uint64
	entries          []*pb.Entry // entries[i] has index floor+1+i
}

func (w *twin) last() uint64 { return w.floor + uint64(len(w.entries)) }

func (w *twin) term(i uint64) (uint64, error) {
	switch {
	case i < w.floor:
		return 0, etcdraft.ErrCompacted
	case i == w.floor:
		return w.floorTerm, nil
	case i > w.last():
		return 0, etcdraft.ErrUnavailable
	}
	return w.entries[i-w.floor-1].GetTerm(), nil
}

func newTestStorage(ringBytes int) (*storage, *memLog) {
	l := newMemLog()
	mark := wal.SnapshotMark{Index: 5, Term: 1}
	seed := wal.Record{Group: testGroup, HardState: wal.HardState{Term: 1}, Snapshot: &mark}
	if err := l.Append(&seed); err != nil {
		panic(err)
	}
	return &storage{log: l, group: testGroup, floorIndex: 5, floorTerm: 1, ring: newRing(6, ringBytes)}, l
}

func TestStorageAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, l := newTestStorage(rapid.IntRange(1, 4000).Draw(t, "ring"))
		w := &twin{floor: 5, floorTerm: 1}
		term := uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "new term") {
					term++
				}
				from := rapid.Uint64Range(w.floor+1, w.last()+1).Draw(t, "from")
				count := rapid.IntRange(1, 20).Draw(t, "count")
				var entries []*pb.Entry
				rec := wal.Record{Group: testGroup, HardState: wal.HardState{Term: term}}
				for i := range count {
					data := make([]byte, rapid.IntRange(0, 600).Draw(t, "size"))
					e := wal.Entry{Term: term, Index: from + uint64(i), Data: data}
					rec.Entries = append(rec.Entries, e)
					entries = append(entries, newEntry(&e))
				}
				s.append(entries)
				if err := l.Append(&rec); err != nil {
					t.Fatal(err)
				}
				w.entries = append(w.entries[:from-w.floor-1:from-w.floor-1], entries...)
			},
			"compact": func(t *rapid.T) {
				index := rapid.Uint64Range(0, w.last()).Draw(t, "index")
				floor, err := s.compact(index)
				if floor == 0 {
					floor = w.floor
				}
				if err != nil || floor > max(index, w.floor) || floor < w.floor {
					t.Fatalf("compact(%d): %d, %v", index, floor, err)
				}
				floorTerm, _ := w.term(floor)
				w.entries, w.floor, w.floorTerm = w.entries[floor-w.floor:], floor, floorTerm
			},
			"restore": func(t *rapid.T) {
				mark := wal.SnapshotMark{Index: w.floor + rapid.Uint64Range(1, 40).Draw(t, "above"), Term: term}
				s.restore(mark.Index, mark.Term)
				rec := wal.Record{Group: testGroup, HardState: wal.HardState{Term: term}, Snapshot: &mark}
				if err := l.Append(&rec); err != nil {
					t.Fatal(err)
				}
				*w = twin{floor: mark.Index, floorTerm: mark.Term}
			},
			"entries": func(t *rapid.T) {
				lo := rapid.Uint64Range(0, w.last()+2).Draw(t, "lo")
				hi := rapid.Uint64Range(lo+1, w.last()+3).Draw(t, "hi")
				checkEntries(t, s, w, lo, hi, rapid.Uint64Range(0, 5000).Draw(t, "max"))
			},
			"": func(t *rapid.T) { checkBounds(t, s, w) },
		})
	})
}

func checkEntries(t *rapid.T, s *storage, w *twin, lo, hi, size uint64) {
	got, err := s.Entries(lo, hi, size)
	switch {
	case lo <= w.floor:
		if !errors.Is(err, etcdraft.ErrCompacted) {
			t.Fatalf("below the floor: %v", err)
		}
		return
	case hi > w.last()+1:
		if !errors.Is(err, etcdraft.ErrUnavailable) {
			t.Fatalf("beyond the end: %v", err)
		}
		return
	case err != nil || len(got) == 0 || uint64(len(got)) > hi-lo:
		t.Fatalf("%d entries, %v", len(got), err)
	}
	var bytesGot uint64
	for i, e := range got {
		want := w.entries[lo-w.floor-1+uint64(i)]
		if e.GetIndex() != lo+uint64(i) || e.GetTerm() != want.GetTerm() ||
			!bytes.Equal(e.GetData(), want.GetData()) {
			t.Fatalf("entry %d: %v", lo+uint64(i), e)
		}
		bytesGot += encodedSizeMax(e)
	}
	if bytesGot > size && len(got) > 1 {
		t.Fatalf("%d bytes, bound %d", bytesGot, size)
	}
	if next := lo + uint64(len(got)); next < hi {
		if bytesGot+encodedSizeMax(w.entries[next-w.floor-1]) <= size {
			t.Fatalf("stopped at %d, though the next entry fits", next)
		}
	}
	// The slice is the caller's: what it appends must not come into the storage.
	_ = append(got, &pb.Entry{Index: new(uint64(1))})
}

func checkBounds(t *rapid.T, s *storage, w *twin) {
	first, _ := s.FirstIndex()
	last, _ := s.LastIndex()
	if first != w.floor+1 || last != w.last() {
		t.Fatalf("[%d, %d], want [%d, %d]", first, last, w.floor+1, w.last())
	}
	for i := w.floor - min(w.floor, 2); i <= w.last()+2; i++ {
		got, err := s.Term(i)
		want, wantErr := w.term(i)
		if got != want || !errors.Is(err, wantErr) {
			t.Fatalf("term(%d): %d, %v, want %d, %v", i, got, err, want, wantErr)
		}
	}
	r := &s.ring
	cost := 0
	for i := r.first; i < r.next; i++ {
		cost += entryCost(r.get(i))
	}
	if cost != r.bytes || (r.bytes > r.bytesMax && r.next-r.first > 1) {
		t.Fatalf("ring holds %d bytes of %d, says %d", cost, r.bytesMax, r.bytes)
	}
	held := 0
	for _, e := range r.slots {
		if e != nil {
			held++
		}
	}
	if uint64(held) != r.next-r.first {
		t.Fatalf("ring holds on to %d entries of %d", held, r.next-r.first)
	}
}

func TestStorageReadErrorIsTold(t *testing.T) {
	s, l := newTestStorage(1)
	entries := []*pb.Entry{newEntry(&wal.Entry{Term: 1, Index: 6}), newEntry(&wal.Entry{Term: 1, Index: 7})}
	s.append(entries)
	l.readErr = errDisk
	_, err := s.Entries(6, 8, 100)
	if _, ok := errors.AsType[*readError](err); !ok || !errors.Is(err, errDisk) {
		t.Fatalf("entries: %v", err)
	}
	if _, err := s.Snapshot(); !errors.Is(err, etcdraft.ErrSnapshotTemporarilyUnavailable) {
		t.Fatalf("snapshot: %v", err)
	}
}

func TestStorageGapIsABrokenInvariant(t *testing.T) {
	s, _ := newTestStorage(100)
	defer func() {
		if recover() == nil {
			t.Fatal("a gap was taken")
		}
	}()
	s.append([]*pb.Entry{newEntry(&wal.Entry{Term: 1, Index: 8})})
}
