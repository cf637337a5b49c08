package engine

import (
	"fmt"
	"strings"
	"testing"
)

// ascendAll walks all keys in parts, with fn between any two of them.
func ascendAll(v *View, count int, fn func()) string {
	var seen []string
	for next := []byte{}; next != nil; {
		next = v.Ascend(next, count, func(key []byte, _ Item) bool {
			seen = append(seen, string(key))
			return true
		})
		v.Unlocked(fn)
	}
	return strings.Join(seen, "")
}

// TestUnlocked: batches get through in the middle of a read, which then shows what they did.
func TestUnlocked(t *testing.T) {
	for _, c := range []struct {
		name  string
		keys  string
		count int
		write func(tx *Tx)
		want  string
	}{
		{"nothing changes", "abcde", 2, func(*Tx) {}, "abcde"},
		{"to the brim", "abcd", 2, func(*Tx) {}, "abcd"},
		{"before and behind", "bcdf", 2, func(tx *Tx) {
			tx.Set([]byte("a"), nil, 0)
			tx.Set([]byte("e"), nil, 0)
		}, "bcdef"},
		{"the next key goes", "abcd", 2, func(tx *Tx) { tx.Delete([]byte("c")) }, "abd"},
		{"all keys go", "abcd", 1, func(tx *Tx) { tx.Clear() }, "a"},
		{"all keys go and others come", "abcd", 1, func(tx *Tx) {
			tx.Clear()
			tx.Set([]byte("b"), nil, 0)
			tx.Set([]byte("x"), nil, 0)
		}, "abx"},
		{"keys expire", "abcd", 1, func(tx *Tx) { tx.SetDeadline([]byte("c"), tx.Time()) }, "abd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newState()
			apply(t, s, db0, 10, func(tx *Tx) {
				for _, key := range c.keys {
					tx.Set([]byte(string(key)), nil, 0)
				}
			})
			batches := 0
			tick, err := s.Read(tenant, db0, 15, func(v *View) {
				got := ascendAll(v, c.count, func() {
					batches++
					apply(t, s, db0, 20+int64(batches), c.write)
				})
				if got != c.want {
					t.Errorf("saw %q, want %q", got, c.want)
				}
				if v.Time() != s.LogTime() {
					t.Errorf("time %d, log time %d", v.Time(), s.LogTime())
				}
			})
			if tick != 0 || err != nil || batches == 0 {
				t.Errorf("tick %d, %v, %d batches", tick, err, batches)
			}
			check(t, s)
		})
	}
}

// TestUnlockedScan: keys that stay are seen once, whatever changes in between.
func TestUnlockedScan(t *testing.T) {
	s := newState()
	apply(t, s, db0, 10, func(tx *Tx) {
		for i := range 500 {
			tx.Set(fmt.Appendf(nil, "stays-%d", i), nil, 0)
		}
	})
	seen := map[string]int{}
	_, _ = s.Read(tenant, db0, 0, func(v *View) {
		for cursor, i := uint64(0), 0; i == 0 || cursor != 0; i++ {
			cursor = v.Scan(cursor, 10, func(key []byte, _ Item) { seen[string(key)]++ })
			v.Unlocked(func() {
				apply(t, s, db0, 11, func(tx *Tx) {
					for j := range 50 {
						tx.Set(fmt.Appendf(nil, "comes-%d-%d", i, j), nil, 0)
						tx.Delete(fmt.Appendf(nil, "comes-%d-%d", i-1, j))
					}
				})
			})
		}
	})
	for i := range 500 {
		if key := fmt.Sprintf("stays-%d", i); seen[key] != 1 {
			t.Errorf("%s was seen %d times", key, seen[key])
		}
	}
}

