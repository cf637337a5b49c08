package engine

import (
	"fmt"
	"testing"
)

// loaded returns a state in replay that was loaded from a snapshot of keys in database 0.
func loaded(t *testing.T, keys int) *State {
	t.Helper()
	s := newState()
	apply(t, s, db0, 1, func(tx *Tx) {
		for i := range keys {
			tx.Set(fmt.Appendf(nil, "key:%06d", i), []byte("v"), 0)
		}
	})
	snapshot := s.Snapshot()
	defer snapshot.Close()
	l, err := NewLoader(snapshot.Header())
	for done := false; err == nil && !done; {
		done, err = snapshot.Next(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	state, err := l.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestReplayKeepsLoadedOrderWhileItIsCheap(t *testing.T) {
	const keys = 40_000 // so many that buckets, reserved ones and split ones, lie on two levels
	for _, c := range []struct {
		name    string
		changes int
		kept    bool
	}{
		{"nothing replayed", 0, true},
		{"few keys come and go", patienceMin / 4, true},
		{"many keys come and go", keys / 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := loaded(t, keys)
			ns, err := s.working.find(tenant, db0)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s)
			apply(t, s, db0, 2, func(tx *Tx) {
				for i := range c.changes {
					tx.Delete(fmt.Appendf(nil, "key:%06d", i))
					tx.Set(fmt.Appendf(nil, "new:%06d", i), []byte("v"), 0)
				}
			})
			if kept := ns.keys.order != nil; kept != c.kept {
				t.Fatalf("tree kept: %v, want %v", kept, c.kept)
			}
			check(t, s)
			s.EndReplay()
			check(t, s)
			if n := ns.keys.len(); n != keys {
				t.Fatalf("%d keys, want %d", n, keys)
			}
		})
	}
}
