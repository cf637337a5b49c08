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
	readsBack int
	released  map[GroupID]uint64
}

// memGroup is the dumb form of what the log holds of a group.
type memGroup struct {
	hard    wal.HardState
	mark    wal.SnapshotMark
	entries []wal.Entry // consecutive
}

func newMemLog() *memLog {
	return &memLog{state: make(map[GroupID]*memGroup), released: make(map[GroupID]uint64)}
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
		g.mark, g.entries = *r.Snapshot, nil
	}
	if len(r.Entries) == 0 {
		return nil
	}
	keep := r.Entries[0].Index - (g.mark.Index + 1)
	if len(g.entries) > 0 {
		keep = r.Entries[0].Index - g.entries[0].Index
	}
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
	return 0, fmt.Errorf("no entry %d", index)
}

func (l *memLog) FirstIndex(id GroupID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.state[id]
	switch {
	case g == nil:
		return 1
	case len(g.entries) > 0:
		return g.entries[0].Index
	}
	return g.mark.Index + 1
}

func (l *memLog) LastIndex(id GroupID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.state[id]
	switch {
	case g == nil:
		return 0
	case len(g.entries) > 0:
		return g.entries[len(g.entries)-1].Index
	}
	return g.mark.Index
}

// Release forgets the released entries but the last, as whole segments would.
func (l *memLog) Release(id GroupID, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released[id] = index
	g := l.state[id]
	for len(g.entries) > 1 && g.entries[0].Index < index {
		g.entries = g.entries[1:]
	}
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
