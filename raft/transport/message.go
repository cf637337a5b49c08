package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Fields of a message that are there, as bits in front of it. A field that is absent and one that is
// zero stay apart, so that a message comes out as it went in.
const (
	hasType = 1 << iota
	hasTo
	hasFrom
	hasTerm
	hasLogTerm
	hasIndex
	hasCommit
	hasVote
	hasRejectHint
	hasReject
	rejects // the value of reject
	hasContext
	hasEntries
	hasSnapshot

	messageBits = iota
)

// Fields of an entry that are there.
const (
	entryHasTerm = 1 << iota
	entryHasIndex
	entryHasType
	entryHasData

	entryBits = iota
)

// aliasBytesMin is the size from which bytes are sent from where they are instead of being copied next
// to the fields: about where one more element of a writev costs less than the copy.
const aliasBytesMin = 2 << 10

// entriesMax bounds the entries of a message, each of which takes some hundred bytes when decoded, and
// few when encoded. Raft sends at most 1 MiB of entries of 4 bytes or more.
const entriesMax = 1 << 18

var (
	errMessage   = errors.New("transport: message does not decode")
	errLocalOnly = errors.New("transport: message is not for peers")
)

// appendMessage encodes a message into s. What the message holds must not change until s is sent.
func appendMessage(s *segments, m *pb.Message) error {
	if m == nil || len(m.Responses) > 0 || len(m.Entries) > entriesMax {
		return errLocalOnly
	}
	var snapshot []byte
	if m.Snapshot != nil {
		var err error
		if snapshot, err = proto.Marshal(m.Snapshot); err != nil {
			return fmt.Errorf("%w: %w", errLocalOnly, err)
		}
	}
	s.uvarint(messageFields(m))
	if m.Type != nil {
		s.uvarint(uint64(uint32(*m.Type)))
	}
	for _, f := range numbers(m) {
		if f != nil {
			s.uvarint(*f)
		}
	}
	if m.Context != nil {
		s.bytes(m.Context)
	}
	if len(m.Entries) > 0 {
		s.uvarint(uint64(len(m.Entries)))
		for _, e := range m.Entries {
			appendEntry(s, e)
		}
	}
	if m.Snapshot != nil {
		s.bytes(snapshot)
	}
	return nil
}

// numbers are the numeric fields of a message in the order of their bits.
func numbers(m *pb.Message) [8]*uint64 {
	return [8]*uint64{m.To, m.From, m.Term, m.LogTerm, m.Index, m.Commit, m.Vote, m.RejectHint}
}

func messageFields(m *pb.Message) (fields uint64) {
	if m.Type != nil {
		fields |= hasType
	}
	for i, f := range numbers(m) {
		if f != nil {
			fields |= hasTo << i
		}
	}
	if m.Reject != nil {
		fields |= hasReject
		if *m.Reject {
			fields |= rejects
		}
	}
	if m.Context != nil {
		fields |= hasContext
	}
	if len(m.Entries) > 0 {
		fields |= hasEntries
	}
	if m.Snapshot != nil {
		fields |= hasSnapshot
	}
	return fields
}

func appendEntry(s *segments, e *pb.Entry) {
	if e == nil {
		e = &pb.Entry{}
	}
	fields := uint64(0)
	if e.Term != nil {
		fields |= entryHasTerm
	}
	if e.Index != nil {
		fields |= entryHasIndex
	}
	if e.Type != nil {
		fields |= entryHasType
	}
	if e.Data != nil {
		fields |= entryHasData
	}
	s.uvarint(fields)
	if e.Term != nil {
		s.uvarint(*e.Term)
	}
	if e.Index != nil {
		s.uvarint(*e.Index)
	}
	if e.Type != nil {
		s.uvarint(uint64(uint32(*e.Type)))
	}
	if e.Data != nil {
		s.bytes(e.Data)
	}
}

