package engine

import "testing"

// TestCommittedNamespacesAreFound: a call may be answered as soon as it is committed, while the batch goes
// on. Who reads after that answer must find a namespace that the call has made, or wait for its lock: never
// read as if nothing had been written.
func TestCommittedNamespacesAreFound(t *testing.T) {
	s := New([16]byte{})
	b := s.Begin(1, 0)
	tx, err := b.Tx("tenant", Ref{Number: 3})
	if err != nil {
		t.Fatal(err)
	}
	tx.Set([]byte("k"), []byte("v"), 0)
	tx.Commit()
	if ns, err := s.registry.Load().find("tenant", Ref{Number: 3}); ns == nil || err != nil {
		t.Error("a numbered database reads as empty after a write to it was committed")
	}
	if tx, err = b.Tx("tenant", NoNamespace); err != nil {
		t.Fatal(err)
	}
	made, err := tx.CreateNamespace("tenant", "orders")
	if err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	find := func() (info Info, found bool) {
		_, err := s.Read("tenant", NoNamespace, 0, func(v *View) { info, found = v.NamespaceByName("orders") })
		if err != nil {
			t.Fatal(err)
		}
		return info, found
	}
	if info, found := find(); !found || info.ID != made.ID {
		t.Error("a namespace is not found after its creation was committed")
	}
	if tx, err = b.Tx("tenant", NoNamespace); err != nil {
		t.Fatal(err)
	}
	if err := tx.DropNamespace(made.ID); err != nil {
		t.Fatal(err)
	}
	if _, found := find(); !found {
		t.Error("a namespace is gone before its removal is committed")
	}
	tx.Rollback()
	if _, found := find(); !found {
		t.Error("a namespace is gone though its removal was undone")
	}
	if tx, err = b.Tx("tenant", NoNamespace); err != nil {
		t.Fatal(err)
	}
	if err := tx.DropNamespace(made.ID); err != nil {
		t.Fatal(err)
	}
	tx.Commit()
	if _, found := find(); found {
		t.Error("a namespace is found after its removal was committed")
	}
	b.End()
}
