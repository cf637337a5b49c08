package cluster

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/primatomic/primatomic/internal/nodedb"
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
}

var errRecord = errors.New("what node.db keeps of the cluster cannot be used")

// readRecord returns the record of a node; nil if it has none.
func readRecord(db *nodedb.DB) (*record, error) {
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
	return r, nil
}

// keep makes the record durable. cluster is the node's cluster from then on, 0 if that does not change.
func (r *record) keep(db *nodedb.DB, cluster uint64) error {
	r.Version = recordVersion
	document, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if cluster != 0 {
		return db.Enter(cluster, documentName, document)
	}
	return db.Keep(documentName, document)
}
