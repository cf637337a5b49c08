package nodedb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ids is a reader of 8-byte numbers that count up from 1, as newIdentity sees them.
func ids() io.Reader {
	var b []byte
	for i := uint64(1); i <= 30; i++ {
		b = binary.BigEndian.AppendUint64(b, i<<1)
	}
	return bytes.NewReader(b)
}

func openAndClose(dir string) (Identity, error) {
	db, err := Open(dir, Options{Random: ids(), LockTimeout: 10 * time.Millisecond})
	if err != nil {
		return Identity{}, err
	}
	return db.Identity(), db.Close()
}

func requireIdentity(t *testing.T, dir string, want Identity) {
	t.Helper()
	got, err := openAndClose(dir)
	if err != nil || got != want {
		t.Fatalf("Open = %+v, %v; want %+v", got, err, want)
	}
}

func TestFirstAndLaterStarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	for process := uint64(1); process <= 4; process++ {
		requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: process})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the directory holds %v (%v), want node.db alone", entries, err)
	}
}

func TestIDs(t *testing.T) {
	ones := bytes.NewReader(bytes.Repeat([]byte{0xff}, 24))
	id, err := newIdentity(ones)
	if err != nil || id.Node != 1<<63-1 {
		t.Errorf("from ones: %+v, %v", id, err)
	}
	id, err = newIdentity(bytes.NewReader(make([]byte, 24)))
	if err != nil || id.Cluster == 0 || id.Node == 0 || id.Incarnation == 0 {
		t.Errorf("from zeros: %+v, %v", id, err)
	}
	dir := t.TempDir()
	if _, err := Open(dir, Options{Random: bytes.NewReader(make([]byte, 23))}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Open without enough randomness = %v", err)
	}
	requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1})
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, Options{Random: ids()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openAndClose(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("Open of an open directory = %v, want ErrLocked", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 2})
}

// TestFirstStartTwice starts several at once in an empty directory: one gets it, the others are told.
func TestFirstStartTwice(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var opened []*DB
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := Open(dir, Options{Random: ids(), LockTimeout: 10 * time.Millisecond})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				opened = append(opened, db)
			} else if !errors.Is(err, ErrLocked) {
				t.Errorf("Open = %v, want ErrLocked", err)
			}
		})
	}
	wg.Wait()
	if len(opened) != 1 || opened[0].Identity().Process != 1 {
		t.Fatalf("%d of them opened the directory", len(opened))
	}
	if err := opened[0].Close(); err != nil {
		t.Fatal(err)
	}
	requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 2})
}

func TestLeftoverOfCrash(t *testing.T) {
	dir := t.TempDir()
	leftover := filepath.Join(dir, "node.db.123.tmp")
	if err := os.WriteFile(leftover, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1})
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the leftover is still there: %v", err)
	}
}

func TestMissingBesideData(t *testing.T) {
	for _, name := range []string{"wal", "checkpoint"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name, "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openAndClose(dir); !errors.Is(err, ErrMissing) {
			t.Fatalf("%s: Open = %v, want ErrMissing", name, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1})
	}
}

func TestFormats(t *testing.T) {
	tests := []struct {
		name string
		key  []byte
		to   []byte
		want error
	}{
		{"newer", keyFormat, []byte{0, 0, 0, format + 1}, ErrNewerFormat},
		{"zero", keyFormat, []byte{0, 0, 0, 0}, ErrDamaged},
		{"short", keyFormat, []byte{1}, ErrDamaged},
		{"no record", keyRecord, nil, ErrDamaged},
		{"zero record", keyRecord, record{}.encode(), ErrDamaged},
		{"long record", keyRecord, append(record{Identity: Identity{1, 1, 1, 1}}.encode(), 0), ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1})
			db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketName).Put(tt.key, tt.to) })
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a refusal changes nothing and lets go of the lock
				if _, err := openAndClose(dir); !errors.Is(err, tt.want) {
					t.Fatalf("Open = %v, want %v", err, tt.want)
				}
			}
		})
	}
}

func TestFounded(t *testing.T) {
	dir := t.TempDir()
	for run, want := range []bool{false, false, true, true} {
		db, err := Open(dir, Options{Random: ids()})
		if err != nil {
			t.Fatal(err)
		}
		if db.Founded() != want {
			t.Errorf("run %d: Founded = %v", run, !want)
		}
		if run == 1 {
			if err := db.SetFounded(); err != nil || !db.Founded() {
				t.Fatalf("SetFounded = %v, Founded = %v", err, db.Founded())
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	requireIdentity(t, dir, Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 5})
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	if _, err := Inspect(dir, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Inspect of an empty directory = %v", err)
	}
	db, err := Open(dir, Options{Random: ids()})
	if err != nil {
		t.Fatal(err)
	}
	short := Options{Random: ids(), LockTimeout: 10 * time.Millisecond}
	if _, err := Inspect(dir, short); !errors.Is(err, ErrLocked) {
		t.Fatalf("Inspect of an open directory = %v, want ErrLocked", err)
	}
	if err := errors.Join(db.SetFounded(), db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	seen, err := Inspect(dir, short)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 1}); seen.Identity() != want || !seen.Founded() {
		t.Errorf("Inspect sees %+v, founded %v", seen.Identity(), seen.Founded())
	}
	if _, err := Open(dir, short); !errors.Is(err, ErrLocked) {
		t.Errorf("Open of an inspected directory = %v, want ErrLocked", err)
	}
	if err := seen.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Inspect has changed the file (%v)", err)
	}
}

// TestDamage flips and cuts: the answer is the right identity with the next process number, or a refusal.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		if _, err := openAndClose(dir); err != nil {
			t.Fatal(err)
		}
	}
	sound, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	place := func(content []byte) string {
		dir, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fileName), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	try := func(what string, at int, content []byte) {
		seen, seenErr := Inspect(place(content), Options{})
		if seenErr == nil {
			if got, err := seen.Identity(), seen.Close(); err != nil || got.Process != 3 {
				t.Errorf("%s at %d: Inspect = %+v, %v", what, at, got, err)
			}
		}
		got, err := openAndClose(place(content))
		if (err == nil) != (seenErr == nil) {
			t.Errorf("%s at %d: Open = %v, Inspect = %v", what, at, err, seenErr)
		}
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewerFormat):
			refused++
		case err != nil:
			t.Errorf("%s at %d: %v", what, at, err)
		case got != Identity{Cluster: 1, Node: 2, Incarnation: 3, Process: 4}:
			t.Errorf("%s at %d: %+v", what, at, got)
		}
	}
	for at := 0; at < len(sound); at += 127 {
		flipped := bytes.Clone(sound)
		flipped[at] ^= 0x11
		try("flip", at, flipped)
	}
	for at := 0; at < len(sound); at += 1021 {
		try("cut", at, sound[:at])
	}
	for at := 0; at < len(sound); at += pageBytes {
		try("cut", at, sound[:at])
	}
	if refused == 0 {
		t.Error("nothing was refused: the damage does not reach the record")
	}
}
