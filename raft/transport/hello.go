package transport

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// NodeID names a node for ever. The replica of a node has the node's id in every group.
type NodeID uint64

// String writes the id as people see it: 16 hexadecimal digits.
func (id NodeID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// lane is what a connection is for. A pair of nodes has one connection per lane.
type lane uint8

const (
	laneRaft         lane = iota // messages of raft, and packets of kinds that are not bulk
	laneBulk                     // packets of bulk kinds
	laneIntroduction             // one question and its answer; see Introduce
	lanes
)

// Protocol versions this package speaks.
const (
	versionMin = 1
	versionMax = 1
)

const (
	nonceBytes = 32
	proofBytes = 32
)

// hello is what each side says first.
type hello struct {
	versionMin, versionMax uint16
	lane                   lane
	cluster                uint64
	node, expected         NodeID // who speaks, and whom it means to speak to
	incarnation, process   uint64
	nonce                  [nonceBytes]byte
}

const helloBytes = 8 + 5*8 + nonceBytes

func (h *hello) encode() []byte {
	b := make([]byte, 0, helloBytes)
	b = binary.LittleEndian.AppendUint16(b, h.versionMin)
	b = binary.LittleEndian.AppendUint16(b, h.versionMax)
	b = append(b, byte(h.lane), 0, 0, 0)
	for _, n := range []uint64{h.cluster, uint64(h.node), uint64(h.expected), h.incarnation, h.process} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return append(b, h.nonce[:]...)
}

// decodeHello reads a hello of this or a later version, which may say more.
func decodeHello(b []byte) (hello, error) {
	if len(b) < helloBytes {
		return hello{}, fmt.Errorf("%w: hello of %d bytes", ErrGarbage, len(b))
	}
	u64 := binary.LittleEndian.Uint64
	return hello{
		versionMin:  binary.LittleEndian.Uint16(b),
		versionMax:  binary.LittleEndian.Uint16(b[2:]),
		lane:        lane(b[4]),
		cluster:     u64(b[8:]),
		node:        NodeID(u64(b[16:])),
		expected:    NodeID(u64(b[24:])),
		incarnation: u64(b[32:]),
		process:     u64(b[40:]),
		nonce:       [nonceBytes]byte(b[48:]),
	}, nil
}

// step is a message of the handshake.
type step uint8

const (
	stepHello   step = 1 // a hello
	stepProof   step = 2 // of knowing the secret
	stepWelcome step = 3 // nothing: the dialing side has accepted the proof
	stepRefusal step = 4 // code of the reason, text
)

// A step on the wire, little endian:
//
//	0 4 magic "ptmc"
//	4 1 which step
//	5 1 zero
//	6 2 size of the body
//	8   body, CRC32C of everything before
const (
	stepMagic        = 0x636d7470
	stepHeaderBytes  = 8
	stepBodyMax      = 1024
	refusalDetailMax = 200
)

func writeStep(w io.Writer, s step, body []byte) error {
	b := make([]byte, 0, stepHeaderBytes+len(body)+4)
	b = binary.LittleEndian.AppendUint32(b, stepMagic)
	b = append(b, byte(s), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	b = append(b, body...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	_, err := w.Write(b)
	return err
}

// readStep reads the step want and returns its body. A refusal in its place is returned as a *Refusal.
func readStep(r io.Reader, want step) ([]byte, error) {
	var head [stepHeaderBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	if head[0] == tlsHandshake && head[1] == tlsMajor {
		return nil, refuseTLS(r, &head)
	}
	size := int(binary.LittleEndian.Uint16(head[6:]))
	if binary.LittleEndian.Uint32(head[:]) != stepMagic || head[5] != 0 || size > stepBodyMax {
		return nil, ErrGarbage
	}
	rest := make([]byte, size+4)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	body := rest[:size]
	crc := crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, body)
	if crc != binary.LittleEndian.Uint32(rest[size:]) {
		return nil, fmt.Errorf("%w: checksum", ErrGarbage)
	}
	switch step(head[4]) {
	case want:
		return body, nil
	case stepRefusal:
		return nil, decodeRefusal(body)
	}
	return nil, fmt.Errorf("%w: step %d instead of %d", ErrGarbage, head[4], want)
}

// A TLS connection begins with a record: a type, a version of two bytes, a length of two.
const (
	tlsHeaderBytes = 5
	tlsHandshake   = 22
	tlsMajor       = 3
)

// refuseTLS refuses a connection that begins with TLS. It reads the first record to its end: bytes that were not read
// would make the system forget the refusal that goes the other way.
func refuseTLS(r io.Reader, head *[stepHeaderBytes]byte) error {
	rest := int64(binary.BigEndian.Uint16(head[3:])) + tlsHeaderBytes - stepHeaderBytes
	if _, err := io.CopyN(io.Discard, r, max(0, rest)); err != nil {
		return err
	}
	return &Refusal{Reason: ErrTLS, Detail: "the one that dials does"}
}

// writeRefusal tells the other side why. Reasons that have no code are not told.
func writeRefusal(w io.Writer, refusal error) {
	if code := reasonCode(refusal); code != 0 {
		text := refusal.Error()
		_ = writeStep(w, stepRefusal, append([]byte{code}, text[:min(len(text), refusalDetailMax)]...))
	}
}

// decodeRefusal makes the error of a refusal that arrived. Its text goes into the log quoted: nobody
// has proved anything yet.
func decodeRefusal(body []byte) error {
	if len(body) == 0 || int(body[0]) >= len(reasons) || reasons[body[0]] == nil {
		return &Refusal{Reason: ErrGarbage, ByPeer: true, Detail: "unknown reason"}
	}
	text := body[1:min(len(body), 1+refusalDetailMax)]
	return &Refusal{Reason: reasons[body[0]], ByPeer: true, Detail: fmt.Sprintf("it says %q", text)}
}
