package engine

import (
	"bytes"
	"cmp"
	"slices"
)

// hashed is an item with its hash, computed again where order is needed: storing it costs 8 bytes a key.
type hashed struct {
	hash uint64
	item *item
}

func compareHashed(a, b hashed) int {
	if c := cmp.Compare(a.hash, b.hash); c != 0 {
		return c
	}
	return bytes.Compare(a.item.key(), b.item.key())
}

// walk calls fn for the items whose hash is at least from, ordered by (hash, key), until fn returns
// false. The order depends on the items alone, not on how the buckets came to be. The index must not
// change meanwhile.
func (x *index) walk(from uint64, fn func(hash uint64, it *item) bool) {
	var room [bucketSlots]hashed
	for {
		d, b := x.leaf(from)
		shift := 64 - uint(d.level)*directoryBits - uint(b.depth)
		found := room[:0]
		for ; b != nil; b = b.next {
			for _, it := range b.slots[:b.count] {
				if h := x.hash(it.key()); h >= from {
					found = append(found, hashed{h, it})
				}
			}
		}
		slices.SortFunc(found, compareHashed)
		for _, f := range found {
			if !fn(f.hash, f.item) {
				return
			}
		}
		from = (from>>shift + 1) << shift
		if from == 0 {
			return
		}
	}
}

// each calls fn for every item, in no order.
func (x *index) each(fn func(it *item)) { x.root.each(fn) }

func (d *directory) each(fn func(it *item)) {
	for i := 0; i < len(d.entries); {
		b := d.entries[i]
		i += 1 << (d.depth - b.depth)
		if b.sub != nil {
			b.sub.each(fn)
			continue
		}
		for ; b != nil; b = b.next {
			for _, it := range b.slots[:b.count] {
				fn(it)
			}
		}
	}
}
