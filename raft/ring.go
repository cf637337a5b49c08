package raft

import pb "go.etcd.io/raft/v3/raftpb"

// entryOverhead is what an entry costs in memory beside its payload: the message, its three
// boxed numbers and a slot.
const entryOverhead = 128

// ring holds the newest entries of a log, with consecutive indexes, bounded in bytes. An entry
// with index i is at slots[i mod len(slots)]; the length is a power of two.
type ring struct {
	slots    []*pb.Entry
	first    uint64 // index of the oldest entry held
	next     uint64 // index after the newest; first == next: empty
	bytes    int    // cost of the entries held
	bytesMax int    // the newest entry is held even if it alone exceeds this
}

func newRing(next uint64, bytesMax int) ring {
	return ring{slots: make([]*pb.Entry, 64), first: next, next: next, bytesMax: bytesMax}
}

func (r *ring) slot(index uint64) *(*pb.Entry) { return &r.slots[index&uint64(len(r.slots)-1)] }

func entryCost(e *pb.Entry) int { return len(e.GetData()) + entryOverhead }

// push adds an entry at index next and lets go of the oldest ones above the bound.
func (r *ring) push(e *pb.Entry) {
	if r.next-r.first == uint64(len(r.slots)) {
		r.grow()
	}
	*r.slot(r.next) = e
	r.next++
	r.bytes += entryCost(e)
	for r.bytes > r.bytesMax && r.next-r.first > 1 {
		r.dropTo(r.first + 1)
	}
}

func (r *ring) grow() {
	old := *r
	r.slots = make([]*pb.Entry, 2*len(old.slots))
	for i := r.first; i < r.next; i++ {
		*r.slot(i) = *old.slot(i)
	}
}

// dropTo lets go of the entries below index.
func (r *ring) dropTo(index uint64) {
	for ; r.first < min(index, r.next); r.first++ {
		r.bytes -= entryCost(*r.slot(r.first))
		*r.slot(r.first) = nil
	}
	if r.first < index {
		r.first, r.next = index, index
	}
}

// truncate lets go of the entries from index on; the next push is at index.
func (r *ring) truncate(index uint64) {
	for r.next > max(index, r.first) {
		r.next--
		r.bytes -= entryCost(*r.slot(r.next))
		*r.slot(r.next) = nil
	}
	if r.next != index {
		r.first, r.next = index, index
	}
}

// reset lets go of everything; the next push is at next.
func (r *ring) reset(next uint64) {
	r.dropTo(r.next)
	r.first, r.next = next, next
}

// get returns the entry at index, or nil if the ring does not hold it.
func (r *ring) get(index uint64) *pb.Entry {
	if index < r.first || index >= r.next {
		return nil
	}
	return *r.slot(index)
}
