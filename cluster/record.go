package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
)

// documentName is where node.db keeps the record.
const documentName = "cluster"

// recordVersion is that of the record's form. A later one may add fields that an older binary ignores without
// harm; else it counts up.
const recordVersion = 1

// record is what a node durably knows of its cluster. It is kept as JSON: it is small and seldom written, and whoever
// looks for what went wrong can read it.
type record struct {
	Version int    `json:"version"`
	Name    string `json:"name"`
	// Founding is the list of a founder, sealed or not.
	Founding *list `json:"founding,omitempty"`
	// Joined: the node was taken into a cluster that others have founded.
	Joined bool `json:"joined,omitempty"`
	// Members are those that were known last, this node among them.
	Members []Member `json:"members,omitempty"`
	// Removed: the node was removed from its cluster.
	Removed bool `json:"removed,omitempty"`
}

var errRecord = errors.New("what node.db keeps of the cluster cannot be used")

// readRecord returns the record of a node; nil if it has none.
func readRecord(db NodeDB) (*record, error) {
	document := db.Document(documentName)
	if document == nil {
		return nil, nil
	}
	r := new(record)
	if err := json.Unmarshal(document, r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%w: it has version %d, known is %d", errRecord, r.Version, recordVersion)
	}
	if err := CheckName(r.Name); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Founding != nil {
		if err := r.Founding.check(); err != nil {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	for i := range r.Members {
		if err := r.Members[i].check(); err != nil {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	return r, nil
}

// errKeep says that node.db could not be written.
var errKeep = errors.New("node.db cannot be written")

// keep makes a record durable and takes it over. cluster is the node's cluster from then on, 0 if that does not
// change. The caller holds mu.
func (n *Node) keep(next record, cluster uint64) error {
	next.Version = recordVersion
	document, err := json.Marshal(&next)
	if err == nil && cluster != 0 {
		err = n.db.Enter(cluster, documentName, document)
	} else if err == nil {
		err = n.db.Keep(documentName, document)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	n.record = next
	return nil
}
