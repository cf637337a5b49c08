package engine

// Op says what an observed change did.
type Op uint8

// Operations on a key or a namespace.
const (
	OpSet    Op = iota // the key has a new value or deadline
	OpDelete           // the key was removed by a call
	OpExpire           // the key was removed because its deadline had passed
	OpClear            // all keys of the namespace were removed
	OpCreate           // the namespace was created
	OpDrop             // the namespace and all its keys were removed
)

// Change is one committed change, as an Observer sees it.
type Change struct {
	Op        Op
	Namespace uint64
	Key       []byte // nil if the change concerns the namespace; never changes
	Revision  uint64 // of the namespace, with this change
}

// change is an entry of the undo log. Undone in reverse order, changes leave exactly what was before.
type change struct {
	op   Op
	ns   *namespace
	hash uint64

	// Of a key: old became next, either may be nil. If they are the same item, it was rewritten in place,
	// and header and value are what it was. A value is not saved if its bytes are still there.
	old, next *item
	header    item
	value     []byte

	keys *keyspace // of OpClear: what was there
}

// undo takes the change back.
func (b *Batch) undo(c *change) {
	switch c.op {
	case OpSet, OpDelete:
		if c.old == c.next {
			c.ns.keys.restore(c.old, c.header, c.value)
		} else {
			c.ns.keys.replace(c.hash, c.next, c.old)
		}
	case OpClear:
		c.ns.keys = c.keys
		c.ns.takeBack()
	case OpCreate:
		c.ns.dropped = true
		b.state.working.remove(c.ns)
		b.state.nextID--
		for _, t := range b.calls[:b.open] {
			if t.ns == c.ns {
				t.ns = nil
			}
		}
	case OpDrop:
		c.ns.dropped = false
		b.state.working.add(c.ns)
	}
}

// rollback undoes all changes after the first n.
func (b *Batch) rollback(n int) {
	for i := len(b.changes) - 1; i >= n; i-- {
		b.undo(&b.changes[i])
	}
	clear(b.changes[n:])
	b.changes = b.changes[:n]
}

// commit makes the current call's changes final. Removals count as removal.
func (b *Batch) commit(removal Op) {
	for i := range b.changes {
		c := &b.changes[i]
		switch c.op {
		case OpDelete:
			c.op = removal
			c.ns.deletions.add(c.hash, c.ns.revision+1)
		case OpClear:
			c.ns.deletions.forget(c.ns.revision + 1)
		case OpDrop:
			c.ns.release(b.state.hashKey)
		}
		c.ns.changed = c.ns.changed || c.op < OpCreate
	}
	for i := range b.changes {
		if ns := b.changes[i].ns; ns.changed {
			ns.revision++
			ns.changed = false
		}
	}
	if b.state.Observer != nil {
		b.observe()
	}
	if b.listed {
		b.list()
	}
	b.close()
}

func (b *Batch) observe() {
	for _, c := range b.changes {
		seen := Change{Op: c.op, Namespace: c.ns.id, Revision: c.ns.revision}
		switch {
		case c.next != nil:
			seen.Key = c.next.key()
		case c.old != nil:
			seen.Key = c.old.key()
		}
		b.state.Observer(seen)
	}
}

// close ends the current call. What a huge call needed is not kept for small ones.
func (b *Batch) close() {
	clear(b.changes)
	b.changes, b.arena = b.changes[:0], b.arena[:0]
	if cap(b.changes) > changesKept {
		b.changes = nil
	}
	if cap(b.arena) > arenaBytesKept {
		b.arena = nil
	}
	b.open, b.listed = 0, false
}
