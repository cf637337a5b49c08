package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// moment is a copy of a data directory, as a process that is killed leaves it.
type moment struct {
	dir    string
	step   string // that was to come
	served bool   // a write had been acknowledged
}

// copyOf copies a data directory.
func copyOf(t *testing.T, data string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestKilledInFirstStart kills a node before each operation on its log, from the first one on, and once between the
// log and the note in node.db that it was begun. It starts again as the same node, with what it has acknowledged.
func TestKilledInFirstStart(t *testing.T) {
	o := testOptions(t, filepath.Join(t.TempDir(), "data"))
	data := o.Config.Storage.DataDir
	var mu sync.Mutex
	var moments []moment
	served := false
	o.logFS = vfs.Hooked(vfs.OS, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind != vfs.OpLock {
			moments = append(moments, moment{copyOf(t, data), strings.ReplaceAll(op.String(), data, "data"), served})
		}
		return nil
	})
	s := mustStart(t, o)
	identity := s.core.identity
	if answer := ask(t, s, "SET", "k", "kept"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	mu.Lock()
	served = true
	mu.Unlock()
	mustStop(t, s)

	if between := begunNotNoted(t, moments); between != nil {
		moments = append(moments, *between)
	} else {
		t.Error("there is no moment between the log and the note in node.db")
	}
	first, written := 0, 0
	for _, m := range moments {
		if _, err := os.Stat(filepath.Join(logDir(m.dir), "0000000000000001.wal")); err != nil {
			first++
		} else {
			written++
		}
		again := testOptions(t, m.dir)
		s, err := Start(t.Context(), again)
		if err != nil {
			t.Fatalf("before %s: %v", m.step, err)
		}
		got := s.core.identity
		if got.Process--; got != identity {
			t.Errorf("before %s: came back as %+v, was %+v", m.step, got, identity)
		}
		answer := ask(t, s, "GET", "k")
		if m.served && answer != "$4\r\nkept\r\n" || answer != "$4\r\nkept\r\n" && answer != "$-1\r\n" {
			t.Errorf("before %s: GET answers %q", m.step, answer)
		}
		mustStop(t, s)
	}
	if t.Logf("killed %d times before there was a log, %d times after", first, written); first < 5 || written < 10 {
		t.Error("too little to show anything")
	}
}

// begunNotNoted is the moment at which the log was begun and node.db does not say so yet: the log of the first moment
// of which node.db says so, with node.db of the moment before.
func begunNotNoted(t *testing.T, moments []moment) *moment {
	t.Helper()
	for i, m := range moments {
		if !founded(t, m.dir) {
			continue
		}
		dir := copyOf(t, m.dir)
		name := filepath.Join(dir, "node.db")
		before, err := os.ReadFile(filepath.Join(moments[i-1].dir, "node.db"))
		if err == nil {
			err = os.WriteFile(name, before, fs.FileMode(0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
		if founded(t, dir) {
			t.Fatal("node.db is that of a founded node")
		}
		return &moment{dir, "the log is noted", false}
	}
	return nil
}
