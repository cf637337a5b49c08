package engine

import (
	"testing"
)

const tenant = "tenant"

var db0 = Ref{Number: 0}

func newState() *State { return New([16]byte{1, 2, 3}) }

// apply runs fn as one committed call on a namespace at a log time.
func apply(t testing.TB, s *State, ref Ref, logTime int64, fn func(tx *Tx)) {
	t.Helper()
	b := s.Begin(logTime, 1)
	defer b.End()
	tx, err := b.Tx(tenant, ref)
	if err != nil {
		t.Fatal(err)
	}
	fn(tx)
	tx.Commit()
}

func check(t testing.TB, s *State) {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
}

// get reads a key with the clock at log time.
func get(t testing.TB, s *State, ref Ref, key string) (value string, ok bool) {
	t.Helper()
	_, err := s.Read(tenant, ref, 0, func(v *View) {
		var it Item
		if it, ok = v.Lookup([]byte(key)); ok {
			value = string(it.Value())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return value, ok
}

func TestSetAndRead(t *testing.T) {
	s := newState()
	if _, ok := get(t, s, db0, "k"); ok {
		t.Fatal("a database that was never written holds a key")
	}
	apply(t, s, db0, 10, func(tx *Tx) { tx.Set([]byte("k"), []byte("v"), 0) })
	check(t, s)
	if v, ok := get(t, s, db0, "k"); !ok || v != "v" {
		t.Fatalf("got %q, %v", v, ok)
	}
}
