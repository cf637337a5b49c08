package server

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/wal"
)

// check runs CheckData, which must not fail or change anything, and returns what it reported line by line.
func check(t *testing.T, dir string) (report string, sound bool) {
	t.Helper()
	before := tree(t, dir)
	report, sound, err := tryCheck(dir)
	must(t, err)
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Fatalf("the check has changed the directory:\n%s", diff)
	}
	return report, sound
}

func tryCheck(dir string) (report string, sound bool, err error) {
	var lines []string
	sound, err = CheckData(dir, func(f wal.Finding) { lines = append(lines, f.String()) })
	return strings.Join(lines, "\n"), sound, err
}

// tree returns a line about everything in a directory.
func tree(t *testing.T, dir string) (lines []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprint(path, " ", info.Mode(), " ", info.ModTime())
		if !d.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(content))
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// first returns the first file that matches.
func first(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	if len(names) == 0 {
		t.Fatalf("%s has no %s", dir, pattern)
	}
	return names[0]
}

func flip(t *testing.T, path string, offset int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	content[offset] ^= 4
	must(t, os.WriteFile(path, content, 0o600))
}

func TestCheckSound(t *testing.T) {
	dir := ran(t)
	report, sound := check(t, dir)
	for _, want := range []string{
		"started 1 times", "group 1 as of entry 4 of term 2: 1 namespaces, 1 keys", "0000000000000001.wal",
		"the newest checkpoint ends at 4, the log goes on to entry 4",
	} {
		if !sound || !strings.Contains(report, want) {
			t.Errorf("%q is not in\n%s", want, report)
		}
	}
	t.Run("without checkpoint", func(t *testing.T) {
		must(t, os.RemoveAll(checkpointDir(dir)))
		report, sound := check(t, dir)
		if !sound || !strings.Contains(report, "there is no checkpoint") {
			t.Errorf("sound = %v\n%s", sound, report)
		}
	})
}

func TestCheckDamage(t *testing.T) {
	moved := func(t *testing.T, dir, to string) {
		old := first(t, checkpointDir(dir), "*.db")
		for _, end := range []string{".db", ".crc"} {
			must(t, os.Rename(strings.TrimSuffix(old, ".db")+end, filepath.Join(checkpointDir(dir), to+end)))
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string // in a line about damage
	}{
		{"a frame", func(t *testing.T, dir string) { flip(t, first(t, logDir(dir), "*.wal"), 4096+100) }, ".wal at 4"},
		{"a segment's header", func(t *testing.T, dir string) { flip(t, first(t, logDir(dir), "*.wal"), 20) },
			"0001.wal at 0: the segment header"},
		{"a checkpoint", func(t *testing.T, dir string) { flip(t, first(t, checkpointDir(dir), "*.db"), 9000) },
			".db at 0: the 20480 bytes from there"},
		{"checksums", func(t *testing.T, dir string) { must(t, os.Remove(first(t, checkpointDir(dir), "*.crc"))) },
			".crc at 0: the file of checksums is missing"},
		{"a renamed checkpoint", func(t *testing.T, dir string) { moved(t, dir, "1-2-99") }, "by its content"},
		{"node.db", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "node.db"), 4096)) },
			"node.db is damaged"},
		{"no node.db", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "node.db"))) },
			"node.db is missing"},
		{"another node's log", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(logDir(dir)))
			must(t, os.Rename(logDir(ran(t)), logDir(dir)))
		}, "belongs to another node"},
		{"another node's checkpoint", func(t *testing.T, dir string) {
			other := ranAgain(t, 3)
			must(t, os.RemoveAll(checkpointDir(dir)))
			must(t, os.Rename(checkpointDir(other), checkpointDir(dir)))
		}, "ends at entry 4, but the newest checkpoint ends at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := ran(t)
			tt.damage(t, dir)
			report, sound := check(t, dir)
			found := false
			for line := range strings.Lines(report) {
				found = found || strings.HasPrefix(line, "DAMAGED") && strings.Contains(line, tt.want)
			}
			if sound || !found {
				t.Errorf("sound = %v, want %q in\n%s", sound, tt.want, report)
			}
			if s, err := Start(t.Context(), testOptions(t, dir)); err == nil {
				mustStop(t, s)
				t.Error("check calls it damaged, but a node starts on it")
			}
		})
	}
}

// ranAgain is a data directory after several runs.
func ranAgain(t *testing.T, runs int) (dir string) {
	t.Helper()
	dir = ran(t)
	for range runs {
		mustStop(t, mustStart(t, testOptions(t, dir)))
	}
	return dir
}

