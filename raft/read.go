package raft

import (
	"encoding/binary"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// confirmedReadsMax bounds the read rounds that have their index and wait for the apply worker.
const confirmedReadsMax = 64

// readQueue holds the reads that have left the inbox: at most one round that asks for a read
// index, and rounds that have one and wait until it is applied.
type readQueue struct {
	round   *Pending // asks for an index; nil: none
	issued  bool     // a request was given to the library since round began
	first   uint64   // the sequence of the first such request: any later one answers round too
	issueAt int      // Group.ticks at the newest request
	seq     uint64   // of the newest request
	stamp   int64    // that came with the newest answer of a leader
	// confirmed are in the order of their requests.
	confirmed []confirmedRead
}

type confirmedRead struct {
	pending *Pending
	index   Index
	stamp   int64
}

// readRound is what names a request to the library among all ever made. The number of this
// process start keeps an answer to a former process from being taken for one to this.
type readRound struct {
	process uint64
	term    Term // in which it was made
	seq     uint64
	sent    time.Duration // boot clock, read before the request was made
}

const readRoundBytes = 32

func (r readRound) encode() []byte {
	buf := make([]byte, 0, readRoundBytes)
	for _, n := range [...]uint64{r.process, uint64(r.term), r.seq, uint64(r.sent)} {
		buf = binary.LittleEndian.AppendUint64(buf, n)
	}
	return buf
}

func decodeReadRound(data []byte) (r readRound, ok bool) {
	if len(data) != readRoundBytes {
		return r, false
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(data[8*i:]) }
	return readRound{number(0), Term(number(1)), number(2), time.Duration(number(3))}, true
}

// canRead reports whether a read index can be asked for. A leader that does not serve must not be
// asked: former leaders may still hold leases, and alone it would answer with a commit index
// that is only its own memory of one.
func (g *Group) canRead() bool {
	if g.leads() {
		return g.serves()
	}
	return g.leader != 0
}

// startRead sends a request if reads wait and none is out for them, or the one that is may be lost:
// on a change of role or leader, and after a while. A lease is renewed by requests too.
func (g *Group) startRead() {
	q := &g.reads
	if !g.canRead() || len(q.confirmed) >= confirmedReadsMax {
		return
	}
	if q.round == nil {
		q.round, q.issued = g.inbox.takeRead(), false
	}
	wanted := q.round != nil && !(q.issued && g.ticks-q.issueAt < g.host.readRetryTicks)
	if wanted && g.leased() {
		q.confirmed = append(q.confirmed, confirmedRead{pending: q.round, index: Index(g.hard.Commit)})
		q.round, wanted = nil, false
	}
	if !wanted && !g.renewalDue() {
		return
	}
	q.seq++
	if !q.issued {
		q.first = q.seq
	}
	q.issued, q.issueAt = true, g.ticks
	round := readRound{g.host.process, Term(g.hard.Term), q.seq, g.host.clock.Boot()}
	g.node.ReadIndex(round.encode())
}

// leased reports whether this leader holds a lease right now. What is committed by now is in
// Group.hard.
func (g *Group) leased() bool {
	return g.announced() && g.lease.until != 0 && g.host.clock.Boot() < g.lease.until
}

// interrupt makes the round ask anew.
func (q *readQueue) interrupt() { q.issued = false }

// confirm takes the library's answer to a request.
func (g *Group) confirm(s *etcdraft.ReadState) {
	r, ok := decodeReadRound(s.RequestCtx)
	if !ok || r.process != g.host.process {
		return
	}
	g.grant(r)
	q := &g.reads
	if q.round == nil || !q.issued || r.seq < q.first {
		return
	}
	c := confirmedRead{pending: q.round, index: Index(s.Index)}
	if !g.leads() {
		c.stamp = q.stamp
	}
	q.confirmed = append(q.confirmed, c)
	q.round = nil
}

// answerLeased answers a peer's question for a read index without asking anyone, if this leader holds a lease: as long
// as it does, nobody else has committed anything. It reports whether it has.
func (g *Group) answerLeased(m *pb.Message) bool {
	if !g.leased() {
		return false
	}
	answer := []*pb.Message{{
		Type:    pb.MsgReadIndexResp.Enum(),
		From:    new(uint64(g.replica)),
		To:      new(m.GetFrom()),
		Term:    new(g.hard.Term),
		Index:   new(g.hard.Commit),
		Entries: m.GetEntries(),
	}}
	g.stampReads(answer)
	g.host.transport.Send(g.id, answer)
	return true
}

// stampBytes is the length of the context of an answer to a peer's read.
const stampBytes = 8

// stampReads puts the proposer's stamp onto this leader's answers to the reads of peers.
func (g *Group) stampReads(outbound []*pb.Message) {
	for _, m := range outbound {
		if m.GetType() == pb.MsgReadIndexResp {
			m.Context = binary.LittleEndian.AppendUint64(nil, uint64(g.proposer.Stamp()))
		}
	}
}

// noteStamp keeps the stamp of a leader's answer. That of a later answer serves an earlier one as well, but not that of
// a former leader, whose answer the library does not take either.
func (q *readQueue) noteStamp(m *pb.Message, term uint64) {
	if m.GetType() == pb.MsgReadIndexResp && m.GetTerm() >= term && len(m.GetContext()) == stampBytes {
		q.stamp = int64(binary.LittleEndian.Uint64(m.GetContext()))
	}
}

// finish resolves the reads whose index is applied.
func (q *readQueue) finish(applied Index) {
	left := q.confirmed[:0]
	for _, c := range q.confirmed {
		if c.index <= applied {
			c.pending.stamp = c.stamp
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
