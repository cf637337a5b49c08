package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Mem is a file system in memory that can crash. Everything random about it comes from its seed.
type Mem struct {
	// mu guards all below and all nodes. The hook runs without it, so it may call Crash.
	mu    sync.Mutex
	rng   *rand.Rand
	now   tree            // what callers see
	disk  tree            // what is durable
	log   []change        // changes of directories that no SyncDir has made durable, oldest first
	locks map[string]bool // names that are locked
	free  int64           // bytes of space left; negative: no limit
	seq   uint64
	hook  func(Op) error
	trace func(Op, error)
}

// tree is the directories of one moment.
type tree struct {
	files map[string]*node
	dirs  map[string]bool
}

// change is one step in directories: first remove is taken away if it names node, then add is set to node,
// or made a directory if node is nil.
type change struct {
	remove, add string
	node        *node
}

// NewMem returns an empty file system without a limit of space, with the directories "." and "/".
func NewMem(seed uint64) *Mem {
	return &Mem{
		rng: rand.New(rand.NewPCG(seed, seed)), now: newTree(), disk: newTree(),
		locks: map[string]bool{}, free: -1,
	}
}

func newTree() tree {
	return tree{files: map[string]*node{}, dirs: map[string]bool{".": true, "/": true}}
}

// SetHook has fn called before every operation. An error that it returns is the operation's error, and the
// operation does nothing, but see ShortWrite. A nil fn ends it.
func (m *Mem) SetHook(fn func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

// SetTrace has fn called after every operation, with its result, one call at a time. It must not call m.
func (m *Mem) SetTrace(fn func(Op, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trace = fn
}

// SetFree leaves n bytes of space, counted in blocks of 4 KiB at their first write. Negative: no limit.
func (m *Mem) SetFree(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = n
}

// FlipBit inverts one bit of a file, both as read now and as on disk. A write not yet synced over the same
// place has the bit flipped too.
func (m *Mem) FlipBit(name string, offset int64, bit uint) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.now.files[path.Clean(name)]
	if !ok || offset < 0 || offset >= int64(len(n.data)) {
		return pathError("flip", name, fs.ErrNotExist)
	}
	n.flip(offset, byte(1)<<(bit%8))
	return nil
}

// begin numbers the operation and asks the hook. It is called without mu.
func (m *Mem) begin(op *Op) error {
	m.mu.Lock()
	m.seq++
	op.Seq = m.seq
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(*op)
}

// do runs one operation: hook, action under mu, trace.
func (m *Mem) do(op Op, action func() error) error {
	err := m.begin(&op)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		err = action()
	}
	if err != nil {
		err = pathError(op.Kind.String(), op.Name, err)
	}
	if m.trace != nil {
		m.trace(op, err)
	}
	return err
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func (m *Mem) change(c change) {
	m.now.apply(c)
	m.log = append(m.log, c)
}

func (t tree) apply(c change) {
	if c.remove != "" && t.files[c.remove] == c.node {
		delete(t.files, c.remove)
	}
	switch {
	case c.add == "":
	case c.node == nil:
		t.dirs[c.add] = true
	default:
		t.files[c.add] = c.node
	}
}

func (c change) in(dir string) bool {
	return c.remove != "" && path.Dir(c.remove) == dir || c.add != "" && path.Dir(c.add) == dir
}

// Create makes or empties a file.
func (m *Mem) Create(name string) (File, error) {
	name = path.Clean(name)
	var n *node
	err := m.do(Op{Kind: OpCreate, Name: name}, func() error {
		if !m.now.dirs[path.Dir(name)] {
			return fs.ErrNotExist
		}
		if m.now.dirs[name] {
			return syscall.EISDIR
		}
		if n = m.now.files[name]; n != nil {
			m.refund(n.truncate(0))
			return nil
		}
		n = &node{name: name}
		m.change(change{add: name, node: n})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memFile{mem: m, node: n, writable: true}, nil
}

// OpenRead opens a file for reading.
func (m *Mem) OpenRead(name string) (File, error) { return m.open(name, false) }

// OpenWrite opens a file for reading and writing.
func (m *Mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, writable bool) (File, error) {
	name = path.Clean(name)
	var n *node
	err := m.do(Op{Kind: OpOpen, Name: name}, func() error {
		if n = m.now.files[name]; n == nil {
			return fs.ErrNotExist
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memFile{mem: m, node: n, writable: writable}, nil
}

// Remove removes a file.
func (m *Mem) Remove(name string) error {
	name = path.Clean(name)
	return m.do(Op{Kind: OpRemove, Name: name}, func() error {
		n := m.now.files[name]
		if n == nil {
			return fs.ErrNotExist
		}
		m.refund(n.blocks)
		n.blocks = nil
		m.change(change{remove: name, node: n})
		return nil
	})
}

// Rename moves a file.
func (m *Mem) Rename(oldname, newname string) error {
	oldname, newname = path.Clean(oldname), path.Clean(newname)
	return m.do(Op{Kind: OpRename, Name: oldname, To: newname}, func() error {
		n := m.now.files[oldname]
		if n == nil || !m.now.dirs[path.Dir(newname)] {
			return fs.ErrNotExist
		}
		if over := m.now.files[newname]; over != nil && over != n {
			m.refund(over.blocks)
			over.blocks = nil
		}
		n.name = newname
		if oldname != newname {
			m.change(change{remove: oldname, add: newname, node: n})
		}
		return nil
	})
}

// MkdirAll makes a directory and its parents.
func (m *Mem) MkdirAll(dir string) error {
	dir = path.Clean(dir)
	return m.do(Op{Kind: OpMkdir, Name: dir}, func() error {
		var missing []string
		for d := dir; !m.now.dirs[d]; d = path.Dir(d) {
			if m.now.files[d] != nil {
				return syscall.ENOTDIR
			}
			missing = append(missing, d)
		}
		slices.Reverse(missing)
		for _, d := range missing {
			m.change(change{add: d})
		}
		return nil
	})
}

// List returns the sorted names of a directory.
func (m *Mem) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	var names []string
	err := m.do(Op{Kind: OpList, Name: dir}, func() error {
		if !m.now.dirs[dir] {
			return fs.ErrNotExist
		}
		for name := range m.now.files {
			if path.Dir(name) == dir {
				names = append(names, path.Base(name))
			}
		}
		for name := range m.now.dirs {
			if path.Dir(name) == dir && name != dir {
				names = append(names, path.Base(name))
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// Stat returns a file's size.
func (m *Mem) Stat(name string) (int64, error) {
	name = path.Clean(name)
	var size int64
	err := m.do(Op{Kind: OpStat, Name: name}, func() error {
		n := m.now.files[name]
		if n == nil {
			return fs.ErrNotExist
		}
		size = int64(len(n.data))
		return nil
	})
	return size, err
}

// SyncDir makes the changes of a directory durable.
func (m *Mem) SyncDir(dir string) error {
	dir = path.Clean(dir)
	return m.do(Op{Kind: OpSyncDir, Name: dir}, func() error {
		if !m.now.dirs[dir] {
			return fs.ErrNotExist
		}
		rest := m.log[:0]
		for _, c := range m.log {
			if c.in(dir) {
				m.disk.apply(c)
			} else {
				rest = append(rest, c)
			}
		}
		clear(m.log[len(rest):])
		m.log = rest
		return nil
	})
}

// Lock takes a lock, which a crash gives back.
func (m *Mem) Lock(name string) (io.Closer, error) {
	name = path.Clean(name)
	err := m.do(Op{Kind: OpLock, Name: name}, func() error {
		switch {
		case !m.now.dirs[path.Dir(name)]:
			return fs.ErrNotExist
		case m.locks[name]:
			return ErrLocked
		case m.now.files[name] == nil:
			m.change(change{add: name, node: &node{name: name}})
		}
		m.locks[name] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memLock{mem: m, name: name}, nil
}

// Free returns the space left, or 2^63-1 without a limit.
func (m *Mem) Free(dir string) (uint64, error) {
	var free uint64
	err := m.do(Op{Kind: OpFree, Name: path.Clean(dir)}, func() error {
		free = math.MaxInt64
		if m.free >= 0 {
			free = uint64(m.free)
		}
		return nil
	})
	return free, err
}

// refund gives back the space of blocks that a file no longer has.
func (m *Mem) refund(blocks []bool) {
	if m.free < 0 {
		return
	}
	for _, used := range blocks {
		if used {
			m.free += blockBytes
		}
	}
}

type memLock struct {
	mem  *Mem
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.mem.mu.Lock()
		defer l.mem.mu.Unlock()
		delete(l.mem.locks, l.name)
	})
	return nil
}

// String lists the files and their sizes, for messages of failed tests.
func (m *Mem) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.now.files)) {
		fmt.Fprintf(&b, "%s %d\n", name, len(m.now.files[name].data))
	}
	return b.String()
}
