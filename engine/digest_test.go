package engine

import (
	"bytes"
	"fmt"
	"testing"
)

// digestOf walks a snapshot of the state.
func digestOf(t testing.TB, s *State) [32]byte {
	t.Helper()
	p := s.Snapshot()
	defer p.Close()
	d := NewDigester(p.Header())
	for done := false; !done; {
		var err error
		if done, err = p.Next(d); err != nil {
			t.Fatal(err)
		}
	}
	return d.Sum()
}

func digested(t testing.TB) *State {
	s := newState()
	apply(t, s, db0, 1, func(tx *Tx) {
		for i := range 2000 {
			tx.Set(fmt.Appendf(nil, "key:%d", i), bytes.Repeat([]byte("v"), i), int64(i%3))
		}
	})
	apply(t, s, Ref{Number: 7}, 2, func(tx *Tx) { tx.Set([]byte("k"), make([]byte, 3*digestBytes), 0) })
	apply(t, s, db0, 3, func(tx *Tx) { tx.Delete([]byte("key:12")) })
	return s
}

func TestDigestOfASnapshotIsThatOfTheState(t *testing.T) {
	for _, s := range []*State{newState(), digested(t)} {
		if digestOf(t, s) != s.Digest() {
			t.Error("they differ")
		}
	}
}

// Whatever is replicated must show in the digest.
func TestDigestSeesEveryDifference(t *testing.T) {
	sound := digested(t).Digest()
	find := func(s *State, key string) (*namespace, *item) {
		ns, err := s.working.find(tenant, db0)
		if err != nil {
			t.Fatal(err)
		}
		return ns, ns.keys.index.find(ns.keys.index.hash([]byte(key)), []byte(key))
	}
	corruptions := []struct {
		name    string
		corrupt func(*State)
	}{
		{"a bit of a small value", func(s *State) {
			_, it := find(s, "key:100")
			it.value()[50] ^= 1
		}},
		{"a bit of a large value", func(s *State) {
			_, it := find(s, "key:1999")
			it.value()[1998] ^= 0x80
		}},
		{"a deadline", func(s *State) {
			_, it := find(s, "key:100")
			it.deadline++
		}},
		{"a revision of an item", func(s *State) {
			_, it := find(s, "key:100")
			it.revision++
		}},
		{"a revision of a namespace", func(s *State) {
			ns, _ := find(s, "key:100")
			ns.revision++
		}},
		{"a deletion", func(s *State) {
			ns, _ := find(s, "key:100")
			ns.deletions.newer[0].hash ^= 1
		}},
		{"a key that is missing", func(s *State) {
			ns, it := find(s, "key:100")
			ns.keys.replace(ns.keys.index.hash(it.key()), it, nil)
		}},
		{"log time", func(s *State) { s.logTime.Add(1) }},
		{"the next id", func(s *State) { s.nextID++ }},
		{"the hash key", func(s *State) { s.hashKey[3] ^= 1 }},
	}
	for _, c := range corruptions {
		t.Run(c.name, func(t *testing.T) {
			s := digested(t)
			c.corrupt(s)
			if s.Digest() == sound || digestOf(t, s) == sound {
				t.Error("the digest does not see it")
			}
		})
	}
}

// The bytes of an item must not be taken for those of its neighbour.
func TestDigestTellsItemsApart(t *testing.T) {
	sum := func(parts ...string) [32]byte {
		d := NewDigester(nil)
		for _, part := range parts {
			d.Add([]byte(part))
		}
		return d.Sum()
	}
	if sum("ab", "c") == sum("a", "bc") || sum("", "a") == sum("a", "") || sum("a") == sum("a", "") {
		t.Error("different parts have one digest")
	}
	long := string(make([]byte, digestBytes))
	if sum(long, "a") == sum(long+"a") {
		t.Error("a long part runs into the next")
	}
}

// BenchmarkDigest walks and hashes a snapshot, unpaced.
func BenchmarkDigest(b *testing.B) {
	s := filled(b, benchKeys, 64)
	b.ReportAllocs()
	for b.Loop() {
		digestOf(b, s)
	}
}
