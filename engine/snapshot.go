package engine

import (
	"bytes"
	"slices"
)

// Snapshot is the state as of one moment, walked piece by piece while the applier goes on. Of a key
// that changes before the walk has come to it, the applier saves a pre-image. Items carry revisions, so
// whether an item is older than the snapshot, and whether its pre-image is saved, costs no lookup.
//
// Snapshot itself is made on the apply goroutine between batches; Next and Close are of one other.
type Snapshot struct {
	state    *State
	header   stateHeader
	captures []*capture // by id
	next     int        // the capture that is walked
	itemsMax int
	entries  []entry
	arena    []byte
}

// Sink receives a snapshot: sections with ascending ids, in each of them keys in ascending order. It must
// not keep the bytes.
type Sink interface {
	Section(id uint64, header []byte) error
	Put(key, item []byte) error
}

// Bounds of what one Next reads under the lock.
const (
	chunkItemsMax = 512
	chunkBytesMax = 64 << 10
)

// capture is what the applier saves of one namespace for the snapshot.
type capture struct {
	ns     *namespace
	header sectionHeader

	// Guarded by the namespace's mutex: the applier holds it for writing; the walker for reading, and no
	// other reader touches them.
	before   *tree     // pre-images by key, of keys after position
	source   *keyspace // what FLUSHDB took from the namespace; nil: the namespace's own
	position []byte    // the last key that the walk has passed; nil: none
	done     bool
}

// entry is one item of a chunk: its bytes in the arena, or a copy to encode when the lock is released.
type entry struct {
	key, data []byte
	large     *item
}

// snapshotsMax bounds the snapshots that are open at a time: each may keep pre-images of its own.
const snapshotsMax = 4

// Snapshot starts a snapshot of the present state. It costs a lock per namespace. A few may be open at a time,
// each walked by a goroutine of its own.
func (s *State) Snapshot() *Snapshot {
	if s.batch.active {
		panic("engine: snapshot within a batch")
	}
	if s.snapshots.Add(1) > snapshotsMax {
		panic("engine: too many snapshots are open")
	}
	p := &Snapshot{state: s, header: s.header(), itemsMax: chunkItemsMax}
	s.working.byID.Scan(func(_ uint64, ns *namespace) bool {
		ns.mu.Lock()
		defer ns.mu.Unlock()
		ns.keys.ordered(true)
		c := &capture{ns: ns, header: ns.header(), before: newTree(keyLess)}
		ns.captures = append(slices.DeleteFunc(ns.captures, (*capture).ended), c)
		p.captures = append(p.captures, c)
		return true
	})
	return p
}

func (s *State) header() stateHeader {
	return stateHeader{hashKey: s.hashKey, logTime: s.LogTime(), nextID: s.nextID}
}

// Header encodes what the state holds beside its namespaces, for NewLoader.
func (p *Snapshot) Header() []byte { return p.header.append(nil) }

// keep saves the pre-image of an item that is about to change, if the walk needs it.
func (c *capture) keep(old *item) {
	if c.done || c.source != nil || old.revision > c.header.revision || !c.ahead(old) {
		return
	}
	c.before.set(old.clone(old.key()))
}

// ahead tells whether the walk has yet to come to the item.
func (c *capture) ahead(it *item) bool {
	return c.position == nil || bytes.Compare(it.key(), c.position) > 0
}

// handOver gives all items of the namespace at once to the snapshots that have yet to walk them. The namespace
// goes on without them.
func (n *namespace) handOver() {
	for _, c := range n.captures {
		if !c.done && c.source == nil {
			c.source = n.keys
		}
	}
}

// takeBack undoes handOver: the namespace has its items again.
func (n *namespace) takeBack() {
	for _, c := range n.captures {
		if c.source == n.keys {
			c.source = nil
		}
	}
}

