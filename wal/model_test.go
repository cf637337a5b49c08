package wal

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// model is what a log should hold, kept the plain way.
type model map[GroupID]*modelGroup

type modelGroup struct {
	hard    HardState
	mark    SnapshotMark
	base    SnapshotMark
	entries []Entry // from base.Index+1 on
}

func (g *modelGroup) last() uint64 { return g.base.Index + uint64(len(g.entries)) }

func (g *modelGroup) term(index uint64) uint64 {
	if index == g.base.Index {
		return g.base.Term
	}
	return g.entries[index-g.base.Index-1].Term
}

func (g *modelGroup) holds(m SnapshotMark) bool {
	return m.Index >= g.base.Index && m.Index <= g.last() && g.term(m.Index) == m.Term
}

func (m model) clone() model {
	c := model{}
	for id, g := range m {
		cg := *g
		cg.entries = slices.Clone(g.entries)
		c[id] = &cg
	}
	return c
}

func (m model) group(id GroupID) *modelGroup {
	if m[id] == nil {
		m[id] = &modelGroup{}
	}
	return m[id]
}

func (m model) append(rec *Record) {
	g := m.group(rec.Group)
	g.hard = rec.HardState
	if s := rec.Snapshot; s != nil {
		if !g.holds(*s) {
			g.base, g.entries = *s, nil
		}
		g.mark = *s
	}
	if len(rec.Entries) > 0 {
		g.entries = append(g.entries[:rec.Entries[0].Index-g.base.Index-1:rec.Entries[0].Index-g.base.Index-1],
			rec.Entries...)
	}
}

func (m model) release(id GroupID, index uint64) {
	g := m[id]
	n := index - g.base.Index
	g.base = SnapshotMark{index, g.term(index)}
	g.entries = slices.Clone(g.entries[n:])
}

// compare says how a log differs from the model.
func (m model) compare(l *Log) error {
	for _, id := range slices.Sorted(maps.Keys(m)) {
		g := m[id]
		if first, last := l.FirstIndex(id), l.LastIndex(id); first != g.base.Index+1 || last != g.last() {
			return fmt.Errorf("group %d: holds %d..%d, want %d..%d", id, first, last, g.base.Index+1, g.last())
		}
		for index := g.base.Index; index <= g.last(); index++ {
			if term, err := l.Term(id, index); err != nil || term != g.term(index) {
				return fmt.Errorf("group %d: term of %d is %d, %v; want %d", id, index, term, err, g.term(index))
			}
		}
		got, err := l.Entries(id, g.base.Index+1, g.last()+1, 1<<60, nil)
		if err == nil {
			err = sameEntries(got, g.entries)
		}
		if len(g.entries) > 0 && err != nil {
			return fmt.Errorf("group %d: %w", id, err)
		}
		st := l.groups[id]
		if st == nil || st.hard != g.hard || st.mark != g.mark {
			return fmt.Errorf("group %d: %+v, want %+v", id, st, g)
		}
	}
	for id := range l.groups {
		if m[id] == nil {
			return fmt.Errorf("group %d is unknown", id)
		}
	}
	return nil
}

// matches is compare for a log after a crash. What was released may have come back, as nothing tells of a
// release until the next record of its group.
func (m model) matches(l *Log, groups map[GroupID]GroupState) error {
	c := m.clone()
	for id, g := range c {
		found, ok := groups[id]
		if !ok {
			return fmt.Errorf("group %d is missing", id)
		}
		if found.Released.Index > g.base.Index {
			return fmt.Errorf("group %d: %d is released, want at most %d", id, found.Released.Index, g.base.Index)
		}
		for index := g.base.Index; index > found.Released.Index; index-- {
			e, err := l.Entries(id, index, index+1, 1, nil)
			if err != nil {
				return err
			}
			g.entries = append(e, g.entries...)
		}
		g.base = found.Released
	}
	return c.compare(l)
}

// generator makes records and releases that are right for a model.
type generator struct {
	rng   *rand.Rand
	large int // size of the largest entries
}

func (gen *generator) record(m model) *Record {
	id := GroupID(1 + gen.rng.IntN(3))
	g := m[id]
	if g == nil {
		g = &modelGroup{}
	}
	rec := &Record{Group: id, HardState: g.hard}
	rec.HardState.Term = max(1, g.hard.Term)
	last := g.last()
	if gen.rng.IntN(6) == 0 {
		rec.HardState.Term++
		rec.HardState.Vote = gen.rng.Uint64N(3)
	}
	if gen.rng.IntN(12) == 0 { // a snapshot: of what is there, or of what is not
		s := SnapshotMark{last + 1 + gen.rng.Uint64N(5), rec.HardState.Term}
		if low := max(g.base.Index, g.mark.Index); gen.rng.IntN(2) == 0 && g.hard.Commit > low {
			s.Index = low + 1 + gen.rng.Uint64N(g.hard.Commit-low)
			s.Term = g.term(s.Index)
		} else {
			last = s.Index
		}
		rec.Snapshot = &s
		rec.HardState.Commit = max(rec.HardState.Commit, s.Index)
	}
	if n := gen.rng.IntN(5); n > 0 {
		first := last + 1
		if low := rec.HardState.Commit + 1; gen.rng.IntN(5) == 0 && low < first {
			first = low + gen.rng.Uint64N(first-low)
		}
		for i := range n {
			rec.Entries = append(rec.Entries, Entry{Term: rec.HardState.Term, Index: first + uint64(i),
				Type: uint8(gen.rng.IntN(3)), Data: gen.data()})
		}
		last = first + uint64(n) - 1
	}
	if last > rec.HardState.Commit && gen.rng.IntN(2) == 0 {
		rec.HardState.Commit += gen.rng.Uint64N(last - rec.HardState.Commit + 1)
	}
	return rec
}

// data is random in size and, to look like unwritten sectors, often all zeros.
func (gen *generator) data() []byte {
	size := gen.rng.IntN(300)
	if gen.rng.IntN(4) == 0 {
		size = gen.rng.IntN(gen.large)
	}
	data := make([]byte, size)
	if gen.rng.IntN(3) > 0 {
		for i := range data {
			data[i] = byte(gen.rng.Uint32())
		}
	}
	return data
}

// release picks what could be released, or 0.
func (gen *generator) release(m model) (GroupID, uint64) {
	id := GroupID(1 + gen.rng.IntN(3))
	g := m[id]
	if g == nil || g.hard.Commit <= g.base.Index {
		return id, 0
	}
	return id, g.base.Index + 1 + gen.rng.Uint64N(g.hard.Commit-g.base.Index)
}
