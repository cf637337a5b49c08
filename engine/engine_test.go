package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

func TestReferences(t *testing.T) {
	s := newState()
	var id uint64
	apply(t, s, NoNamespace, 1, func(tx *Tx) {
		info, err := tx.CreateNamespace(tenant, "app")
		if err != nil || info.Number != -1 {
			t.Fatal(info, err)
		}
		id = info.ID
	})
	for _, c := range []struct {
		name       string
		credential string
		ref        Ref
		want       error
	}{
		{"own", tenant, Ref{ID: id}, nil},
		{"of another credential", "other", Ref{ID: id}, ErrNotOwner},
		{"missing id", tenant, Ref{ID: id + 1}, ErrNoNamespace},
		{"number never written", "other", Ref{Number: 15}, nil},
		{"number too large", tenant, Ref{Number: 16}, ErrNoNamespace},
		{"number too small", tenant, Ref{Number: -2}, ErrNoNamespace},
		{"none", tenant, NoNamespace, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := s.Read(c.credential, c.ref, 0, func(v *View) { v.Lookup(nil) }); !errors.Is(err, c.want) {
				t.Errorf("Read: %v, want %v", err, c.want)
			}
			b := s.Begin(1, 0)
			defer b.End()
			tx, err := b.Tx(c.credential, c.ref)
			if !errors.Is(err, c.want) {
				t.Errorf("Tx: %v, want %v", err, c.want)
			}
			if err == nil {
				tx.Rollback()
			}
		})
	}
}