// Next hands the next piece to the sink: the lock is held while the items are copied, not while the sink
// works. It returns true when the snapshot is complete. An error is the sink's.
func (p *Snapshot) Next(sink Sink) (done bool, err error) {
	if p.next == len(p.captures) {
		return true, nil
	}
	c := p.captures[p.next]
	if c.position == nil {
		p.arena = c.header.append(p.arena[:0])
		if err := sink.Section(c.header.id, p.arena); err != nil {
			return false, err
		}
	}
	p.collect(c)
	for _, e := range p.entries {
		if e.large != nil {
			e.data = appendItem(nil, e.large)
		}
		if err := sink.Put(e.key, e.data); err != nil {
			return false, err
		}
	}
	clear(p.entries)
	if c.done {
		p.captures[p.next] = nil
		p.next++
	}
	return p.next == len(p.captures), nil
}

// collect copies the next piece of a namespace and moves its position.
func (p *Snapshot) collect(c *capture) {
	c.ns.mu.RLock()
	defer c.ns.mu.RUnlock()
	p.entries, p.arena = p.entries[:0], p.arena[:0]
	w := newWalk(c)
	visited := 0
	for ; visited < p.itemsMax && len(p.arena) < chunkBytesMax; visited++ {
		it, part := w.next()
		if it == nil {
			c.finish()
			return
		}
		w.last = it
		if part {
			p.add(it)
		}
	}
	c.position = append(c.position[:0], w.last.key()...)
	if c.position == nil {
		c.position = []byte{}
	}
	c.dropPassed()
}

func (p *Snapshot) add(it *item) {
	start := len(p.arena)
	p.arena = append(p.arena, it.key()...)
	e := entry{}
	middle := len(p.arena)
	if it.form == heapForm {
		e.large = it.clone(nil)
	} else {
		p.arena = appendItem(p.arena, it)
	}
	e.key, e.data = p.arena[start:middle], p.arena[middle:]
	p.entries = append(p.entries, e)
}

func (c *capture) ended() bool { return c.done }

// finish lets go of what was saved.
func (c *capture) finish() {
	c.done = true
	c.before, c.source = nil, nil
}

// dropPassed lets go of the pre-images that the walk has passed.
func (c *capture) dropPassed() {
	for {
		it := c.before.min()
		if it == nil || c.ahead(it) {
			return
		}
		c.before.delete(it)
	}
}

// walk merges the live items of a namespace with the pre-images, by key.
type walk struct {
	revision     uint64
	live, before iterator
	last         *item
}

func newWalk(c *capture) *walk {
	keys := c.source
	if keys == nil {
		keys = c.ns.keys
	}
	var pivot *item
	if c.position != nil {
		pivot = newItem(c.position, 0, 0)
	}
	w := &walk{revision: c.header.revision, live: keys.order.seek(pivot), before: c.before.seek(pivot)}
	if it := w.live.item(); it != nil && !c.ahead(it) {
		w.live.next()
	}
	return w
}

// next returns the item with the next key, nil at the end, and whether it is part of the snapshot: a
// live item that has changed since is not, its pre-image is. If a change was undone, both are there and
// alike.
func (w *walk) next() (it *item, part bool) {
	live, before := w.live.item(), w.before.item()
	order := 0
	switch {
	case live == nil && before == nil:
		return nil, false
	case before == nil:
		order = -1
	case live == nil:
		order = 1
	default:
		order = bytes.Compare(live.key(), before.key())
	}
	if order <= 0 {
		it, part = live, live.revision <= w.revision
		w.live.next()
	}
	if order >= 0 {
		it, part = before, true
		w.before.next()
	}
	return it, part
}

// Close ends the snapshot, complete or not, and lets go of what it has saved.
func (p *Snapshot) Close() {
	for _, c := range p.captures[p.next:] {
		c.ns.mu.RLock()
		c.finish()
		c.ns.mu.RUnlock()
	}
	p.captures, p.next = nil, 0
	p.state.snapshots.Add(-1)
}