// TestCheckJoint: a log and a checkpoint that are sound by themselves, but need not fit each other. The checkpoint
// is as of entry 4 of term 2.
func TestCheckJoint(t *testing.T) {
	begin := wal.SnapshotMark{Index: 1, Term: 1}
	tests := []struct {
		name    string
		mark    wal.SnapshotMark // zero: the log does not know the group
		entries []uint64         // terms of what follows the mark
		term    uint64           // of the group
		want    string
		sound   bool
	}{
		{"reaches over it", begin, []uint64{2, 2, 2, 2}, 2, "goes on to entry 5", true},
		{"begins behind it", wal.SnapshotMark{Index: 4, Term: 2}, nil, 2, "goes on to entry 4", true},
		{"begins in it", wal.SnapshotMark{Index: 3, Term: 2}, []uint64{2, 3}, 4, "goes on to entry 5", true},
		{"of another term", begin, []uint64{2, 2, 3}, 3, "has term 3 in the log and 2 in the checkpoint", false},
		{"too short", begin, []uint64{2}, 2, "ends at entry 2, but the newest checkpoint ends at 4", false},
		{"begins too late", wal.SnapshotMark{Index: 5, Term: 2}, []uint64{2}, 2,
			"begins at entry 6, but the newest checkpoint ends at 4", false},
		{"a term from nowhere", begin, []uint64{2, 2, 2, 5}, 4, "has term 4, but its last entry has 5", false},
		{"unknown", wal.SnapshotMark{}, nil, 0, "does not know group 1", false},
	}
	dir := ran(t)
	db, err := nodedb.Inspect(dir, nodedb.Options{})
	must(t, err)
	id := db.Identity()
	must(t, db.Close())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			must(t, os.RemoveAll(logDir(dir)))
			log := openLog(t, dir, id)
			if last := tt.mark.Index + uint64(len(tt.entries)); last > 0 {
				hard := wal.HardState{Term: max(tt.term, tt.mark.Term), Commit: tt.mark.Index}
				must(t, log.Append(&wal.Record{Group: groupID, HardState: hard, Snapshot: &tt.mark}))
				r := &wal.Record{Group: groupID, HardState: wal.HardState{Term: tt.term, Commit: last}}
				for i, term := range tt.entries {
					r.Entries = append(r.Entries, wal.Entry{Term: term, Index: tt.mark.Index + uint64(i) + 1})
				}
				must(t, log.Append(r))
				must(t, log.Sync())
			}
			must(t, log.Close())
			report, sound := check(t, dir)
			if sound != tt.sound || !strings.Contains(report, tt.want) {
				t.Errorf("sound = %v, want %q in\n%s", sound, tt.want, report)
			}
			if tt.sound {
				return // what the log holds is nothing to apply
			}
			if s, err := Start(t.Context(), testOptions(t, dir)); err == nil {
				mustStop(t, s)
				t.Error("check calls it damaged, but a node starts on it")
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ name, dir, want string }{
		{"missing", filepath.Join(dir, "none"), "no such file"},
		{"empty", dir, "no data of a node"},
		{"a file", "check_test.go", "check_test.go"},
	}
	for _, tt := range tests {
		if _, sound, err := tryCheck(tt.dir); sound || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: sound = %v, %v", tt.name, sound, err)
		}
	}
	s := mustStart(t, testOptions(t, dir))
	if report, sound, err := tryCheck(dir); sound || err == nil || !strings.Contains(err.Error(), "stop the node") {
		t.Errorf("a running node: sound = %v, %v\n%s", sound, err, report)
	}
	mustStop(t, s)
	t.Run("newer", func(t *testing.T) {
		path := first(t, checkpointDir(dir), "*.crc")
		content, err := os.ReadFile(path)
		must(t, err)
		content[11] = 9 // its format
		body := content[:len(content)-4]
		sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
		must(t, os.WriteFile(path, binary.BigEndian.AppendUint32(body, sum), 0o600))
		if _, sound, err := tryCheck(dir); sound || err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("sound = %v, %v", sound, err)
		}
	})
}

// TestCheckTells what is neither damage nor data.
func TestCheckTells(t *testing.T) {
	dir := ran(t)
	must(t, os.WriteFile(filepath.Join(checkpointDir(dir), "1-2-7.db.tmp"), nil, 0o600))
	must(t, os.Remove(filepath.Join(logDir(dir), "lock")))
	report, sound := check(t, dir)
	if !sound || !strings.Contains(report, "1-2-7.db.tmp at 0: no part of a complete checkpoint") {
		t.Errorf("sound = %v\n%s", sound, report)
	}
}