func TestCreateNamespace(t *testing.T) {
	s := newState()
	apply(t, s, NoNamespace, 1, func(tx *Tx) {
		for _, c := range []struct {
			name       string
			credential string
			namespace  string
			want       error
		}{
			{"new", tenant, "app", nil},
			{"again", tenant, "app", nil},
			{"of another credential", "other", "app", ErrNameTaken},
			{"empty", tenant, "", ErrName},
			{"bad character", tenant, "a/b", ErrName},
			{"too long", tenant, strings.Repeat("a", NameBytesMax+1), ErrName},
			{"longest", tenant, strings.Repeat("a", NameBytesMax), nil},
			{"a number", tenant, "15", nil},
			{"the same number of another credential", "other", "15", nil},
			{"no number of a database", tenant, "16", nil},
			{"no credential", "", "b", ErrCredential},
			{"credential too long", strings.Repeat("c", CredentialBytesMax+1), "b", ErrCredential},
		} {
			if _, err := tx.CreateNamespace(c.credential, c.namespace); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
	})
	check(t, s)
	var names []string
	list := func(v *View) {
		v.Namespaces(tenant, func(i Info) bool {
			names = append(names, fmt.Sprintf("%.3s/%d/%d", i.Name, i.Number, i.Keys))
			return true
		})
	}
	if _, err := s.Read(tenant, NoNamespace, 0, list); err != nil {
		t.Fatal(err)
	}
	if want := []string{"15/15/0", "16/-1/0", "aaa/-1/0", "app/-1/0"}; !slices.Equal(names, want) {
		t.Errorf("namespaces are %v, want %v", names, want)
	}
}

func TestNamespacesAreBounded(t *testing.T) {
	s := newState()
	apply(t, s, NoNamespace, 1, func(tx *Tx) {
		for i := range NamespacesMax {
			if _, err := tx.CreateNamespace(tenant, fmt.Sprintf("n%d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := tx.CreateNamespace(tenant, "one-more"); !errors.Is(err, ErrTooMany) {
			t.Fatalf("got %v, want %v", err, ErrTooMany)
		}
		if _, err := tx.CreateNamespace(tenant, "n7"); err != nil {
			t.Fatalf("one that is there: %v", err)
		}
		if _, err := tx.CreateNamespace("other", "theirs"); err != nil {
			t.Fatalf("another credential: %v", err)
		}
	})
	check(t, s)
	if memory, least := s.Memory(), int64(NamespacesMax*namespaceOverhead); memory < least {
		t.Errorf("counted to hold %d bytes, want %d at least", memory, least)
	}
}

func TestDropNamespace(t *testing.T) {
	s := newState()
	var app, numbered Info
	apply(t, s, NoNamespace, 1, func(tx *Tx) {
		app, _ = tx.CreateNamespace(tenant, "app")
		numbered, _ = tx.CreateNamespace(tenant, "3")
	})
	apply(t, s, Ref{ID: app.ID}, 1, func(tx *Tx) { tx.Set([]byte("k"), []byte("v"), 5) })
	dropped, _ := s.working.find(tenant, Ref{ID: app.ID})
	apply(t, s, Ref{ID: app.ID}, 1, func(tx *Tx) {
		if err := tx.DropNamespace(numbered.ID); !errors.Is(err, ErrNumbered) {
			t.Errorf("numbered database: %v", err)
		}
		if err := tx.DropNamespace(app.ID); err != nil {
			t.Error(err)
		}
		tx.Set([]byte("k"), []byte("after"), 0) // does nothing
		if tx.Len() != 0 || !errors.Is(tx.DropNamespace(app.ID), ErrNoNamespace) {
			t.Error("a dropped namespace is still there")
		}
		again, err := tx.CreateNamespace(tenant, "app")
		if err != nil || again.ID == app.ID {
			t.Errorf("created again: %v, %v", again, err)
		}
	})
	check(t, s)
	if dropped.keys.len() != 0 {
		t.Error("the items of a dropped namespace are kept")
	}
	if keys, bytes := s.Totals(); keys != 0 || bytes != 0 {
		t.Errorf("%d keys, %d bytes are left", keys, bytes)
	}
	if _, ok := s.EarliestDeadline(); ok {
		t.Error("the deadline of a dropped key is left")
	}
}

func TestClearAllSparesNamedNamespaces(t *testing.T) {
	s := newState()
	put := func(tx *Tx) { tx.Set([]byte("k"), []byte("v"), 0) }
	var app Info
	apply(t, s, NoNamespace, 1, func(tx *Tx) { app, _ = tx.CreateNamespace(tenant, "app") })
	for _, ref := range []Ref{{ID: app.ID}, {Number: 0}, {Number: 15}} {
		apply(t, s, ref, 1, put)
	}
	apply(t, s, Ref{Number: 7}, 1, func(tx *Tx) { tx.ClearAll() })
	check(t, s)
	if _, ok := get(t, s, Ref{ID: app.ID}, "k"); !ok {
		t.Error("a named namespace was cleared")
	}
	if keys, _ := s.Totals(); keys != 1 {
		t.Errorf("%d keys are left, want 1", keys)
	}
}

// TestReadAsksForTick follows a deadline between the log time and the clock, and one before both.
func TestReadAsksForTick(t *testing.T) {
	s := newState()
	apply(t, s, db0, 10, func(tx *Tx) {
		tx.Set([]byte("a"), nil, 20)
		tx.Set([]byte("b"), nil, 30)
		tx.Set([]byte("c"), nil, 0)
	})
	for _, c := range []struct {
		name  string
		key   string
		clock int64
		want  int64
	}{
		{"clock behind the log", "a", 5, 0},
		{"clock before the deadline", "a", 19, 0},
		{"clock at the deadline", "a", 20, 20},
		{"other key", "c", 100, 0},
	} {
		tick, err := s.Read(tenant, db0, c.clock, func(v *View) {
			if v.Time() != max(c.clock, 10) {
				t.Errorf("%s: time is %d", c.name, v.Time())
			}
			v.Lookup([]byte(c.key))
		})
		if err != nil || tick != c.want {
			t.Errorf("%s: tick %d, want %d", c.name, tick, c.want)
		}
	}
	s.Begin(25, 0).End()
	tick, _ := s.Read(tenant, db0, 35, func(v *View) {
		if _, ok := v.Lookup([]byte("a")); ok {
			t.Error("a key came back")
		}
		if v.Len() != 3 {
			t.Error("an expired key that is not reaped does not count")
		}
		v.Scan(0, 10, func([]byte, Item) {})
	})
	if tick != 30 {
		t.Errorf("scan asks for tick %d, want 30", tick)
	}
}

// TestWatchMemoryOverrun deletes more keys than are remembered: from then on the answer is "changed".
func TestWatchMemoryOverrun(t *testing.T) {
	s := newState()
	apply(t, s, db0, 1, func(tx *Tx) { tx.Set([]byte("x"), nil, 0) })
	changed := func() (changed bool) {
		_, err := s.Read(tenant, db0, 0, func(v *View) { changed = v.ChangedSince([]byte("missing"), 1, false) })
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	for i := range 3 * deletionsMax {
		key := fmt.Appendf(nil, "k%d", i)
		apply(t, s, db0, 1, func(tx *Tx) { tx.Set(key, nil, 0); tx.Delete(key) })
		if got, want := changed(), i >= 2*deletionsMax; got != want {
			t.Fatalf("after %d deletions: changed %v, want %v", i+1, got, want)
		}
	}
	check(t, s)
}

func TestObserver(t *testing.T) {
	s := newState()
	var got []string
	s.Observer = func(c Change) {
		got = append(got, fmt.Sprintf("%d %s %d", c.Op, c.Key, c.Revision))
	}
	apply(t, s, db0, 1, func(tx *Tx) {
		tx.Set([]byte("a"), nil, 5)
		mark := tx.Mark()
		tx.Set([]byte("undone"), nil, 0)
		tx.RollbackTo(mark)
		tx.Set([]byte("b"), nil, 0)
	})
	apply(t, s, db0, 1, func(tx *Tx) { tx.Delete([]byte("b")) })
	b := s.Begin(9, 0)
	b.Reap(10)
	b.End()
	want := []string{
		fmt.Sprintf("%d  1", OpCreate), fmt.Sprintf("%d a 1", OpSet), fmt.Sprintf("%d b 1", OpSet),
		fmt.Sprintf("%d b 2", OpDelete), fmt.Sprintf("%d a 3", OpExpire),
	}
	if !slices.Equal(got, want) {
		t.Errorf("observed %q, want %q", got, want)
	}
}

// TestCheckFindsDamage plants a bug of each kind in a healthy state.
func TestCheckFindsDamage(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(s *State, ns *namespace, it *item)
	}{
		{"tree misses an item", func(s *State, ns *namespace, it *item) { ns.keys.order.delete(it) }},
		{"tree holds an old item", func(s *State, ns *namespace, it *item) { ns.keys.order.set(it.clone(it.key())) }},
		{"tree is out of order", func(s *State, ns *namespace, it *item) {
			root := ns.keys.order.root
			root.items[0], root.items[1] = root.items[1], root.items[0]
		}},
		{"index misses an item", func(s *State, ns *namespace, it *item) {
			ns.keys.index.remove(ns.keys.index.hash(it.key()), it)
		}},
		{"wrong tag", func(s *State, ns *namespace, it *item) { ns.keys.index.root.entries[0].tags[0]++ }},
		{"bucket keeps an item", func(s *State, ns *namespace, it *item) {
			b := ns.keys.index.root.entries[0]
			b.slots[b.count] = it
		}},
		{"directory miscounts", func(s *State, ns *namespace, it *item) { ns.keys.index.root.deepest++ }},
		{"deadline without the expiry tree", func(s *State, ns *namespace, it *item) { it.deadline = 77 }},
		{"expiry tree misses an item", func(s *State, ns *namespace, it *item) {
			ns.keys.expiry.delete(ns.keys.expiry.min())
		}},
		{"bytes", func(s *State, ns *namespace, it *item) { it.length-- }},
		{"revision of the future", func(s *State, ns *namespace, it *item) { it.revision = 99 }},
		{"totals", func(s *State, ns *namespace, it *item) { s.keys.Add(1) }},
		{"queue of deadlines", func(s *State, ns *namespace, it *item) { s.deadlines.Clear() }},
		{"registry", func(s *State, ns *namespace, it *item) { s.working.numbered.Delete(tenant) }},
		{"registry not published", func(s *State, ns *namespace, it *item) { s.registry.Store(newRegistry()) }},
		{"lock left", func(s *State, ns *namespace, it *item) { ns.held = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newState()
			apply(t, s, db0, 1, func(tx *Tx) {
				for i := range 200 {
					tx.Set(fmt.Appendf(nil, "key-%d", i), []byte("value"), int64(i/100*50))
				}
			})
			check(t, s)
			ns, _ := s.working.find(tenant, db0)
			hash := ns.keys.index.hash([]byte("key-5"))
			c.plant(s, ns, ns.keys.index.find(hash, []byte("key-5")))
			if s.Check() == nil {
				t.Error("Check does not find it")
			}
		})
	}
}
