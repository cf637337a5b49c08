package transport

import "encoding/binary"

// segments is a packet's content on its way out: small pieces copied together, large ones where they are.
type segments struct {
	parts   [][]byte // finished parts, in order
	scratch []byte   // small pieces; parts alias it
	open    int      // scratch from here on is not in parts yet
	size    int      // bytes of all parts and of the open one
}

// reset empties s for the next packet and lets go of what it refers to. The last one must be sent.
func (s *segments) reset() {
	clear(s.parts)
	*s = segments{parts: s.parts[:0], scratch: s.scratch[:0]}
	if cap(s.scratch) > scratchBytesMax {
		s.scratch = nil
	}
}

// scratchBytesMax is what a connection keeps for the next packet.
const scratchBytesMax = 256 << 10

func (s *segments) uvarint(v uint64) {
	before := len(s.scratch)
	s.scratch = binary.AppendUvarint(s.scratch, v)
	s.size += len(s.scratch) - before
}

// bytes appends b behind its length.
func (s *segments) bytes(b []byte) {
	s.uvarint(uint64(len(b)))
	s.raw(b)
}

// raw appends b, without a copy if it is large.
func (s *segments) raw(b []byte) {
	s.size += len(b)
	if len(b) < aliasBytesMin {
		s.scratch = append(s.scratch, b...)
		return
	}
	s.finish()
	s.parts = append(s.parts, b)
}

// finish closes the open part. A scratch that grows later moves away from the parts, which keep the old one.
func (s *segments) finish() {
	if s.open < len(s.scratch) {
		s.parts = append(s.parts, s.scratch[s.open:len(s.scratch):len(s.scratch)])
		s.open = len(s.scratch)
	}
}
