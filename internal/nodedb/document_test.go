package nodedb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// formatOf reads the format of a directory's file.
func formatOf(t *testing.T, dir string) uint32 {
	t.Helper()
	file, err := bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var version uint32
	err = file.View(func(tx *bolt.Tx) error {
		version = binary.BigEndian.Uint32(tx.Bucket(bucketName).Get(keyFormat))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Random: ids()})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string][]byte{}
	for i, size := range []int{0, 1, pieceBytes - 4, pieceBytes, 3*pieceBytes + 7, DocumentBytesMax, 5} {
		for _, name := range []string{"a", "ab"} {
			document := bytes.Repeat([]byte{byte(i), name[0]}, size/2+1)[:size]
			if err := db.Keep(name, document); err != nil {
				t.Fatal(err)
			}
			kept[name] = document
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if db, err = Open(dir, Options{Random: ids()}); err != nil {
				t.Fatalf("after %d bytes: %v", size, err)
			}
			for name, want := range kept {
				if got := db.Document(name); !bytes.Equal(got, want) {
					t.Fatalf("after %d bytes: %q has %d bytes, want %d", size, name, len(got), len(want))
				}
			}
		}
	}
	if db.Document("b") != nil {
		t.Error("a document that nobody kept")
	}
	for name, size := range map[string]int{"": 1, "a\x00": 1, "a": DocumentBytesMax + 1} {
		if db.Keep(name, make([]byte, size)) == nil {
			t.Errorf("document %q of %d bytes is kept", name, size)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFormatRises: a directory stays open to older binaries until it holds what they do not know.
func TestFormatRises(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Random: ids()})
	if err := errors.Join(err, db.SetFounded(), db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := formatOf(t, dir); got != formatFirst {
		t.Fatalf("format %d without documents", got)
	}
	db, err = Open(dir, Options{Random: ids()})
	if err := errors.Join(err, db.Keep("a", nil), db.Close()); err != nil {
		t.Fatal(err)
	}
	if got := formatOf(t, dir); got != format {
		t.Fatalf("format %d with a document", got)
	}
}

func TestEnter(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Random: ids()})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Enter(77, "a", []byte("x")); err != nil || db.Identity().Cluster != 77 {
		t.Fatalf("Enter = %v, cluster %d", err, db.Identity().Cluster)
	}
	if db.Enter(0, "a", nil) == nil {
		t.Error("cluster 0 is taken")
	}
	if err := db.SetFounded(); err != nil {
		t.Fatal(err)
	}
	if err := db.Enter(78, "a", []byte("y")); err == nil || db.Identity().Cluster != 77 {
		t.Errorf("a node with a log enters another cluster: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	requireIdentity(t, dir, Identity{Cluster: 77, Node: 2, Incarnation: 3, Process: 2})
	if db, err = Open(dir, Options{Random: ids()}); err != nil || string(db.Document("a")) != "x" {
		t.Fatalf("the document is %q (%v)", db.Document("a"), err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestEarlierFormat: documents of a version that kept no checksum of them all are taken over, and get one.
func TestEarlierFormat(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Random: ids()})
	if err := errors.Join(err, db.Keep("a", []byte("x")), db.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := bolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = file.Update(func(tx *bolt.Tx) error {
		earlier := record{Identity: Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1}}
		b := tx.Bucket(bucketName)
		return errors.Join(b.Put(keyFormat, []byte{0, 0, 0, 2}), b.Put(keyRecord, earlier.encode()))
	})
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	db, err = Open(dir, Options{Random: ids()})
	if err != nil {
		t.Fatal(err)
	}
	if string(db.Document("a")) != "x" || !db.record.listed {
		t.Errorf("document %q, record %+v", db.Document("a"), db.record)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := formatOf(t, dir); got != format {
		t.Errorf("format %d", got)
	}
}

// TestDocumentDamage: a piece that is lost or changed is noticed.
func TestDocumentDamage(t *testing.T) {
	damages := map[string]func(b *bolt.Bucket) error{
		"lost first": func(b *bolt.Bucket) error { return b.Delete(documentKey("a", 0)) },
		"lost last":  func(b *bolt.Bucket) error { return b.Delete(documentKey("a", 2)) },
		"changed":    func(b *bolt.Bucket) error { return b.Put(documentKey("a", 1), make([]byte, pieceBytes)) },
		"no name":    func(b *bolt.Bucket) error { return b.Put([]byte("document/a"), nil) },
		"short":      func(b *bolt.Bucket) error { return b.Put(documentKey("b", 0), []byte{1}) },
	}
	for name, damage := range damages {
		dir := t.TempDir()
		db, err := Open(dir, Options{Random: ids()})
		if err := errors.Join(err, db.Keep("a", bytes.Repeat([]byte("x"), 2*pieceBytes+9)), db.Close()); err != nil {
			t.Fatal(err)
		}
		file, err := bolt.Open(filepath.Join(dir, fileName), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = file.Update(func(tx *bolt.Tx) error { return damage(tx.Bucket(bucketName)) })
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := openAndClose(dir); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: Open = %v, want ErrDamaged", name, err)
		}
	}
}
