package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Name names a checkpoint.
type Name struct{ Group, Term, Index uint64 }

// String returns the name as a checkpoint's file has it.
func (n Name) String() string { return fmt.Sprintf("%d-%d-%d", n.Group, n.Term, n.Index) }

const version = 1

// kind is what a packet is.
type kind byte

const (
	askSums kind = iota + 1
	askPiece
	giveSums
	givePiece
	giveNone
)

// packet is a decoded packet. Its content is part of the payload.
type packet struct {
	kind    kind
	name    Name
	number  int    // of a piece
	content []byte // of a side file or a piece
	newest  Name   // of giveNone; Index is 0 if there is none
}

const (
	headerBytes = 2 + 3*8
	numberBytes = 4
)

// sumsBytesMax bounds a side file in a packet: it stands for a checkpoint of 4 TiB.
const sumsBytesMax = 16 << 20

var errPacket = errors.New("stream: packet does not decode")

func (p *packet) encode() []byte {
	buf := make([]byte, 0, headerBytes+2*8+len(p.content))
	buf = append(buf, version, byte(p.kind))
	buf = appendNumbers(buf, p.name.Group, p.name.Term, p.name.Index)
	switch p.kind {
	case askPiece, givePiece:
		buf = binary.BigEndian.AppendUint32(buf, uint32(p.number))
	case giveNone:
		buf = appendNumbers(buf, p.newest.Term, p.newest.Index)
	}
	return append(buf, p.content...)
}

func appendNumbers(buf []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		buf = binary.BigEndian.AppendUint64(buf, n)
	}
	return buf
}

func decode(payload []byte) (packet, error) {
	if len(payload) < headerBytes || payload[0] != version {
		return packet{}, errPacket
	}
	number := func(at int) uint64 { return binary.BigEndian.Uint64(payload[at:]) }
	p := packet{kind: kind(payload[1]), name: Name{number(2), number(10), number(18)}}
	rest := payload[headerBytes:]
	switch p.kind {
	case askSums:
		return p, end(rest)
	case giveSums:
		p.content = rest
		return p, nil
	case giveNone:
		if len(rest) != 2*8 {
			return packet{}, errPacket
		}
		p.newest = Name{p.name.Group, number(headerBytes), number(headerBytes + 8)}
		return p, nil
	case askPiece, givePiece:
		if len(rest) < numberBytes {
			return packet{}, errPacket
		}
		p.number, p.content = int(binary.BigEndian.Uint32(rest)), rest[numberBytes:]
		if p.kind == askPiece {
			return p, end(p.content)
		}
		return p, nil
	}
	return packet{}, errPacket
}

func end(rest []byte) error {
	if len(rest) != 0 {
		return errPacket
	}
	return nil
}
