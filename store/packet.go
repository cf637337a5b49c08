package store

import (
	"encoding/binary"

	"github.com/primatomic/primatomic/raft"
)

// Courier carries packets between the stores of a group's nodes.
type Courier interface {
	// Send queues a packet for a node. It never blocks. After an error it certainly was not sent;
	// otherwise it arrives once, after all that was sent there before, or not at all. The packet must
	// not change any more.
	Send(node uint64, packet []byte) error
}

// A packet begins with a byte that tells its kind. Numbers are uvarints:
//
//	forward   term, count, first sequence, calls as in an envelope
//	refusal   term, count, first sequence, process number of the calls: they certainly are not in the log and never
//	          will be. A later process of their node gives out the same sequences
//	tick      term, log time in ms that the sender wants to see applied
//	digest    term, index, digestVersion, 32 bytes: what the sender's state as of that entry hashes to
//	quarantine term: the sender's state is wrong, and it serves nothing
type packetKind byte

const (
	packetForward packetKind = 1
	packetRefusal packetKind = 2
	packetTick    packetKind = 3
	packetDigest  packetKind = 4

	packetQuarantine packetKind = 5
)

// packetHeaderMax bounds what stands in a packet before its calls.
const packetHeaderMax = 1 + 3*binary.MaxVarintLen64

func newPacket(buf []byte, kind packetKind, numbers ...uint64) []byte {
	buf = append(buf, byte(kind))
	for _, n := range numbers {
		buf = binary.AppendUvarint(buf, n)
	}
	return buf
}

// Receive takes a packet from another node's store. It does not block. What does not decode is dropped: its
// sender finds out as from one that was lost.
func (s *Store) Receive(from uint64, packet []byte) {
	if len(packet) == 0 {
		return
	}
	d := decoder{rest: packet[1:]}
	term := raft.Term(d.uvarint())
	switch kind := packetKind(packet[0]); kind {
	case packetForward:
		f := foreign{node: from, term: term, count: d.uvarint(), first: d.uvarint(), calls: d.rest}
		if !d.bad && s.wellFormed(&f) {
			s.takeForward(f)
			return
		}
	case packetRefusal:
		count, first, process := d.uvarint(), d.uvarint(), d.uvarint()
		if !d.bad && len(d.rest) == 0 {
			if process == s.process {
				s.takeRefusal(term, first, count)
			}
			return
		}
	case packetTick:
		due := d.uvarint()
		if !d.bad && len(d.rest) == 0 {
			s.takeTick(term, due)
			return
		}
	case packetDigest:
		made := digest{term: term, index: raft.Index(d.uvarint())}
		version := d.uvarint()
		if !d.bad && len(d.rest) == len(made.sum) {
			copy(made.sum[:], d.rest)
			s.takeDigest(from, made, version)
			return
		}
	case packetQuarantine:
		if !d.bad && len(d.rest) == 0 {
			s.takeConfession(from)
			return
		}
	}
	s.logger.Error("a packet of another node does not decode",
		"node", nodeName(from), "bytes", len(packet))
}
