package nodedb

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// soundFile is a node.db with two documents, one of many pieces, and the identity in it.
func soundFile(tb testing.TB) (content []byte, id Identity, documents map[string][]byte) {
	tb.Helper()
	documents = map[string][]byte{"a": []byte("one"), "cluster": bytes.Repeat([]byte("list "), 2*pageBytes)}
	dir := tb.TempDir()
	db, err := Open(dir, Options{Random: rand.Reader})
	if err == nil {
		id = db.Identity()
		id.Cluster = 77
		err = errors.Join(db.Keep("a", documents["a"]), db.Enter(77, "cluster", documents["cluster"]), db.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
	if content, err = os.ReadFile(filepath.Join(dir, fileName)); err != nil {
		tb.Fatal(err)
	}
	return content, id, documents
}

// openChanged opens a file that is not as it was written: the answer is the right one or a refusal.
func openChanged(t *testing.T, dir string, content []byte, want Identity, documents map[string][]byte) error {
	t.Helper()
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, fileName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(dir, Options{Random: rand.Reader, LockTimeout: 10 * time.Millisecond})
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewerFormat) {
		return err
	}
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want.Process++
	if db.Identity() != want {
		t.Fatalf("opened as %+v, want %+v", db.Identity(), want)
	}
	for name, document := range documents {
		if !bytes.Equal(db.Document(name), document) {
			t.Fatalf("document %q has %d bytes, want %d", name, len(db.Document(name)), len(document))
		}
	}
	if len(db.documents) != len(documents) {
		t.Fatalf("%d documents, want %d", len(db.documents), len(documents))
	}
	return nil
}

// TestDocumentIsNotForgotten changes each byte of the keys under which documents are kept: a document that is not found
// any more is damage, not one that was never kept. A founder would begin to found anew.
func TestDocumentIsNotForgotten(t *testing.T) {
	sound, id, documents := soundFile(t)
	dir, refused := t.TempDir(), 0
	for at, keys := 0, 0; at < len(sound); at++ {
		next := bytes.Index(sound[at:], documentsPrefix)
		if next < 0 {
			break
		}
		at += next
		if keys++; keys%4 != 0 {
			continue
		}
		for i := range len(documentsPrefix) + len("cluster") + 3 {
			changed := bytes.Clone(sound)
			changed[at+i] ^= 1 << (i % 8)
			if openChanged(t, dir, changed, id, documents) != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused: the damage does not reach the documents")
	}
}

// FuzzOpen changes a sound file in two places: Open finds what was kept, all of it, or refuses.
func FuzzOpen(f *testing.F) {
	sound, id, documents := soundFile(f)
	prefix := uint32(bytes.LastIndex(sound, documentsPrefix))
	f.Add(uint32(0), []byte{}, uint32(0), []byte{})
	f.Add(prefix, []byte("e"), uint32(0), []byte{})
	f.Add(uint32(16), []byte{1, 2, 3}, uint32(pageBytes+16), []byte{1})
	f.Add(uint32(2*pageBytes+10), []byte{0xff, 0xff, 0xff, 0xff}, uint32(3*pageBytes+8), []byte{4, 0})
	f.Add(uint32(pageBytes-1), bytes.Repeat([]byte{0xff}, 20), prefix+11, []byte{9})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, first uint32, a []byte, second uint32, b []byte) {
		changed := bytes.Clone(sound)
		copy(changed[first%uint32(len(sound)):], a)
		copy(changed[second%uint32(len(sound)):], b)
		err := openChanged(t, dir, changed, id, documents)
		if err != nil && bytes.Equal(changed, sound) {
			t.Fatal(err)
		}
	})
}

// FuzzRecord: a record that is taken is the one form of what it says.
func FuzzRecord(f *testing.F) {
	f.Add(record{Identity: Identity{1, 2, 3, 4}}.encode())
	f.Add(record{Identity: Identity{1, 2, 3, 4}, founded: true}.encode())
	f.Add(record{Identity: Identity{1, 2, 3, 4}, listed: true, documents: 9}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(b) - 4; n > 0 { // the checksum is made right, or the fuzzer never gets past it
			binary.BigEndian.PutUint32(b[n:], crc32.Checksum(b[:n], castagnoli))
		}
		if r, ok := decodeRecord(b); ok && !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x is read as %+v, which is %x", b, r, r.encode())
		}
	})
}
