package nodedb

import (
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 takes one from the clock")

func testSeed(t *testing.T) *mathrand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed=%d", seed)
	return mathrand.New(mathrand.NewPCG(seed, 0))
}

// known is what a node has been told that its node.db holds.
type known struct {
	opened    bool
	id        Identity
	founded   bool
	documents map[string]string
}

func (k known) clone() known {
	k.documents = maps.Clone(k.documents)
	return k
}

// names are the entries of directories by path: of node.db its content, of all else nil.
type names map[string][]byte

// change is one step in a directory that no sync of it has made durable.
type change struct {
	path    string
	content []byte
}

// power is a node whose disk can lose power: before each step, and within each transaction, it looks at what may be
// left then.
//
// Of changes of a directory that is not synced any subset may be left. Of a transaction of bbolt, which writes pages,
// syncs, writes a meta page and syncs, any sectors of the pages may be, with the meta page of before.
type power struct {
	t       *testing.T
	rng     *mathrand.Rand
	root    string
	ignore  func(op operation, name string) bool
	durable names
	pending []change
	now     names
	before  []byte // node.db before the transaction under way, nil if there is none
	acked   known
	next    known // what a call under way may make of it
	steps   []string
	wrong   []string
	looks   int
}

func newPower(t *testing.T) *power {
	return &power{
		t: t, rng: testSeed(t), root: t.TempDir(), durable: names{}, now: names{},
		ignore: func(operation, string) bool { return false },
	}
}

func (p *power) dir() string { return filepath.Join(p.root, "new", "data") }

func (p *power) rel(path string) string {
	rel, err := filepath.Rel(p.root, path)
	if err != nil {
		p.t.Fatal(err)
	}
	return rel
}

// hook is called before each operation.
func (p *power) hook(op operation, name, to string) error {
	step := string(op) + " " + p.rel(name)
	if filepath.Base(name) != fileName && strings.HasPrefix(filepath.Base(name), fileName) {
		step = string(op) + " a temporary file"
	}
	p.steps = append(p.steps, step)
	p.look()
	if p.ignore(op, p.rel(name)) {
		return nil
	}
	switch op {
	case opMkdir:
		p.change(change{path: p.rel(name)})
	case opLink:
		p.change(change{path: p.rel(to), content: p.read(name)})
	case opCommit:
		if filepath.Base(name) == fileName {
			p.before = p.read(name)
		}
	case opSyncDir:
		var left []change
		for _, c := range p.pending {
			if filepath.Dir(c.path) == p.rel(name) {
				p.durable[c.path] = c.content
			} else {
				left = append(left, c)
			}
		}
		p.pending = left
	}
	return nil
}

func (p *power) change(c change) {
	p.pending = append(p.pending, c)
	p.now[c.path] = c.content
}

func (p *power) read(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return content
}

// look loses power in the transaction that has just ended, if one has, and now.
func (p *power) look() {
	var within [][]byte
	path := p.rel(filepath.Join(p.dir(), fileName))
	if _, linked := p.now[path]; linked {
		content := p.read(filepath.Join(p.dir(), fileName))
		if p.before != nil {
			within = p.torn(p.before, content)
			p.before = nil
		}
		within = append(within, content)
	} else {
		within = [][]byte{nil}
	}
	for _, content := range within {
		for subset := range 1 << len(p.pending) {
			left := maps.Clone(p.durable)
			for i, c := range p.pending {
				if subset&(1<<i) != 0 {
					left[c.path] = c.content
				}
			}
			if _, there := left[path]; there {
				left[path] = content
			}
			p.start(left)
		}
	}
}

// torn returns what may be left of a transaction between two states of the file.
func (p *power) torn(before, after []byte) [][]byte {
	all := [][]byte{before}
	for style := range 8 {
		content := append(bytes.Clone(before), make([]byte, len(after)-len(before))...)
		for at := 2 * pageBytes; at < len(after); at += sectorBytes {
			switch keep := p.rng.IntN(2) == 0; {
			case style == 0 || style > 1 && keep: // all of it, or sectors
				copy(content[at:at+sectorBytes], after[at:])
			case style == 1 && at/pageBytes%2 == 0: // every other page
				copy(content[at:at+sectorBytes], after[at:])
			}
		}
		all = append(all, content)
	}
	metas := 0
	for at := 0; at < 2*pageBytes; at += sectorBytes {
		if !bytes.Equal(before[at:at+sectorBytes], after[at:at+sectorBytes]) {
			metas++
		}
	}
	if metas != 1 {
		p.t.Fatalf("a transaction has changed %d sectors of the meta pages: it is not over at once", metas)
	}
	return all
}

const sectorBytes = 512

