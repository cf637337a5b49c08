package raft

import (
	"fmt"

	"github.com/primatomic/primatomic/wal"
)

// Term is a raft term: the number of an election. At most one replica leads a term.
type Term uint64

// Index is the position of an entry in a group's log. The first entry has index 1.
type Index uint64

// ReplicaID names one replica of one group for ever; it is never used again after a removal
// or a lost disk. 0 means none, and the two highest values belong to the library.
type ReplicaID uint64

// String writes the id as people see it: 16 hexadecimal digits.
func (r ReplicaID) String() string { return fmt.Sprintf("%016x", uint64(r)) }

// GroupID names a raft group. It is part of every log record and message.
type GroupID = wal.GroupID

// Entry is a committed log entry.
type Entry struct {
	Term  Term
	Index Index
	// Data is the payload; empty for the entry with which a leader opens its term. It is
	// shared with the log: never written to, free to be kept.
	Data []byte
}
