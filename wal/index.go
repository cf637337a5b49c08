package wal

import (
	"slices"
	"sort"
)

// anchorBytes is the distance at which the index remembers where a group's entries are. Between anchors the
// log is walked, frame by frame. It trades memory (24 bytes per anchor) for reading: one read either way.
const anchorBytes = 4096

// anchor says that the group's entries from first on start in the frame at (seq, off), or in one that is
// found by walking on from there in the same segment.
type anchor struct {
	first uint64
	seq   uint64
	off   uint32
}

// span says that entries from first on have this term, up to the next span.
type span struct{ first, term uint64 }

// group is what the log knows of a raft group. The Log's mu guards it.
type group struct {
	hard HardState
	mark SnapshotMark // the newest; zero: none
	base SnapshotMark // entries up to here are released; zero: none
	last uint64       // index of the last entry; base.Index if there is none

	// from is the index of the first entry held: base.Index+1, but while a log is replayed whose oldest
	// segments are gone it may be higher, and must have come down when the replay ends.
	from uint64

	anchors []anchor // first strictly ascends; the first one covers from, if there is an entry
	spans   []span   // first strictly ascends, neighbours differ in term; covers from..last

	stated     uint64 // segment of the group's last state frame
	statedBase uint64 // base index in that frame
	version    uint64 // grows whenever entries are replaced; a read that saw it grow starts over
}

func newGroup() *group { return &group{from: 1} }

// holds says whether the entry that a mark names is in the group's log, or is the last one released.
func (g *group) holds(m SnapshotMark) bool {
	term, ok := g.term(m.Index)
	return ok && term == m.Term
}

// term returns the term of an entry, or of the last one released.
func (g *group) term(index uint64) (uint64, bool) {
	if index == g.base.Index {
		return g.base.Term, true
	}
	if index < g.from || index > g.last {
		return 0, false
	}
	i := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].first > index })
	return g.spans[i-1].term, true
}

// find returns the anchor that covers an index in from..last, and the index behind those that it covers.
func (g *group) find(index uint64) (a anchor, limit uint64) {
	i := sort.Search(len(g.anchors), func(i int) bool { return g.anchors[i].first > index })
	if i == len(g.anchors) {
		return g.anchors[i-1], g.last + 1
	}
	return g.anchors[i-1], g.anchors[i].first
}

// apply brings the group to what a state frame in segment seq says. The frame is known to continue it.
func (g *group) apply(f *frame, seq uint64) {
	g.hard, g.mark = f.hard, f.mark
	g.stated, g.statedBase = seq, f.base.Index
	switch {
	case f.flags&flagReset != 0:
		g.drop()
		g.base, g.last, g.from = f.base, f.base.Index, f.base.Index+1
	case f.base.Index > g.base.Index:
		g.release(f.base)
	}
	if f.count == 0 {
		return
	}
	if f.flags&flagCopy != 0 {
		g.copy(f, seq)
		if g.from <= g.base.Index { // released while they were copied
			g.release(g.base)
		}
		return
	}
	replaces := f.first <= g.last
	if replaces {
		g.truncate(f.first)
	}
	g.place(f, seq, replaces)
}

// drop forgets all entries.
func (g *group) drop() {
	g.anchors, g.spans = g.anchors[:0], g.spans[:0]
	g.version++
}

// release forgets entries up to and including the base.
func (g *group) release(base SnapshotMark) {
	g.base = base
	switch {
	case base.Index >= g.last:
		g.drop()
		g.last, g.from = base.Index, base.Index+1
	case base.Index >= g.from:
		g.from = base.Index + 1
		a := sort.Search(len(g.anchors), func(i int) bool { return g.anchors[i].first > g.from })
		g.anchors = slices.Delete(g.anchors, 0, a-1)
		s := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].first > g.from })
		g.spans = slices.Delete(g.spans, 0, s-1)
	}
}

// truncate forgets entries from an index on, which is at most the last one's.
func (g *group) truncate(index uint64) {
	g.version++
	g.last = index - 1
	if index <= g.from {
		g.drop()
		g.from = index
		return
	}
	a := sort.Search(len(g.anchors), func(i int) bool { return g.anchors[i].first >= index })
	g.anchors = g.anchors[:a]
	s := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].first >= index })
	g.spans = g.spans[:s]
}

// place adds the frame's entries behind the last one. If they do not follow it, which happens only in a
// replay of a log whose oldest segments are gone, the group's log starts with them for now. Entries that
// replace others get an anchor: walking on from the last one would meet the replaced ones.
func (g *group) place(f *frame, seq uint64, replaces bool) {
	if f.first > g.last+1 {
		g.drop()
		g.from = f.first
	}
	at := anchor{first: f.first, seq: seq, off: uint32(f.off)}
	n := len(g.anchors)
	if replaces || n == 0 || g.anchors[n-1].seq != seq || at.off-g.anchors[n-1].off >= anchorBytes {
		g.anchors = append(g.anchors, at)
	}
	for i := range int(f.count) {
		g.addTerm(f.first+uint64(i), f.row(i).term)
	}
	g.last = f.first + uint64(f.count) - 1
}

func (g *group) addTerm(index, term uint64) {
	if n := len(g.spans); n == 0 || g.spans[n-1].term != term {
		g.spans = append(g.spans, span{index, term})
	}
}

// copy notes that the entries in the frame are found there now. Those after them stay where they are.
func (g *group) copy(f *frame, seq uint64) {
	first, last := f.first, f.first+uint64(f.count)-1
	if last+1 < g.from || first > g.last+1 {
		g.drop() // in a replay without the oldest segments; copies of what is between follow
		g.last, g.from = last, first
	}
	var anchors []anchor
	var spans []span
	if last < g.last {
		rest, _ := g.find(max(last+1, g.from))
		rest.first = max(rest.first, last+1)
		anchors = append(anchors, rest)
		for _, a := range g.anchors {
			if a.first > rest.first {
				anchors = append(anchors, a)
			}
		}
		for _, s := range g.spans {
			if n := len(spans); n > 0 && s.first <= last+1 {
				spans[n-1] = span{last + 1, s.term}
			} else {
				spans = append(spans, span{max(s.first, last+1), s.term})
			}
		}
	}
	a := sort.Search(len(g.anchors), func(i int) bool { return g.anchors[i].first >= first })
	g.anchors = append(append(g.anchors[:a], anchor{first, seq, uint32(f.off)}), anchors...)
	s := sort.Search(len(g.spans), func(i int) bool { return g.spans[i].first >= first })
	g.spans = g.spans[:s]
	for i := range int(f.count) {
		g.addTerm(first+uint64(i), f.row(i).term)
	}
	for _, s := range spans {
		g.addTerm(s.first, s.term)
	}
	g.from, g.last = min(g.from, first), max(g.last, last)
}
