package engine

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/dchest/siphash"
)

// index finds items by key and walks them in the order of their hashes. It is extendible hashing: a
// directory of buckets, told apart by the top bits of the hash. A full bucket is split alone, so no
// insert pays for all others. A directory that has reached its bound grows downwards: the entry of its
// full bucket leads to a directory of its own. Sparse neighbours are merged again.
type index struct {
	key0, key1 uint64
	mask       uint64 // all ones; tests clear bits to make hashes collide
	root       *directory
	count      int
}

const (
	bucketSlots   = 32
	bucketMerge   = 12 // buckets that together hold no more become one; well below a full one
	directoryBits = 10
	levelsMax     = 4 // 40 bits: beyond, only equal hashes meet and buckets are chained
)

// directory leads from the next bits of a hash, at most directoryBits of them, to a bucket.
type directory struct {
	level   uint8 // directories above this one
	depth   uint8 // bits it tells apart; len(entries) == 1<<depth
	deepest int   // buckets with depth == this depth; without any the directory halves
	entries []*bucket
}

// bucket holds the items whose hashes share their first bits.
type bucket struct {
	slots *[bucketSlots]*item
	sub   *directory // if set, the items are there and slots is nil
	next  *bucket    // chain, only where the hash has no more bits to tell items apart
	tags  [bucketSlots]uint8
	depth uint8 // bits of its directory that this bucket's items share
	count uint8
}

func newIndex(key [16]byte) index {
	x := index{
		key0: binary.LittleEndian.Uint64(key[:8]),
		key1: binary.LittleEndian.Uint64(key[8:]),
		mask: ^uint64(0),
	}
	x.clear()
	return x
}

func (x *index) clear() {
	root := newBucket(0)
	x.root, x.count = &directory{deepest: 1, entries: []*bucket{root}}, 0
}

// reserve prepares an empty index for a number of items, so that few of them have to split a bucket.
func (x *index) reserve(items int) {
	depth := bits.Len(uint(items/(bucketSlots/2))) - 1
	x.root = newDirectory(0, max(depth, 0))
}

// newDirectory returns a directory of empty buckets that tells depth bits apart, with others below it where
// that is more than one can.
func newDirectory(level uint8, depth int) *directory {
	own := min(depth, directoryBits)
	d := &directory{level: level, depth: uint8(own), deepest: 1 << own, entries: make([]*bucket, 1<<own)}
	for i := range d.entries {
		if depth > own {
			d.entries[i] = &bucket{depth: uint8(own), sub: newDirectory(level+1, depth-own)}
		} else {
			d.entries[i] = newBucket(uint8(own))
		}
	}
	return d
}

func newBucket(depth uint8) *bucket {
	return &bucket{slots: new([bucketSlots]*item), depth: depth}
}

func (x *index) hash(key []byte) uint64 { return siphash.Hash(x.key0, x.key1, key) & x.mask }

// tagOf uses the bits farthest from those that choose the bucket.
func tagOf(hash uint64) uint8 { return uint8(hash) }

// entry returns the number of the entry that leads to the hash.
func (d *directory) entry(hash uint64) int {
	return int(hash << (uint(d.level) * directoryBits) >> (64 - uint(d.depth)))
}

// leaf returns the directory and the bucket where the hash belongs.
func (x *index) leaf(hash uint64) (*directory, *bucket) {
	d := x.root
	for {
		b := d.entries[d.entry(hash)]
		if b.sub == nil {
			return d, b
		}
		d = b.sub
	}
}

