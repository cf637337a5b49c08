package vfs

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

// Crash returns the file system as it would be found after a power loss now: what was synced, and some of
// what was not. Calls differ by chance; the sequence of their results depends on the seed and what was done
// before. m itself goes on unharmed. The new one has no hook, no trace, no locks and the same space left.
func (m *Mem) Crash() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	seed := m.rng.Uint64()
	after := NewMem(seed)
	after.free = m.free
	loss := newLoss(rand.New(rand.NewPCG(seed, 1)))

	disk := tree{files: maps.Clone(m.disk.files), dirs: maps.Clone(m.disk.dirs)}
	for _, c := range m.log {
		if loss.keeps() {
			disk.apply(c)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(disk.dirs)) {
		if disk.reaches(dir) {
			after.now.dirs[dir], after.disk.dirs[dir] = true, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(disk.files)) {
		if disk.reaches(path.Dir(name)) {
			n := loss.crash(disk.files[name])
			n.name = name
			after.now.files[name], after.disk.files[name] = n, n
		}
	}
	return after
}

// reaches says whether a directory and all its parents are there.
func (t tree) reaches(dir string) bool {
	for ; dir != "." && dir != "/"; dir = path.Dir(dir) {
		if !t.dirs[dir] {
			return false
		}
	}
	return true
}

// loss decides what a crash takes. Half of the crashes are uniform, because a mix seldom leaves all or
// nothing: one in four loses everything unsynced, one in four nothing.
type loss struct {
	rng   *rand.Rand
	style int
}

func newLoss(rng *rand.Rand) loss { return loss{rng: rng, style: rng.IntN(4)} }

const (
	loseAll  = 0
	loseNone = 1
)

func (l loss) keeps() bool {
	switch l.style {
	case loseAll:
		return false
	case loseNone:
		return true
	}
	return l.rng.IntN(2) == 0
}

// crash returns what is left of a file.
func (l loss) crash(n *node) *node {
	content := slices.Clone(n.disk)
	for _, w := range n.log {
		switch {
		case l.style < 2 || w.data == nil || l.rng.IntN(3) > 0:
			if l.keeps() {
				content = w.apply(content)
			}
		default:
			content = l.tear(w, content)
		}
	}
	return &node{data: content, disk: slices.Clone(content), blocks: slices.Clone(n.blocks)}
}

// tear applies a write in part: each sector is kept or dropped on its own.
func (l loss) tear(w write, content []byte) []byte {
	for at, end := w.offset, w.offset+int64(len(w.data)); at < end; {
		next := min(end, at-at%SectorBytes+SectorBytes)
		if l.keeps() {
			content = write{offset: at, data: w.data[at-w.offset : next-w.offset]}.apply(content)
		}
		at = next
	}
	return content
}
