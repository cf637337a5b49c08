package engine

import (
	"bytes"
	"slices"
	"unsafe"
)

// item is the header of one key. The garbage collector's work grows with pointers and objects, so a
// small string is ONE allocation without pointers: the header, then the key, then the value with its
// spare capacity. A large value hangs on a heapItem. This file alone knows how the bytes lie.
//
// Guarded by the mutex of the namespace that holds it. The key never changes.
type item struct {
	revision uint64
	deadline int64 // ms of log time; 0: none
	keyLen   uint16
	length   uint16 // of an inline value
	capacity uint16 // of an inline value, at least 1: no pointer ever points past the allocation
	kind     Type
	form     form
}

// form tells where key and value of an item lie.
type form uint8

const (
	inlineForm form = iota // behind the header, in the same allocation
	heapForm               // in a heapItem, whose first field the header is
)

// heapItem holds a value in its own allocation. Bytes below len(value) never change, so that replies
// and snapshots may share them; bytes between length and capacity belong to the item alone.
type heapItem struct {
	item
	bytesKey []byte
	value    []byte
}

const (
	itemHeaderBytes = int(unsafe.Sizeof(item{}))

	// inlineBytesMax bounds values that lie behind their header. Up to here copying is cheaper than
	// an allocation of its own, and overwriting leaves no garbage (BenchmarkSetBySize).
	inlineBytesMax = 1024

	// shrinkBytesMin is the capacity below which a value that became small is left where it is.
	shrinkBytesMin = 128
)

// newItem makes a string item with a zero value of the given length and room for at least spare bytes
// more. The size class of the allocator is used whole.
func newItem(key []byte, length, spare int) *item {
	if length > inlineBytesMax {
		h := &heapItem{bytesKey: bytes.Clone(key), value: make([]byte, length, length+spare)}
		h.item = item{keyLen: uint16(len(key)), kind: String, form: heapForm}
		return &h.item
	}
	size := itemHeaderBytes + len(key) + max(length+spare, 1)
	words := slices.Grow([]uint64(nil), (size+7)/8)
	words = words[:cap(words)]
	it := (*item)(unsafe.Pointer(unsafe.SliceData(words)))
	it.keyLen = uint16(len(key))
	it.length = uint16(length)
	it.capacity = uint16(min(len(words)*8-itemHeaderBytes-len(key), inlineBytesMax))
	it.kind = String
	copy(it.key(), key)
	return it
}

func (it *item) heap() *heapItem { return (*heapItem)(unsafe.Pointer(it)) }

// key returns the key's bytes, which must not be changed. They stay valid and unchanged for good.
func (it *item) key() []byte {
	if it.form == heapForm {
		return it.heap().bytesKey
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(it), itemHeaderBytes)), it.keyLen)
}

// room returns the inline value with its spare capacity.
func (it *item) room() []byte {
	p := unsafe.Add(unsafe.Pointer(it), itemHeaderBytes+int(it.keyLen))
	return unsafe.Slice((*byte)(p), it.capacity)
}

func (it *item) value() []byte {
	if it.form == heapForm {
		return it.heap().value
	}
	return it.room()[:it.length:it.length]
}

func (it *item) valueLen() int {
	if it.form == heapForm {
		return len(it.heap().value)
	}
	return int(it.length)
}

// bytes is what the item counts for in the accounting. It must not depend on capacities, which differ
// between nodes.
func (it *item) bytes() int64 { return int64(it.keyLen) + int64(it.valueLen()) }

func (it *item) expired(time int64) bool { return it.deadline != 0 && it.deadline <= time }

// splice describes a new value: the old one with data written at offset, zeros before it if the old one
// was shorter, cut or grown to length. offset 0 and length len(data) replaces the whole.
type splice struct {
	offset   int
	data     []byte
	length   int
	deadline int64
}

// whole tells that nothing of the old value remains.
func (s splice) whole() bool { return s.offset == 0 && s.length == len(s.data) }

// fits tells whether a value of the length may be written without moving the item.
func (it *item) fits(length int) bool {
	if it.form == heapForm {
		return length > inlineBytesMax
	}
	if length > int(it.capacity) {
		return false
	}
	return it.capacity < shrinkBytesMin || length >= int(it.capacity)/4
}

// write applies s in place. The item must fit s.length.
func (it *item) write(s splice) {
	it.deadline = s.deadline
	if it.form == heapForm {
		it.heap().write(s)
		return
	}
	room := it.room()
	if s.offset > int(it.length) {
		clear(room[it.length:s.offset])
	}
	copy(room[s.offset:], s.data)
	it.length = uint16(s.length)
}

func (h *heapItem) write(s splice) {
	old := h.value
	switch {
	case len(s.data) == 0 && s.length == len(old):
	case s.offset == len(old):
		h.value = append(old, s.data...)
	default:
		h.value = make([]byte, s.length)
		if !s.whole() {
			copy(h.value, old)
		}
		copy(h.value[s.offset:], s.data)
	}
}

// spliced builds the item that s makes of old, which may be nil.
func spliced(key []byte, old *item, s splice) *item {
	spare := 0
	if old != nil && s.offset > 0 && s.length > old.valueLen() {
		spare = s.length // appended to: it will happen again
	}
	if s.length <= inlineBytesMax {
		spare = min(spare, inlineBytesMax-s.length)
	}
	next := newItem(key, s.length, spare)
	value := next.value()
	if old != nil && !s.whole() {
		copy(value, old.value())
	}
	copy(value[s.offset:], s.data)
	next.deadline = s.deadline
	return next
}

// clone makes an independent item of the same value under the key. Heap bytes are shared, but not the
// spare capacity behind them.
func (it *item) clone(key []byte) *item {
	if it.form == heapForm {
		value := it.heap().value
		h := &heapItem{item: *it, bytesKey: bytes.Clone(key), value: value[:len(value):len(value)]}
		h.keyLen = uint16(len(key))
		return &h.item
	}
	next := newItem(key, int(it.length), 0)
	copy(next.value(), it.value())
	next.revision, next.deadline, next.kind = it.revision, it.deadline, it.kind
	return next
}

// restore undoes a write: header and value are what they were. Value may be nil if only bytes behind it
// were written.
func (it *item) restore(header item, value []byte) {
	*it = header
	if it.form == heapForm {
		it.heap().value = value
		return
	}
	copy(it.room(), value)
}