func (x *index) find(hash uint64, key []byte) *item {
	_, b := x.leaf(hash)
	for ; b != nil; b = b.next {
		if it := b.find(tagOf(hash), key); it != nil {
			return it
		}
	}
	return nil
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// find compares eight tags at a time; the keys decide.
func (b *bucket) find(tag uint8, key []byte) *item {
	want := uint64(tag) * lowBits
	for base := 0; base < int(b.count); base += 8 {
		diff := binary.LittleEndian.Uint64(b.tags[base:]) ^ want
		for zero := (diff - lowBits) &^ diff & highBits; zero != 0; zero &= zero - 1 {
			i := base + bits.TrailingZeros64(zero)/8
			if i < int(b.count) && bytes.Equal(b.slots[i].key(), key) {
				return b.slots[i]
			}
		}
	}
	return nil
}

// slot returns where the item itself, not its key, lies.
func (b *bucket) slot(it *item) int {
	for i, have := range b.slots[:b.count] {
		if have == it {
			return i
		}
	}
	return -1
}

func (b *bucket) add(hash uint64, it *item) {
	b.slots[b.count], b.tags[b.count] = it, tagOf(hash)
	b.count++
}

// insert adds an item whose key is absent.
func (x *index) insert(hash uint64, it *item) {
	x.count++
	for {
		d, b := x.leaf(hash)
		if b.count < bucketSlots {
			b.add(hash, it)
			return
		}
		if d.level == levelsMax-1 && b.depth == directoryBits {
			chained := newBucket(b.depth)
			*chained, b.next, b.count = *b, chained, 0
			b.slots = new([bucketSlots]*item)
			continue
		}
		x.split(d, b, hash)
	}
}

// split tells the items of a full bucket apart by one bit more.
func (x *index) split(d *directory, b *bucket, hash uint64) {
	if b.depth == directoryBits {
		below := *b
		below.depth = 0
		b.sub = &directory{level: d.level + 1, deepest: 1, entries: []*bucket{&below}}
		b.slots, b.count = nil, 0
		return
	}
	if b.depth == d.depth {
		d.double()
	}
	upper := newBucket(b.depth + 1)
	shift := uint(d.level)*directoryBits + uint(b.depth)
	kept := uint8(0)
	for i, it := range b.slots[:b.count] {
		h := x.hash(it.key())
		if h<<shift>>63 == 1 {
			upper.add(h, it)
			continue
		}
		b.slots[kept], b.tags[kept] = it, b.tags[i]
		kept++
	}
	clear(b.slots[kept:])
	first, span := d.span(b, hash)
	for i := first + span/2; i < first+span; i++ {
		d.entries[i] = upper
	}
	b.count = kept
	b.depth++
	if b.depth == d.depth {
		d.deepest += 2
	}
}

// span returns the entries that lead to b, of which one is the entry of the hash.
func (d *directory) span(b *bucket, hash uint64) (first, span int) {
	span = 1 << (d.depth - b.depth)
	return d.entry(hash) &^ (span - 1), span
}

func (d *directory) double() {
	entries := make([]*bucket, 2*len(d.entries))
	for i, b := range d.entries {
		entries[2*i], entries[2*i+1] = b, b
	}
	d.entries = entries
	d.depth++
	d.deepest = 0
}

// halve drops the last bit, which tells no bucket apart any more.
func (d *directory) halve() {
	entries := make([]*bucket, len(d.entries)/2)
	d.depth--
	d.deepest = 0
	for i := range entries {
		entries[i] = d.entries[2*i]
		if entries[i].depth == d.depth {
			d.deepest++
		}
	}
	d.entries = entries
}

// replace puts next, of the same key, in the place of old, which must be there.
func (x *index) replace(hash uint64, old, next *item) {
	_, b := x.leaf(hash)
	for ; b != nil; b = b.next {
		if i := b.slot(old); i >= 0 {
			b.slots[i] = next
			return
		}
	}
	panic("engine: item to replace is not in the index")
}

// remove takes out the item, which must be there.
func (x *index) remove(hash uint64, it *item) {
	_, head := x.leaf(hash)
	b, i := head, head.slot(it)
	for i < 0 {
		if b = b.next; b == nil {
			panic("engine: item to remove is not in the index")
		}
		i = b.slot(it)
	}
	// Only the head of a chain has holes: its last item fills the one that opens.
	last := head.count - 1
	b.slots[i], b.tags[i] = head.slots[last], head.tags[last]
	head.slots[last] = nil
	head.count = last
	x.count--
	if head.next == nil {
		x.merge(hash)
	} else if last == 0 {
		*head = *head.next
	}
}

// merge joins the bucket of the hash with its neighbour while both are sparse, and lifts it out of a
// directory that holds nothing else.
func (x *index) merge(hash uint64) {
	for {
		d, b := x.leaf(hash)
		if b.depth > 0 {
			if !d.join(b, hash) {
				return
			}
			continue
		}
		if d.level == 0 || b.count > bucketMerge {
			return
		}
		above := x.above(d, hash)
		b.depth = above.depth
		*above = *b
	}
}

// above returns the entry, one level up, that leads to d.
func (x *index) above(d *directory, hash uint64) *bucket {
	up := x.root
	for {
		b := up.entries[up.entry(hash)]
		if b.sub == d {
			return b
		}
		up = b.sub
	}
}

// join merges b with the bucket that differs in its last bit only, if both fit well into one.
func (d *directory) join(b *bucket, hash uint64) bool {
	first, span := d.span(b, hash)
	other := d.entries[first^span]
	if other.sub != nil || other.depth != b.depth || other.next != nil || b.next != nil ||
		b.count+other.count > bucketMerge {
		return false
	}
	for i, it := range other.slots[:other.count] {
		b.slots[b.count], b.tags[b.count] = it, other.tags[i]
		b.count++
	}
	for i := range span {
		d.entries[first^span+i] = b
	}
	if b.depth == d.depth {
		d.deepest -= 2
	}
	b.depth--
	for d.deepest == 0 && d.depth > 0 {
		d.halve()
	}
	return true
}
