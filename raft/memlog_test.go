package raft

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/primatomic/primatomic/wal"
)

var errDisk = errors.New("input/output error")

// memLog is a Log in memory that knows what a crash would leave.
type memLog struct {
	mu      sync.Mutex
	records []wal.Record // in order of append; all written since the log was made
	synced  int          // records[:synced] are durable
	state   map[GroupID]*memGroup

	discard   bool // keeps no copy of what is written, for benchmarks
	noSpace   bool
	appendErr error
	syncErr   error
	readErr   error
	syncs     int
	seals     int
	readsBack int
}

// memGroup is the dumb form of what the log holds of a group.
type memGroup struct {
	hard    wal.HardState
	base    wal.SnapshotMark // the entry before the first
	mark    wal.SnapshotMark // the newest
	entries []wal.Entry      // consecutive
}

func newMemLog() *memLog {
	return &memLog{state: make(map[GroupID]*memGroup)}
}

// crash returns the log as a restart finds it: what was synced, and the first kept of the
// records that were not.
func (l *memLog) crash(kept int) *memLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	after := newMemLog()
	for i := range l.records[:min(len(l.records), l.synced+kept)] {
		if err := after.write(&l.records[i]); err != nil {
			panic(err)
		}
	}
	after.synced = len(after.records)
	return after
}

func (l *memLog) unsynced() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records) - l.synced
}

func (l *memLog) Append(rec *wal.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.noSpace:
		return fmt.Errorf("segment: %w", wal.ErrNoSpace)
	case l.appendErr != nil:
		return l.appendErr
	}
	return l.write(rec)
}

func (l *memLog) write(rec *wal.Record) error {
	if l.discard {
		return nil
	}
	r := *rec
	r.Entries = slices.Clone(rec.Entries)
	for i := range r.Entries {
		r.Entries[i].Data = slices.Clone(r.Entries[i].Data)
	}
	l.records = append(l.records, r)
	g := l.state[r.Group]
	if g == nil {
		g = &memGroup{}
		l.state[r.Group] = g
	}
	if r.HardState.Term < g.hard.Term || r.HardState.Commit < g.hard.Commit {
		return fmt.Errorf("hard state falls from %+v to %+v", g.hard, r.HardState)
	}
	g.hard = r.HardState
	if r.Snapshot != nil {
		g.base, g.mark, g.entries = *r.Snapshot, *r.Snapshot, nil
	}
	if len(r.Entries) == 0 {
		return nil
	}
	keep := r.Entries[0].Index - (g.base.Index + 1)
	if keep > uint64(len(g.entries)) {
		return fmt.Errorf("gap before entry %d", r.Entries[0].Index)
	}
	g.entries = append(g.entries[:keep:keep], r.Entries...)
	return nil
}

func (l *memLog) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.syncErr != nil {
		return l.syncErr
	}
	l.syncs++
	l.synced = len(l.records)
	return nil
}

func (l *memLog) Entries(id GroupID, lo, hi, maxBytes uint64, dst []wal.Entry) ([]wal.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readsBack++
	if l.readErr != nil {
		return nil, l.readErr
	}
	var bytes uint64
	for i := lo; i < hi; i++ {
		e, ok := l.entry(id, i)
		if !ok {
			return nil, fmt.Errorf("no entry %d", i)
		}
		if bytes += uint64(len(e.Data)); bytes > maxBytes && i > lo {
			break
		}
		dst = append(dst, e)
	}
	return dst, nil
}

func (l *memLog) entry(id GroupID, index uint64) (wal.Entry, bool) {
	g := l.state[id]
	if g == nil || len(g.entries) == 0 || index < g.entries[0].Index {
		return wal.Entry{}, false
	}
	if i := index - g.entries[0].Index; i < uint64(len(g.entries)) {
		return g.entries[i], true
	}
	return wal.Entry{}, false
}

func (l *memLog) Term(id GroupID, index uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entry(id, index); ok {
		return e.Term, nil
	}
	if g := l.state[id]; g == nil && index == 0 || g != nil && index == g.base.Index {
		return l.base(id).Term, nil
	}
	return 0, fmt.Errorf("no entry %d", index)
}

func (l *memLog) base(id GroupID) wal.SnapshotMark {
	if g := l.state[id]; g != nil {
		return g.base
	}
	return wal.SnapshotMark{}
}

func (l *memLog) FirstIndex(id GroupID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base(id).Index + 1
}

func (l *memLog) LastIndex(id GroupID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.base(id).Index
	if g := l.state[id]; g != nil {
		last += uint64(len(g.entries))
	}
	return last
}

func (l *memLog) Tail(id GroupID, bytes int64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.state[id]
	at := len(g.entries)
	for ; at > 0 && bytes >= int64(len(g.entries[at-1].Data)); at-- {
		bytes -= int64(len(g.entries[at-1].Data))
	}
	return g.base.Index + 1 + uint64(at)
}

func (l *memLog) Seal() error {
	l.mu.Lock()
	l.seals++
	l.mu.Unlock()
	return l.Sync()
}

func (l *memLog) Release(id GroupID, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.state[id]
	if index <= g.base.Index {
		return nil
	}
	e, ok := l.entry(id, index)
	if !ok || index > g.hard.Commit {
		return fmt.Errorf("release of %d, committed %d", index, g.hard.Commit)
	}
	g.entries = g.entries[index-g.base.Index:]
	g.base = wal.SnapshotMark{Index: index, Term: e.Term}
	return nil
}

func (l *memLog) hard(id GroupID) wal.HardState {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.state[id]; g != nil {
		return g.hard
	}
	return wal.HardState{}
}