// messageSize is an upper bound of what appendMessage makes of m.
func messageSize(m *pb.Message) int {
	size := 128 + len(m.GetContext())
	if m.GetSnapshot() != nil {
		size += proto.Size(m.GetSnapshot())
	}
	for _, e := range m.GetEntries() {
		size += 32 + len(e.GetData())
	}
	return size
}

// messageCell holds a message and what its fields point to, in one allocation.
type messageCell struct {
	message pb.Message
	kind    pb.MessageType
	numbers [8]uint64
	reject  bool
}

// entryCell does the same for an entry.
type entryCell struct {
	entry       pb.Entry
	term, index uint64
	kind        pb.EntryType
}

// decodeMessage takes one message off the front of b. The message's bytes alias b. Only the one encoding
// that appendMessage makes is accepted.
func decodeMessage(b []byte) (m *pb.Message, rest []byte, err error) {
	d := decoder{rest: b}
	fields := d.uvarint(1<<messageBits - 1)
	if fields&rejects != 0 && fields&hasReject == 0 {
		d.failed = true
	}
	c := new(messageCell)
	m = &c.message
	if fields&hasType != 0 {
		c.kind = pb.MessageType(int32(uint32(d.uvarint(math.MaxUint32))))
		m.Type = &c.kind
	}
	for i, to := range [8]**uint64{
		&m.To, &m.From, &m.Term, &m.LogTerm, &m.Index, &m.Commit, &m.Vote, &m.RejectHint,
	} {
		if fields&(hasTo<<i) != 0 {
			c.numbers[i] = d.uvarint(math.MaxUint64)
			*to = &c.numbers[i]
		}
	}
	if fields&hasReject != 0 {
		c.reject = fields&rejects != 0
		m.Reject = &c.reject
	}
	if fields&hasContext != 0 {
		m.Context = d.bytes()
	}
	if fields&hasEntries != 0 {
		m.Entries = d.entries()
	}
	if fields&hasSnapshot != 0 {
		m.Snapshot = new(pb.Snapshot)
		if data := d.bytes(); !d.failed && proto.Unmarshal(data, m.Snapshot) != nil {
			d.failed = true
		}
	}
	if d.failed {
		return nil, nil, errMessage
	}
	return m, d.rest, nil
}

// decoder takes values off the front of rest. After a failure it yields zeros.
type decoder struct {
	rest   []byte
	failed bool
}

// uvarint takes a number of at most bound, in its shortest form.
func (d *decoder) uvarint(bound uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.failed || n <= 0 || n != uvarintBytes(v) || v > bound {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func uvarintBytes(v uint64) int { return max(1, (bits.Len64(v)+6)/7) }

func (d *decoder) bytes() []byte {
	n := d.uvarint(math.MaxInt32)
	if d.failed || n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) entries() []*pb.Entry {
	n := d.uvarint(entriesMax)
	if d.failed || n == 0 || n > uint64(len(d.rest)) {
		d.failed = true
		return nil
	}
	entries := make([]*pb.Entry, 0, min(n, 64))
	for len(entries) < int(n) && !d.failed {
		// Cells come in slabs: an entry that is kept pins its neighbours, which are kept as long.
		cells := make([]entryCell, min(int(n)-len(entries), 64))
		for i := range cells {
			d.entry(&cells[i])
			entries = append(entries, &cells[i].entry)
		}
	}
	return entries
}

func (d *decoder) entry(c *entryCell) {
	fields := d.uvarint(1<<entryBits - 1)
	if fields&entryHasTerm != 0 {
		c.term = d.uvarint(math.MaxUint64)
		c.entry.Term = &c.term
	}
	if fields&entryHasIndex != 0 {
		c.index = d.uvarint(math.MaxUint64)
		c.entry.Index = &c.index
	}
	if fields&entryHasType != 0 {
		c.kind = pb.EntryType(int32(uint32(d.uvarint(math.MaxUint32))))
		c.entry.Type = &c.kind
	}
	if fields&entryHasData != 0 {
		c.entry.Data = d.bytes()
	}
}
