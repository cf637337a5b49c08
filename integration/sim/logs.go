package sim

import (
	"fmt"
	"hash/fnv"

	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

// logs is what all nodes have ever appended to their logs. An entry of one index and term is the same on all nodes,
// and so is what stands before it: Log Matching, in Raft's words.
type logs struct {
	entries map[slot]content
	broken  error // the first entry of which that is not so
}

// slot names an entry.
type slot struct{ index, term uint64 }

// content is what an entry holds, and the term of the one before it.
type content struct {
	data   uint64
	before uint64
}

// watched is a node's log, of which the world's logs hear.
type watched struct {
	raft.Log
	logs *logs
}

// Append is that of raft.Log.
func (w watched) Append(rec *wal.Record) error {
	before, known := uint64(0), false
	if len(rec.Entries) > 0 {
		term, err := w.Log.Term(rec.Group, rec.Entries[0].Index-1)
		before, known = term, err == nil
	}
	if err := w.Log.Append(rec); err != nil {
		return err
	}
	for _, e := range rec.Entries {
		if known {
			w.logs.enter(slot{e.Index, e.Term}, content{digestEntry(e), before})
		}
		before, known = e.Term, true
	}
	return nil
}

func (l *logs) enter(s slot, c content) {
	switch other, there := l.entries[s]; {
	case !there:
		l.entries[s] = c
	case other != c && l.broken == nil:
		l.broken = fmt.Errorf("two logs differ in entry %d of term %d, or in the term before it (%d and %d)",
			s.index, s.term, other.before, c.before)
	}
}

func digestEntry(e wal.Entry) uint64 {
	h := fnv.New64a()
	h.Write([]byte{e.Type})
	h.Write(e.Data)
	return h.Sum64()
}
