package raft

import "github.com/primatomic/primatomic/wal"

// Log is what the host needs of the write-ahead log; *wal.Log has it. Append, Sync
// and Seal are called by the writer only, the other methods at any time.
type Log interface {
	// Append writes a record without making it durable. wal.ErrNoSpace means that nothing was
	// written and that the call may be repeated; any other error is final.
	Append(rec *wal.Record) error
	// Sync makes all appended records durable. An error is final.
	Sync() error
	// Seal makes the last synced records provable as such; for a log at rest. wal.ErrNoSpace means
	// that it may be repeated; any other error is final.
	Seal() error
	// Entries reads back entries of [lo, hi), at least one, else up to maxBytes.
	Entries(g GroupID, lo, hi, maxBytes uint64, dst []wal.Entry) ([]wal.Entry, error)
	// Term returns the term of an entry, from FirstIndex-1 to LastIndex.
	Term(g GroupID, index uint64) (uint64, error)
	// FirstIndex and LastIndex delimit the entries that can be read; FirstIndex is
	// LastIndex+1 if there are none.
	FirstIndex(g GroupID) uint64
	LastIndex(g GroupID) uint64
	// Tail returns the index of the oldest entry from which on the log has at most so many bytes, at least
	// FirstIndex and at most LastIndex+1.
	Tail(g GroupID, bytes int64) uint64
	// Release tells that a durable checkpoint holds all entries up to index, which must be
	// committed by what was appended.
	Release(g GroupID, index uint64) error
}
