package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// keyspace holds the items of one namespace and keeps its three structures in step: the hash index, the
// tree in key order and the tree in the order of deadlines. FLUSHDB replaces it as a whole.
//
// Guarded by the mutex of its namespace.
type keyspace struct {
	index index
	order *tree // nil during replay: built once at its end, or when a call needs order
	// patience is how many more keys may come and go before a replay drops the tree that was loaded; it is
	// set while that tree is kept, and 0 from the end of the replay on.
	patience int
	expiry   *tree // items with a deadline, by (deadline, key)
	bytes    int64 // sum of item.bytes
}

func keyLess(a, b *item) bool { return bytes.Compare(a.key(), b.key()) < 0 }

func deadlineLess(a, b *item) bool {
	if a.deadline != b.deadline {
		return a.deadline < b.deadline
	}
	return keyLess(a, b)
}

func newKeyspace(hashKey [16]byte, ordered bool) *keyspace {
	k := &keyspace{index: newIndex(hashKey), expiry: newTree(deadlineLess)}
	if ordered {
		k.order = newTree(keyLess)
	}
	return k
}

func (k *keyspace) len() int { return k.index.count }

// replace puts next in the place of old. Either may be nil: nothing was there, nothing will be.
func (k *keyspace) replace(hash uint64, old, next *item) {
	switch {
	case old == nil:
		k.index.insert(hash, next)
	case next == nil:
		k.index.remove(hash, old)
	default:
		k.index.replace(hash, old, next)
	}
	k.reorder(old, next)
	if old != nil {
		k.bytes -= old.bytes()
		k.unschedule(old)
	}
	if next != nil {
		k.bytes += next.bytes()
		k.schedule(next)
	}
}

// reorder brings the tree in key order up to date.
func (k *keyspace) reorder(old, next *item) {
	if k.order == nil {
		return
	}
	if k.patience > 0 && (old == nil || next == nil) {
		if k.patience--; k.patience == 0 {
			k.order = nil
			return
		}
	}
	if next == nil {
		k.order.delete(old)
	} else {
		k.order.set(next)
	}
}

// load fills an empty keyspace with items in key order. Their tree costs next to nothing now and 0.2 s for a
// million keys later, so it is kept through a replay unless that changes more than it is worth.
func (k *keyspace) load(items []*item) {
	k.index.reserve(len(items))
	for _, it := range items {
		k.index.insert(k.index.hash(it.key()), it)
		k.bytes += it.bytes()
		k.schedule(it)
	}
	k.order = loadTree(keyLess, items)
	k.patience = patienceMin + len(items)/8
}

const patienceMin = 1024

// rewrite applies s to an item that keeps its place.
func (k *keyspace) rewrite(it *item, s splice) {
	k.bytes -= it.bytes()
	if it.deadline == s.deadline {
		it.write(s)
	} else {
		k.unschedule(it)
		it.write(s)
		k.schedule(it)
	}
	k.bytes += it.bytes()
}

func (k *keyspace) schedule(it *item) {
	if it.deadline != 0 {
		k.expiry.set(it)
	}
}

func (k *keyspace) unschedule(it *item) {
	if it.deadline != 0 {
		k.expiry.delete(it)
	}
}

// earliest returns the earliest deadline, 0 if there is none.
func (k *keyspace) earliest() int64 {
	if it := k.expiry.min(); it != nil {
		return it.deadline
	}
	return 0
}

// ordered returns the tree in key order, built now if it was not kept. Only who holds the lock for
// writing may keep it from now on.
func (k *keyspace) ordered(keep bool) *tree {
	order := k.order
	if order == nil {
		order = k.buildOrder()
	}
	if keep {
		k.order, k.patience = order, 0
	}
	return order
}

// prefixed puts the first bytes of a key beside its item: most comparisons of a sort then need no
// access to the item's memory.
type prefixed struct {
	prefix uint64
	item   *item
}

func (k *keyspace) buildOrder() *tree {
	items := make([]prefixed, 0, k.len())
	k.index.each(func(it *item) {
		var prefix [8]byte
		copy(prefix[:], it.key())
		items = append(items, prefixed{binary.BigEndian.Uint64(prefix[:]), it})
	})
	slices.SortFunc(items, func(a, b prefixed) int {
		if a.prefix != b.prefix {
			if a.prefix < b.prefix {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.item.key(), b.item.key())
	})
	sorted := make([]*item, len(items))
	for i, p := range items {
		sorted[i] = p.item
	}
	return loadTree(keyLess, sorted)
}

// restore undoes a rewrite.
func (k *keyspace) restore(it *item, header item, value []byte) {
	k.bytes -= it.bytes()
	k.unschedule(it)
	it.restore(header, value)
	k.schedule(it)
	k.bytes += it.bytes()
}
