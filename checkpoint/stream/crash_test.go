package stream

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/internal/vfs"
)

// durability follows the operations of a fetch and knows what a power loss could still take.
type durability struct {
	unsynced map[string]bool   // files with content that is not durable
	pending  map[string]string // names that are not durable, and the directory that must be synced for each
}

func newDurability() *durability {
	return &durability{unsynced: map[string]bool{}, pending: map[string]string{}}
}

// apply notes an operation that is about to be done.
func (d *durability) apply(op vfs.Op) error {
	switch op.Kind {
	case vfs.OpMkdir:
		for dir := op.Name; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(dir); err == nil {
				return nil
			}
			d.pending[dir] = filepath.Dir(dir)
		}
	case vfs.OpCreate:
		d.unsynced[op.Name] = true
		d.pending[op.Name] = filepath.Dir(op.Name)
	case vfs.OpWrite, vfs.OpTruncate:
		d.unsynced[op.Name] = true
	case vfs.OpSync:
		delete(d.unsynced, op.Name)
	case vfs.OpRemove:
		delete(d.unsynced, op.Name)
		delete(d.pending, op.Name)
	case vfs.OpRename:
		if d.unsynced[op.Name] {
			return fmt.Errorf("%v: what is in it may be lost, its new name not", op)
		}
		delete(d.pending, op.Name)
		d.pending[op.To] = filepath.Dir(op.To)
	case vfs.OpSyncDir:
		for name, dir := range d.pending {
			if dir == op.Name {
				delete(d.pending, name)
			}
		}
	}
	return nil
}

// rest is nil if nothing can be lost any more.
func (d *durability) rest() error {
	if len(d.unsynced)+len(d.pending) > 0 {
		return fmt.Errorf("may be lost: the content of %v, the names %v", d.unsynced, d.pending)
	}
	return nil
}

// newcomer makes the taker a node that has no directory of checkpoints yet, in a data directory that is there.
func (p *pair) newcomer() (data string) {
	data = p.t.TempDir()
	p.dirs[2] = filepath.Join(data, "checkpoint")
	return data
}

// TestFetchedIsDurable: when Fetch returns, all that it has made is durable, the directories too: the log is about to
// let go of all that was before it. The order of the operations is this one.
func TestFetchedIsDurable(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 2)
		data := p.newcomer()
		d := newDurability()
		var steps []string
		p.fs = vfs.Hooked(vfs.OS, func(op vfs.Op) error {
			if op.Kind != vfs.OpWrite {
				steps = append(steps, strings.ReplaceAll(op.String(), data, "data"))
			}
			return d.apply(op)
		})
		p.wantSame(p.fetch(10, time.Minute), want)
		if err := d.rest(); err != nil {
			t.Error(err)
		}
		in := "data/checkpoint/incoming"
		side, db := in+"/1-2-10.crc", in+"/1-2-10.db"
		order := []string{
			"mkdir " + in, "syncdir data", "syncdir data/checkpoint",
			"create " + side + ".tmp", "sync " + side + ".tmp", "rename " + side + ".tmp to " + side, "syncdir " + in,
			"create " + db + ".tmp", "sync " + db + ".tmp", "rename " + db + ".tmp to " + db, "syncdir " + in,
		}
		if diff := cmp.Diff(order, steps); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	})
}

// TestMissingSyncIsNoticed takes one sync after the other away.
func TestMissingSyncIsNoticed(t *testing.T) {
	run(t, func(p *pair) {
		p.write(10, 2)
		for skip := 0; ; skip++ {
			p.newcomer()
			d, syncs := newDurability(), 0
			var wrong error
			p.fs = vfs.Hooked(vfs.OS, func(op vfs.Op) error {
				if op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir {
					if syncs++; syncs-1 == skip {
						return nil
					}
				}
				wrong = errors.Join(wrong, d.apply(op))
				return nil
			})
			p.must(p.fetch(10, time.Minute).err)
			if skip == syncs {
				return
			}
			// The names of the side file and of the bbolt file lie in one directory: the last sync is for both.
			if both := skip == 3; errors.Join(wrong, d.rest()) == nil != both {
				t.Errorf("without sync %d of %d: %v, %v", skip, syncs, wrong, d.rest())
			}
		}
	})
}

// TestFetchAfterCrashAtEveryStep ends the process before each operation, with what is not synced whole, cut, holed or
// gone. Another fetch brings the checkpoint.
func TestFetchAfterCrashAtEveryStep(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 2)
		errCrash := errors.New("crash")
		for step, steps := 0, 1; step < steps; step++ {
			for _, left := range []string{"whole", "cut", "holed", "gone"} {
				p.newcomer()
				d := newDurability()
				seen := 0
				p.fs = vfs.Hooked(vfs.OS, func(op vfs.Op) error {
					if seen++; seen > step {
						return errCrash
					}
					return d.apply(op)
				})
				f := p.fetch(10, time.Minute)
				if crashed := seen > step; errors.Is(f.err, errCrash) != crashed {
					t.Fatalf("step %d: %v", step, f.err)
				}
				steps = max(steps, seen+1) // one more than there are: without a crash
				for name := range d.unsynced {
					p.must(spoilFile(name, left))
				}
				p.fs = nil
				p.wantSame(p.fetch(10, time.Minute), want)
				entries, err := os.ReadDir(Incoming(p.dirs[2]))
				p.must(err)
				var names []string
				for _, e := range entries {
					names = append(names, e.Name())
				}
				if !slices.Equal(names, []string{"1-2-10.crc", "1-2-10.db"}) {
					t.Fatalf("step %d, %s: left over are %q", step, left, names)
				}
			}
		}
	})
}

// spoilFile leaves of a file what a power loss may.
func spoilFile(name, left string) error {
	content, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	switch n := len(content); left {
	case "gone":
		return os.Remove(name)
	case "cut":
		content = content[:n/2]
	case "holed":
		content = bytes.Clone(content)
		clear(content[n/4 : n/2])
	}
	return errors.Join(err, os.WriteFile(name, content, 0o600))
}