// start starts the node twice on what was left.
func (p *power) start(left names) {
	if len(p.wrong) > 0 {
		return
	}
	p.looks++
	root, err := os.MkdirTemp(p.root, "after")
	if err != nil {
		p.t.Fatal(err)
	}
	defer os.RemoveAll(root)
	for _, path := range slices.Sorted(maps.Keys(left)) {
		at := filepath.Join(root, path)
		if _, err := os.Stat(filepath.Dir(at)); err != nil {
			continue // the directory above is lost
		}
		if left[path] == nil {
			err = os.Mkdir(at, 0o700)
		} else {
			err = os.WriteFile(at, left[path], 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	acked := p.acked.clone()
	for range 2 {
		db, err := Open(filepath.Join(root, "new", "data"), Options{Random: rand.Reader})
		if err == nil {
			if err = p.check(db, &acked); err == nil {
				acked.opened, acked.id = true, db.Identity()
			}
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			p.wrong = append(p.wrong, fmt.Sprintf("after %d steps, with %d changes of directories pending: %v",
				len(p.steps), len(p.pending), err))
			return
		}
	}
}

// check holds what was found against what the node was told.
func (p *power) check(db *DB, acked *known) error {
	id := db.Identity()
	same := id
	same.Process, same.Cluster = acked.id.Process, acked.id.Cluster
	switch {
	case !acked.opened:
		return nil
	case same != acked.id:
		return fmt.Errorf("another node: %+v, was %+v", id, acked.id)
	case id.Process <= acked.id.Process:
		return fmt.Errorf("the process number is %d, was %d", id.Process, acked.id.Process)
	}
	found := known{opened: true, id: acked.id, founded: db.Founded(), documents: map[string]string{}}
	found.id.Cluster = id.Cluster
	for name, content := range db.documents {
		found.documents[name] = string(content)
	}
	for _, want := range []known{*acked, p.next} {
		want.id.Process = acked.id.Process
		if cmp.Equal(found, want, cmp.AllowUnexported(known{})) {
			return nil
		}
	}
	return fmt.Errorf("found %+.60v, was told %+.60v", found, acked)
}

// run does what a node does in its life, in two processes.
func (p *power) run() {
	p.acked.documents, p.next.documents = map[string]string{}, map[string]string{}
	for range 2 {
		db, err := Open(p.dir(), Options{Random: rand.Reader, hook: p.hook})
		p.must(err)
		p.acked.opened, p.acked.id = true, db.Identity()
		p.next.opened, p.next.id = true, db.Identity()
		p.look()
		call := func(err error) {
			p.t.Helper()
			p.must(err)
			p.acked = p.next.clone()
			p.look()
		}
		for i, size := range []int{10, 5 * pageBytes, pageBytes, 40 << 10, 0} {
			document := bytes.Repeat([]byte{byte(i + 1)}, size)
			p.next.documents["a"] = string(document)
			call(db.Keep("a", document))
		}
		if !db.Founded() {
			p.next.id.Cluster, p.next.documents["b"] = 77, "entered"
			call(db.Enter(77, "b", []byte("entered")))
			p.next.founded = true
			call(db.SetFounded())
		}
		p.must(db.Close())
	}
}

func (p *power) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestPowerLossAtEveryStep: whenever the power fails, the node comes back as itself, with a process number that it
// never had, and with what it has kept.
func TestPowerLossAtEveryStep(t *testing.T) {
	p := newPower(t)
	p.run()
	for _, w := range p.wrong {
		t.Error(w)
	}
	t.Logf("%d starts on what a power loss left", p.looks)
	file := "commit new/data/node.db"
	want := []string{
		// Each directory is durable before the next is made, and node.db is complete before it gets its name.
		"syncdir ..", "mkdir new", "syncdir .", "mkdir new/data", "syncdir new", "create new/data",
		"commit a temporary file", "link a temporary file", "syncdir new/data",
		// The process number, twice as all that changes.
		file, file, "remove a temporary file",
	}
	for range 7 {
		want = append(want, file, file)
	}
	want = append(want, "syncdir new", "syncdir new/data", file, file)
	for range 5 {
		want = append(want, file, file)
	}
	if diff := cmp.Diff(want, p.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestPowerLossIsNoticed takes one sync after the other away: each is needed, and the test above sees that it is.
func TestPowerLossIsNoticed(t *testing.T) {
	for name, unsynced := range map[string]string{
		"node.db has no durable name": "new/data", "nor has the directory": "new", "nor has the one above": ".",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPower(t)
			p.ignore = func(op operation, name string) bool { return op == opSyncDir && name == unsynced }
			p.run()
			if len(p.wrong) == 0 {
				t.Fatal("nothing is found wrong")
			}
			t.Log(p.wrong[0])
		})
	}
}

// TestFailAtEveryStep lets one operation after the other fail: that is said, and the next start finds what was there
// before or what was to come.
func TestFailAtEveryStep(t *testing.T) {
	fault := errors.New("planted fault")
	for n := 0; ; n++ {
		p := newPower(t)
		left, failed := n, ""
		o := Options{Random: rand.Reader, hook: func(op operation, name, _ string) error {
			if left--; left == -1 {
				failed = string(op)
				return fault
			}
			return nil
		}}
		db, err := Open(p.dir(), o)
		if err == nil {
			err = errors.Join(db.Keep("a", []byte("x")), db.Enter(77, "b", []byte("y")), db.SetFounded())
			p.must(db.Close())
		}
		if failed == "" {
			p.must(err)
			if n < 18 {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		if !errors.Is(err, fault) {
			t.Fatalf("operation %d, %s, fails: %v", n, failed, err)
		}
		again, err := Open(p.dir(), Options{Random: rand.Reader})
		if err != nil {
			t.Fatalf("after operation %d, %s, has failed: %v", n, failed, err)
		}
		if db != nil && again.Identity().Process < 2 {
			t.Errorf("after operation %d: %+v", n, again.Identity())
		}
		if entered := again.Document("b") != nil; entered != (again.Identity().Cluster == 77) {
			t.Errorf("after operation %d: %+v with the document %q", n, again.Identity(), again.Document("b"))
		}
		p.must(again.Close())
	}
}
