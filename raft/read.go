package raft

import (
	"bytes"
	"encoding/binary"

	etcdraft "go.etcd.io/raft/v3"
)

// confirmedReadsMax bounds the read rounds that have their index and wait for the apply worker.
const confirmedReadsMax = 64

// readQueue holds the reads that have left the inbox: at most one round that asks for a read
// index, and rounds that have one and wait until it is applied.
type readQueue struct {
	round   *Pending // asks for an index; nil: none
	issued  bool     // the round's request was given to the library
	issueAt int      // Group.ticks then
	// context names the request among all ever made: the number of this process start keeps
	// an answer to a former process from being taken for one to this, seq the rest.
	context   []byte
	seq       uint64
	confirmed []confirmedRead
}

type confirmedRead struct {
	pending *Pending
	index   Index
}

// canRead reports whether a read index can be asked for. A leader that has not applied an entry
// of its own term must not be asked: alone, it would answer with a commit index that is only
// its own memory of one.
func (g *Group) canRead() bool {
	if g.leads() {
		return g.serves()
	}
	return g.leader != 0
}

// startRead begins a round if none is out, or asks anew for one whose request may be lost: on a
// change of role or leader, and after a while.
func (g *Group) startRead() {
	q := &g.reads
	if !g.canRead() || len(q.confirmed) >= confirmedReadsMax {
		return
	}
	if q.round == nil {
		if q.round = g.inbox.takeRead(); q.round == nil {
			return
		}
		q.issued = false
	}
	if q.issued && g.ticks-q.issueAt < g.host.readRetryTicks {
		return
	}
	q.seq++
	q.issued, q.issueAt = true, g.ticks
	q.context = binary.LittleEndian.AppendUint64(nil, g.host.process)
	q.context = binary.LittleEndian.AppendUint64(q.context, q.seq)
	g.node.ReadIndex(q.context)
}

// interrupt makes the round ask anew.
func (q *readQueue) interrupt() { q.issued = false }

// confirm takes the library's answer to a request. An answer to any but the newest is ignored.
func (q *readQueue) confirm(s *etcdraft.ReadState) {
	if q.round == nil || !q.issued || !bytes.Equal(s.RequestCtx, q.context) {
		return
	}
	q.confirmed = append(q.confirmed, confirmedRead{q.round, Index(s.Index)})
	q.round = nil
}

// finish resolves the reads whose index is applied.
func (q *readQueue) finish(applied Index) {
	left := q.confirmed[:0]
	for _, c := range q.confirmed {
		if c.index <= applied {
			c.pending.resolve(nil)
		} else {
			left = append(left, c)
		}
	}
	clear(q.confirmed[len(left):])
	q.confirmed = left
}

// fail resolves all reads with err.
func (q *readQueue) fail(err error) {
	if q.round != nil {
		q.round.resolve(err)
	}
	for _, c := range q.confirmed {
		c.pending.resolve(err)
	}
	q.round, q.confirmed = nil, nil
}
