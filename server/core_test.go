package server

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openLog opens the log of a node, or makes an empty one.
func openLog(t *testing.T, dir string, id nodedb.Identity) *wal.Log {
	t.Helper()
	log, _, err := wal.Open(wal.Options{
		FS: vfs.OS, Dir: logDir(dir), ID: logID(id), SegmentBytes: segmentBytes,
	})
	must(t, err)
	return log
}

// crashed makes a data directory as a crash during the very first start leaves it: after the step that is named.
func crashed(t *testing.T, after string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := nodedb.Open(dir, nodedb.Options{Random: rand.Reader})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	if after == "node.db" {
		return dir
	}
	log := openLog(t, dir, db.Identity())
	defer func() { must(t, log.Close()) }()
	if after == "log" {
		return dir
	}
	founding, err := raft.Founding(raft.ReplicaID(db.Identity().Node))
	must(t, err)
	_, err = raft.Bootstrap(log, groupID, founding)
	must(t, err)
	if after == "bootstrap" {
		return dir
	}
	must(t, db.SetFounded())
	return dir
}

// founded reads the mark.
func founded(t *testing.T, dir string) bool {
	t.Helper()
	db, err := nodedb.Inspect(dir, nodedb.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	return db.Founded()
}

// TestFirstStartCrashes: wherever the first start ends, the next one goes on.
func TestFirstStartCrashes(t *testing.T) {
	for _, after := range []string{"node.db", "log", "bootstrap", "mark"} {
		t.Run(after, func(t *testing.T) {
			dir := crashed(t, after)
			if founded(t, dir) != (after == "mark") {
				t.Fatal("the mark comes too early or too late")
			}
			if report, sound := check(t, dir); !sound {
				t.Fatalf("check calls it damaged:\n%s", report)
			}
			for range 2 {
				mustStop(t, mustStart(t, testOptions(t, dir)))
				if !founded(t, dir) {
					t.Fatal("the node runs without its mark")
				}
			}
		})
	}
}

// TestLogLost: a node that has begun a log does not start without it, and touches nothing.
func TestLogLost(t *testing.T) {
	tests := []struct {
		name string
		lose func(t *testing.T, dir string)
	}{
		{"directory is gone", func(t *testing.T, dir string) { must(t, os.RemoveAll(logDir(dir))) }},
		{"directory is empty", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(logDir(dir)))
			must(t, os.Mkdir(logDir(dir), 0o700))
		}},
		{"segments are gone", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(logDir(dir), "*.wal"))
			must(t, err)
			for _, name := range names {
				must(t, os.Remove(name))
			}
		}},
		{"an empty log in its place", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(logDir(dir)))
			db, err := nodedb.Inspect(dir, nodedb.Options{})
			must(t, err)
			must(t, errors.Join(openLog(t, dir, db.Identity()).Close(), db.Close()))
		}},
	}
	for _, tt := range tests {
		for _, withCheckpoint := range []bool{false, true} {
			name := tt.name
			if withCheckpoint {
				name += ", checkpoint is there"
			}
			t.Run(name, func(t *testing.T) {
				dir := ran(t)
				if !withCheckpoint {
					must(t, os.RemoveAll(checkpointDir(dir)))
				}
				tt.lose(t, dir)
				before := segments(t, dir)
				for range 2 {
					s, err := Start(t.Context(), testOptions(t, dir))
					if err == nil {
						mustStop(t, s)
					}
					if !errors.Is(err, errLogLost) || !strings.Contains(err.Error(), dir) {
						t.Fatalf("Start = %v, want %v", err, errLogLost)
					}
				}
				if after := segments(t, dir); after != before {
					t.Errorf("the refusal has changed the directory from %q to %q", before, after)
				}
				if report, sound := check(t, dir); sound || !strings.Contains(report, "is gone") {
					t.Errorf("check says:\n%s", report)
				}
			})
		}
	}
}

// TestCheckpointWithoutLog: a checkpoint is never taken up by a log that begins anew, mark or not.
func TestCheckpointWithoutLog(t *testing.T) {
	dir := crashed(t, "log")
	must(t, os.Rename(checkpointDir(ran(t)), checkpointDir(dir)))
	for range 2 {
		if _, err := Start(t.Context(), testOptions(t, dir)); !errors.Is(err, errLogLost) {
			t.Fatalf("Start = %v, want %v", err, errLogLost)
		}
	}
	if founded(t, dir) {
		t.Error("the refused start has set the mark")
	}
	if report, sound := check(t, dir); sound {
		t.Errorf("check finds nothing:\n%s", report)
	}
}

// TestLogPutBack: the refusal is no dead end.
func TestLogPutBack(t *testing.T) {
	dir := ran(t)
	aside := filepath.Join(t.TempDir(), "wal")
	must(t, os.Rename(logDir(dir), aside))
	if _, err := Start(t.Context(), testOptions(t, dir)); !errors.Is(err, errLogLost) {
		t.Fatalf("Start = %v", err)
	}
	must(t, os.Rename(aside, logDir(dir)))
	s := mustStart(t, testOptions(t, dir))
	defer mustStop(t, s)
	if answer := ask(t, s, "GET", "k"); answer != "$4\r\nkept\r\n" {
		t.Errorf("GET answers %q", answer)
	}
}

// ran returns the data directory of a node that has stored a key and was stopped.
func ran(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	s := mustStart(t, testOptions(t, dir))
	if answer := ask(t, s, "SET", "k", "kept"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	must(t, s.Stop(context.Background()))
	return dir
}

// segments names the segments of a log.
func segments(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(logDir(dir), "*.wal"))
	must(t, err)
	return strings.Join(names, " ")
}
