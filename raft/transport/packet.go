package transport

import (
	"fmt"
	"hash/crc32"
	"io"
	"net"

	"github.com/primatomic/primatomic/wal"
)

// outgoing is a packet that is being cut into frames.
type outgoing struct {
	kind     Kind
	stream   stream
	group    wal.GroupID
	content  segments
	part     int // next part of content
	offset   int // bytes of that part that are already in frames
	left     int // bytes of content not in frames yet
	underway bool
}

// begin readies a packet whose content was put together.
func (o *outgoing) begin() {
	o.content.finish()
	o.part, o.offset, o.left, o.underway = 0, 0, o.content.size, true
}

// framer puts frames together for one write.
type framer struct {
	sequence uint64      // of the next frame
	buffers  net.Buffers // headers and payloads in order
	headers  []byte      // where headers go; when it grows, buffers keep the old one
	size     int
	written  net.Buffers // scratch of writeTo
	joined   []byte      // scratch of writeTo
}

// frames adds frames of o until o or the budget in bytes is used up. It adds at least one.
func (f *framer) frames(o *outgoing, budget int) {
	for first := true; first || (o.underway && budget > 0); first = false {
		before := f.size
		f.frame(o)
		budget -= f.size - before
	}
}

func (f *framer) frame(o *outgoing) {
	h := header{
		kind: o.kind, stream: o.stream, group: o.group, sequence: f.sequence,
		size: min(o.left, framePayloadMax),
	}
	o.left -= h.size
	h.rest = o.left
	at := len(f.buffers)
	f.buffers = append(f.buffers, nil)
	for left := h.size; left > 0; {
		part := o.content.parts[o.part][o.offset:]
		if len(part) > left {
			part = part[:left]
			o.offset += left
		} else {
			o.part, o.offset = o.part+1, 0
		}
		h.crc = crc32.Update(h.crc, castagnoli, part)
		f.buffers = append(f.buffers, part)
		left -= len(part)
	}
	start := len(f.headers)
	f.headers = appendHeader(f.headers, &h)
	f.buffers[at] = f.headers[start:len(f.headers):len(f.headers)]
	f.size += headerBytes + h.size
	f.sequence++
	o.underway = o.left > 0
}

// writeTo writes what was put together and starts anew. Where there is a writev it is one; else one
// write, since each may become a record of TLS.
func (f *framer) writeTo(w io.Writer) (int, error) {
	defer func() {
		clear(f.buffers)
		f.buffers, f.headers, f.size = f.buffers[:0], f.headers[:0], 0
	}()
	if conn, ok := w.(*net.TCPConn); ok {
		f.written = f.buffers
		n, err := f.written.WriteTo(conn)
		return int(n), err
	}
	f.joined = f.joined[:0]
	for _, b := range f.buffers {
		f.joined = append(f.joined, b...)
	}
	return w.Write(f.joined)
}

// packet is one that has arrived whole.
type packet struct {
	kind    Kind
	group   wal.GroupID
	payload []byte // belongs to whoever gets the packet
}

// unframer puts packets together from the frames of one direction of a connection.
type unframer struct {
	bytesMax int
	sequence uint64 // of the next frame
	partial  [streams]struct {
		packet
		filled int // bytes of payload that have arrived; 0 if there is no packet under way
	}
	header [headerBytes]byte
}

// next reads one frame, and returns the packet that it completes if it does.
func (u *unframer) next(r io.Reader) (p packet, whole bool, err error) {
	if _, err := io.ReadFull(r, u.header[:]); err != nil {
		return packet{}, false, err
	}
	h, err := decodeHeader(u.header[:])
	if err != nil {
		return packet{}, false, err
	}
	if h.sequence != u.sequence {
		return packet{}, false, fmt.Errorf("%w: sequence %d instead of %d", ErrFrame, h.sequence, u.sequence)
	}
	u.sequence++
	q := &u.partial[h.stream]
	if q.filled == 0 {
		if h.size+h.rest > u.bytesMax {
			return packet{}, false, fmt.Errorf("%w: packet of %d bytes", ErrFrame, h.size+h.rest)
		}
		q.packet = packet{h.kind, h.group, make([]byte, h.size+h.rest)}
	} else if q.kind != h.kind || q.group != h.group || len(q.payload)-q.filled != h.size+h.rest {
		return packet{}, false, fmt.Errorf("%w: not of the packet under way", ErrFrame)
	}
	payload := q.payload[q.filled : q.filled+h.size]
	if _, err := io.ReadFull(r, payload); err != nil {
		return packet{}, false, err
	}
	if crc32.Checksum(payload, castagnoli) != h.crc {
		return packet{}, false, fmt.Errorf("%w: checksum of the payload", ErrFrame)
	}
	q.filled += h.size
	if h.rest > 0 {
		return packet{}, false, nil
	}
	p = q.packet
	q.packet, q.filled = packet{}, 0
	return p, true, nil
}
