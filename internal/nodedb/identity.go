package nodedb

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Identity says who this node is. None of the ids is 0.
type Identity struct {
	Cluster     uint64 // the cluster the node founded or belongs to
	Node        uint64 // below 1<<63: the top of the range is etcd raft's own
	Incarnation uint64 // of the disk: differs for two data directories, whatever else they share
	Process     uint64 // how often the data directory has been opened; the first run is 1
}

// record is what the file says of the node.
type record struct {
	Identity
	founded bool // the node has begun a log: see DB.SetFounded
	// listed: documents is the checksum of all documents. Else there are none, or a version wrote them that kept none.
	listed    bool
	documents uint32
}

// recordLen is the length of a record without its own checksum; recordListedLen that of one with that of documents.
const (
	recordLen       = 5 * 8
	recordListedLen = 6 * 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newIdentity draws the ids of a new node.
func newIdentity(random io.Reader) (Identity, error) {
	var id Identity
	for _, to := range []*uint64{&id.Cluster, &id.Node, &id.Incarnation} {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return Identity{}, fmt.Errorf("draw ids: %w", err)
		}
		*to = max(1, binary.BigEndian.Uint64(b[:])>>1)
	}
	return id, nil
}

// encode returns the record: the four numbers, 1 for founded, and the checksum of the documents if there are any, big
// endian, and the CRC32C of all that.
func (r record) encode() []byte {
	founded := uint64(0)
	if r.founded {
		founded = 1
	}
	b := make([]byte, 0, recordListedLen+4)
	for _, number := range []uint64{r.Cluster, r.Node, r.Incarnation, r.Process, founded} {
		b = binary.BigEndian.AppendUint64(b, number)
	}
	if r.listed {
		b = binary.BigEndian.AppendUint64(b, uint64(r.documents))
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeRecord is the inverse of encode. It refuses what encode does not write.
func decodeRecord(b []byte) (record, bool) {
	n := len(b) - 4
	if n != recordLen && n != recordListedLen {
		return record{}, false
	}
	if crc32.Checksum(b[:n], castagnoli) != binary.BigEndian.Uint32(b[n:]) {
		return record{}, false
	}
	founded, documents := binary.BigEndian.Uint64(b[32:]), uint64(0)
	if n == recordListedLen {
		documents = binary.BigEndian.Uint64(b[40:])
	}
	r := record{
		founded: founded == 1, listed: n == recordListedLen, documents: uint32(documents),
		Identity: Identity{
			Cluster:     binary.BigEndian.Uint64(b),
			Node:        binary.BigEndian.Uint64(b[8:]),
			Incarnation: binary.BigEndian.Uint64(b[16:]),
			Process:     binary.BigEndian.Uint64(b[24:]),
		},
	}
	sound := r.Cluster != 0 && r.Node != 0 && r.Incarnation != 0 && founded <= 1 && documents <= math.MaxUint32
	return r, sound
}
