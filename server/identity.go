package server

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/primatomic/primatomic/internal/nodedb"
)

// groupID is the one raft group there is today. Tenants will be spread over more of them later.
const groupID = 1

// hashKey derives the key of the engine's hash index from the cluster's id: the same on every member, and
// not known to clients, who could otherwise choose keys that collide. So no client may learn that id.
func hashKey(cluster uint64) [16]byte {
	return derive("primatomic hash index", cluster)
}

// logID ties a write-ahead log to the disk it was begun on, so that the log of another node is not taken for
// one's own.
func logID(id nodedb.Identity) [16]byte {
	return derive("primatomic log", id.Cluster, id.Node, id.Incarnation)
}

// runID names one run of a node to clients, in 40 hexadecimal digits as Redis does. It tells none of the
// ids.
func runID(id nodedb.Identity) string {
	sum := digest("primatomic run", id.Cluster, id.Node, id.Incarnation, id.Process)
	return hex.EncodeToString(sum[:20])
}

func derive(purpose string, numbers ...uint64) [16]byte {
	sum := digest(purpose, numbers...)
	return [16]byte(sum[:16])
}

func digest(purpose string, numbers ...uint64) [sha256.Size]byte {
	text := append([]byte(purpose), 0)
	for _, n := range numbers {
		text = binary.BigEndian.AppendUint64(text, n)
	}
	return sha256.Sum256(text)
}