func TestUnlockedWhileNamespaceIsDropped(t *testing.T) {
	s := newState()
	var info Info
	apply(t, s, NoNamespace, 1, func(tx *Tx) { info, _ = tx.CreateNamespace(tenant, "named") })
	ref := Ref{ID: info.ID}
	apply(t, s, ref, 2, func(tx *Tx) {
		tx.Set([]byte("a"), nil, 0)
		tx.Set([]byte("b"), nil, 0)
	})
	_, err := s.Read(tenant, ref, 0, func(v *View) {
		drop := func() {
			apply(t, s, ref, 3, func(tx *Tx) {
				if err := tx.DropNamespace(info.ID); err != nil {
					t.Error(err)
				}
			})
		}
		v.Unlocked(drop)
		if _, alive := v.Lookup([]byte("b")); alive || v.Len() != 0 || ascendAll(v, 1, func() {}) != "" {
			t.Error("keys of a dropped namespace are seen")
		}
		if _, found := v.NamespaceByName("named"); found {
			t.Error("a dropped namespace is listed")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUnlockedMissing reads a database that comes into being meanwhile: the View goes on to show none.
func TestUnlockedMissing(t *testing.T) {
	s := newState()
	_, err := s.Read(tenant, db0, 0, func(v *View) {
		v.Unlocked(func() { apply(t, s, db0, 1, func(tx *Tx) { tx.Set([]byte("a"), nil, 0) }) })
		if v.Len() != 0 {
			t.Error("a View changed its namespace")
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUnlockedLate: a key met before the lock was released still asks for a tick.
func TestUnlockedLate(t *testing.T) {
	s := newState()
	apply(t, s, db0, 10, func(tx *Tx) { tx.Set([]byte("a"), nil, 20) })
	tick, err := s.Read(tenant, db0, 25, func(v *View) {
		v.Lookup([]byte("a"))
		v.Unlocked(func() { s.Begin(30, 0).End() })
		if _, alive := v.Lookup([]byte("a")); alive {
			t.Error("the log's time has passed the deadline, and the key is seen")
		}
	})
	if tick != 20 || err != nil {
		t.Errorf("tick %d, %v", tick, err)
	}
}

// TestAtomicViewsKeepTheLock: a Tx, and a View after Hold.
func TestAtomicViewsKeepTheLock(t *testing.T) {
	s := newState()
	apply(t, s, db0, 1, func(tx *Tx) { tx.Set([]byte("a"), nil, 0) })
	locked := func(v *View) (kept bool) {
		v.Unlocked(func() {
			if kept = !v.ns.mu.TryLock(); !kept {
				v.ns.mu.Unlock()
			}
		})
		return kept
	}
	apply(t, s, db0, 2, func(tx *Tx) {
		if !tx.Atomic() || !locked(&tx.View) {
			t.Error("a Tx gave up its lock")
		}
	})
	for range 3 { // a View is used again
		_, _ = s.Read(tenant, db0, 0, func(v *View) {
			if v.Atomic() || locked(v) {
				t.Error("a View kept its lock")
			}
			v.Hold()
			if !v.Atomic() || !locked(v) {
				t.Error("a held View gave up its lock")
			}
		})
	}
}

// TestUnlockedPanic: the lock is free after a panic, wherever it came from.
func TestUnlockedPanic(t *testing.T) {
	s := newState()
	apply(t, s, db0, 1, func(tx *Tx) { tx.Set([]byte("a"), nil, 0) })
	fail := func() { panic("planted") }
	for name, fn := range map[string]func(v *View){
		"under the lock": func(*View) { fail() },
		"outside of it":  func(v *View) { v.Unlocked(fail) },
		"behind it":      func(v *View) { v.Unlocked(func() {}); fail() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			_, _ = s.Read(tenant, db0, 0, fn)
		}()
		apply(t, s, db0, 2, func(tx *Tx) { tx.Set([]byte("a"), []byte(name), 0) })
		if got, _ := get(t, s, db0, "a"); got != name {
			t.Errorf("%s: read %q", name, got)
		}
	}
}
