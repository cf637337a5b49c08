package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// diskModel follows the operations on one directory and knows what a power loss may leave of it: of the
// entries changed since the last sync of the directory any subset, of a file not synced an empty, a short, a
// holed or the whole one. It is harsher than file systems are.
type diskModel struct {
	dir     string
	durable map[string]*inode // entries as of the last sync of the directory
	pending []entryChange     // changes since
	current map[string]*inode // entries as the process sees them
}

// inode is a file, whatever its name.
type inode struct {
	synced  bool
	content []byte // read from the real directory before each crash
}

// entryChange sets entries to files, or takes them away (nil).
type entryChange map[string]*inode

func newDiskModel(dir string) *diskModel {
	return &diskModel{dir: dir, durable: map[string]*inode{}, current: map[string]*inode{}}
}

// apply notes an operation that is about to be done.
func (m *diskModel) apply(op operation, name, to string) {
	base := filepath.Base(name)
	var change entryChange
	switch op {
	case opCreate:
		change = entryChange{base: {}}
	case opRename:
		change = entryChange{base: nil, filepath.Base(to): m.current[base]}
	case opRemove:
		change = entryChange{base: nil}
	case opSync:
		m.current[base].synced = true
	case opSyncDir:
		if filepath.Clean(name) == m.dir {
			m.durable, m.pending = maps.Clone(m.current), nil
		}
	}
	if change != nil {
		m.pending = append(m.pending, change)
		change.applyTo(m.current)
	}
}

func (c entryChange) applyTo(entries map[string]*inode) {
	for name, file := range c {
		if file == nil {
			delete(entries, name)
		} else {
			entries[name] = file
		}
	}
}

// load reads the content of every file as it is now.
func (m *diskModel) load(t *testing.T) {
	for name, file := range m.current {
		content, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		file.content = content
	}
}

// crashes calls fn with every directory that a power loss may leave now: file name to content.
func (m *diskModel) crashes(fn func(map[string][]byte)) {
	for subset := range 1 << len(m.pending) {
		entries := maps.Clone(m.durable)
		for i, change := range m.pending {
			if subset&(1<<i) != 0 {
				change.applyTo(entries)
			}
		}
		expand(entries, sortedKeys(entries), map[string][]byte{}, fn)
	}
}

// expand chooses a content for each of names in turn.
func expand(entries map[string]*inode, names []string, chosen map[string][]byte, fn func(map[string][]byte)) {
	if len(names) == 0 {
		fn(chosen)
		return
	}
	file := entries[names[0]]
	variants := [][]byte{file.content}
	if n := len(file.content); !file.synced && n > 0 {
		holed := bytes.Clone(file.content)
		clear(holed[n/4 : n/2])
		variants = append(variants, nil, file.content[:n/2], holed)
	}
	for _, content := range variants {
		chosen[names[0]] = content
		expand(entries, names[1:], chosen, fn)
	}
	delete(chosen, names[0])
}

// scenario is what the store does: an old checkpoint, a new one, then the old one removed. It calls committed
// with the index of each as soon as Commit has returned.
func scenario(dir string, f files, committed func(index uint64)) error {
	old, err := sample(5).write(dir, f)
	if err != nil {
		return err
	}
	committed(5)
	if _, err := sample(6).write(dir, f); err != nil {
		return err
	}
	committed(6)
	return f.removeCheckpoint(old)
}

// crashRun is one run of the scenario, with all crashes on the way.
type crashRun struct {
	t         *testing.T
	model     *diskModel
	committed uint64          // the newest whose Commit has returned
	seen      map[string]bool // left by a crash and inspected already
	steps     []string
	wrong     []string // findings, not many more than findingsMax
}

const findingsMax = 10

// crashEverywhere runs the scenario and, before each operation and at the end, looks at all that a power loss
// may leave. The model does not see operations for which ignore holds.
func crashEverywhere(t *testing.T, ignore func(op operation, name string) bool) *crashRun {
	root := t.TempDir()
	dir := filepath.Join(root, "checkpoint")
	run := &crashRun{t: t, model: newDiskModel(dir), seen: map[string]bool{}}
	f := files{hook: func(op operation, name, to string) error {
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		run.steps = append(run.steps, fmt.Sprintf("%s %s", op, rel))
		run.look()
		if !ignore(op, filepath.Base(name)) {
			run.model.apply(op, name, to)
		}
		return nil
	}}
	err := scenario(dir, f, func(index uint64) {
		run.committed = index
		run.look()
	})
	if err != nil {
		t.Fatal(err)
	}
	run.look()
	return run
}

