package nodedb

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// Identity says who this node is. None of the ids is 0.
type Identity struct {
	Cluster     uint64 // the cluster the node founded or belongs to
	Node        uint64 // below 1<<63: the top of the range is etcd raft's own
	Incarnation uint64 // of the disk: differs for two data directories, whatever else they share
	Process     uint64 // how often the data directory has been opened; the first run is 1
}

const identityLen = 4 * 8

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

// encode returns the record: the four numbers, big endian, and their CRC32C.
func (id Identity) encode() []byte {
	b := make([]byte, 0, identityLen+4)
	for _, number := range []uint64{id.Cluster, id.Node, id.Incarnation, id.Process} {
		b = binary.BigEndian.AppendUint64(b, number)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeIdentity is the inverse of encode. It refuses what encode does not write.
func decodeIdentity(b []byte) (Identity, bool) {
	if len(b) != identityLen+4 {
		return Identity{}, false
	}
	if crc32.Checksum(b[:identityLen], castagnoli) != binary.BigEndian.Uint32(b[identityLen:]) {
		return Identity{}, false
	}
	id := Identity{
		Cluster:     binary.BigEndian.Uint64(b),
		Node:        binary.BigEndian.Uint64(b[8:]),
		Incarnation: binary.BigEndian.Uint64(b[16:]),
		Process:     binary.BigEndian.Uint64(b[24:]),
	}
	return id, id.Cluster != 0 && id.Node != 0 && id.Incarnation != 0
}
