package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/primatomic/primatomic/wal"
)

// Kind says what a packet holds. Kinds from KindUser on are the user's; see Config.Deliver.
type Kind uint8

const (
	kindKeepalive Kind = 1 // see keepalive
	kindRaft      Kind = 2 // one or more messages of one group, one behind the other

	// KindUser is the first kind that is not this package's own.
	KindUser Kind = 64
)

// stream is an order of packets within a connection. Between the frames of a packet there may be
// frames of packets of the other stream, never of its own.
type stream uint8

const (
	express stream = iota // small and urgent: never waits for more than what is being written
	data                  // everything else
	streams
)

const (
	frameMagic   = 0x7470 // "pt"
	frameVersion = 1
	headerBytes  = 40
	// framePayloadMax bounds a frame, and with it how long an express packet waits.
	framePayloadMax = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFrame: bytes arrived that are no frame, or not the next one.
var ErrFrame = errors.New("transport: bad frame")

// header stands in front of each frame. Little endian:
//
//	 0 2 magic "pt"
//	 2 1 version
//	 3 1 kind of the packet
//	 4 1 stream
//	 5 3 zero
//	 8 4 size of the payload in this frame
//	12 4 rest: size of what follows of the packet in later frames
//	16 8 sequence: counts the frames of one direction of a connection, from 0
//	24 8 group
//	32 4 CRC32C of the payload
//	36 4 CRC32C of the bytes before
type header struct {
	kind     Kind
	stream   stream
	size     int
	rest     int
	sequence uint64
	group    wal.GroupID
	crc      uint32
}

func appendHeader(b []byte, h *header) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint16(b, frameMagic)
	b = append(b, frameVersion, byte(h.kind), byte(h.stream), 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(h.size))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.rest))
	b = binary.LittleEndian.AppendUint64(b, h.sequence)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.group))
	b = binary.LittleEndian.AppendUint32(b, h.crc)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// decodeHeader checks everything that can be checked without knowing what came before. b holds
// headerBytes.
func decodeHeader(b []byte) (header, error) {
	u32 := binary.LittleEndian.Uint32
	switch {
	case binary.LittleEndian.Uint16(b) != frameMagic:
		return header{}, fmt.Errorf("%w: magic", ErrFrame)
	case u32(b[36:]) != crc32.Checksum(b[:36], castagnoli):
		return header{}, fmt.Errorf("%w: checksum of the header", ErrFrame)
	case b[2] != frameVersion:
		return header{}, fmt.Errorf("%w: version %d", ErrFrame, b[2])
	case b[4] >= byte(streams) || b[5] != 0 || b[6] != 0 || b[7] != 0:
		return header{}, fmt.Errorf("%w: stream", ErrFrame)
	case u32(b[8:]) > framePayloadMax:
		return header{}, fmt.Errorf("%w: %d bytes", ErrFrame, u32(b[8:]))
	case u32(b[12:]) > math.MaxInt32-framePayloadMax:
		return header{}, fmt.Errorf("%w: %d bytes to follow", ErrFrame, u32(b[12:]))
	case u32(b[8:]) == 0 && u32(b[12:]) != 0:
		return header{}, fmt.Errorf("%w: empty, and not the last of its packet", ErrFrame)
	}
	return header{
		kind:     Kind(b[3]),
		stream:   stream(b[4]),
		size:     int(u32(b[8:])),
		rest:     int(u32(b[12:])),
		sequence: binary.LittleEndian.Uint64(b[16:]),
		group:    wal.GroupID(binary.LittleEndian.Uint64(b[24:])),
		crc:      u32(b[32:]),
	}, nil
}