// look inspects all that a power loss may leave now.
func (r *crashRun) look() {
	r.model.load(r.t)
	r.model.crashes(func(left map[string][]byte) {
		key := fmt.Sprint(r.committed)
		for _, name := range sortedKeys(left) {
			key += fmt.Sprintf("%s %d %x\n", name, len(left[name]), crc32.ChecksumIEEE(left[name]))
		}
		if r.seen[key] || len(r.wrong) >= findingsMax {
			return
		}
		r.seen[key] = true
		if problem := inspect(r.t, left, r.committed); problem != "" {
			r.wrong = append(r.wrong, fmt.Sprintf("after %d steps: %s", len(r.steps), problem))
		}
	})
}

// inspect starts a node on a directory left by a crash: what is listed must be whole, and what was committed
// there.
func inspect(t *testing.T, left map[string][]byte, committed uint64) (problem string) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range left {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := strings.Join(sortedKeys(left), " ")
	if _, err := Clean(dir); err != nil {
		return fmt.Sprintf("[%s] Clean: %v", names, err)
	}
	infos, err := List(dir)
	if err != nil {
		return fmt.Sprintf("[%s] List: %v", names, err)
	}
	newest := uint64(0)
	for _, info := range infos {
		got, err := read(info.Path)
		if err != nil {
			return fmt.Sprintf("[%s] %v", names, err)
		}
		if diff := difference(sample(info.Index), got); diff != "" {
			return fmt.Sprintf("[%s] other content: %s", names, diff)
		}
		newest = max(newest, info.Index)
	}
	if newest < committed {
		return fmt.Sprintf("[%s] lost: newest is %d, committed was %d", names, newest, committed)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2*len(infos) {
		return fmt.Sprintf("[%s] not clean: %v", names, entries)
	}
	return ""
}

func TestCrashAtEveryStep(t *testing.T) {
	run := crashEverywhere(t, func(operation, string) bool { return false })
	for _, w := range run.wrong {
		t.Error(w)
	}
	var want []string
	for _, name := range []string{"checkpoint/1-3-5", "checkpoint/1-3-6"} {
		want = append(want, "syncdir .", "create "+name+".db.tmp", "sync "+name+".db.tmp",
			"create "+name+".crc.tmp", "sync "+name+".crc.tmp",
			"rename "+name+".crc.tmp", "syncdir checkpoint", "rename "+name+".db.tmp", "syncdir checkpoint")
	}
	want = append(want, "remove checkpoint/1-3-5.db", "syncdir checkpoint", "remove checkpoint/1-3-5.crc")
	if diff := cmp.Diff(want, run.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestCrashCheckerCatches takes one sync after the other away: each is needed, and the checker sees that it
// is.
func TestCrashCheckerCatches(t *testing.T) {
	planted := []struct {
		name   string
		ignore func(op operation, name string) bool
	}{
		{"data not synced", func(op operation, name string) bool { return op == opSync && name == "1-3-6.db.tmp" }},
		{"sums not synced", func(op operation, name string) bool { return op == opSync && name == "1-3-6.crc.tmp" }},
		{"directory never synced", func(op operation, _ string) bool { return op == opSyncDir }},
		{"sums not durable before data", skipNth(opSyncDir, 5)},
		{"commit not durable", skipNth(opSyncDir, 6)},
		{"removal of data not durable before sums", skipNth(opSyncDir, 7)},
	}
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			wrong := crashEverywhere(t, tt.ignore).wrong
			if len(wrong) == 0 {
				t.Fatal("the checker finds nothing wrong")
			}
			t.Logf("the first of %d findings: %s", len(wrong), wrong[0])
		})
	}
}

// skipNth ignores the nth (from 1) operation of a kind.
func skipNth(kind operation, n int) func(operation, string) bool {
	return func(op operation, _ string) bool {
		if op == kind {
			n--
		}
		return op == kind && n == 0
	}
}

// TestFailAtEveryStep lets one operation after the other fail: Commit says so and the directory is as before,
// or, once the last rename is done, holds the complete checkpoint.
func TestFailAtEveryStep(t *testing.T) {
	fault := errors.New("planted fault")
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "checkpoint")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		left, failed := n, ""
		_, err := sample(5).write(dir, files{hook: func(op operation, name, _ string) error {
			if left--; left == -1 {
				failed = fmt.Sprintf("%s %s", op, filepath.Base(name))
				return fault
			}
			return nil
		}})
		if failed == "" {
			if n < 8 || err != nil {
				t.Fatalf("%d operations, then %v", n, err)
			}
			return
		}
		if !errors.Is(err, fault) {
			t.Fatalf("%s fails, Commit = %v", failed, err)
		}
		infos, err := List(dir)
		if err != nil || len(infos) > 1 {
			t.Fatal(infos, err)
		}
		if len(infos) == 1 {
			requireContent(t, infos[0].Path, sample(5))
		} else {
			requireEmpty(t, dir)
		}
	}
}
