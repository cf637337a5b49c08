package wal

import (
	"errors"
	"fmt"
)

// Errors of a Log. Those of Append and Sync that are none of these are final: what is on disk is unknown,
// every later call fails with the same error, and the process must end.
var (
	// ErrNoSpace: the disk has no room for the next segment, or the process no file handle. Nothing was
	// written, the log is unharmed, and the same Append may be tried again.
	ErrNoSpace = errors.New("wal: no space for the next segment")
	// ErrTooLarge: the record is beyond RecordBytesMax or RecordEntriesMax. Nothing was written.
	ErrTooLarge = errors.New("wal: record too large")
	// ErrInvalidRecord: the record does not continue its group's log. Nothing was written.
	ErrInvalidRecord = errors.New("wal: record does not continue the log")
	// ErrCompacted: the entries asked for were released.
	ErrCompacted = errors.New("wal: entries are released")
	// ErrUnavailable: the entries asked for are not in the log yet, or the group is unknown.
	ErrUnavailable = errors.New("wal: entries are not in the log")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("wal: closed")
	// ErrForeign: the directory holds the log of another cluster or node.
	ErrForeign = errors.New("wal: the log belongs to another node")
	// ErrFormat: the log was written by a version of the program that this one does not understand.
	ErrFormat = errors.New("wal: unknown format version")
)

// CorruptError says that bytes which were once durable are damaged or missing. Nothing was changed on disk.
type CorruptError struct {
	File   string
	Offset int64 // in File
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("wal: %s is damaged at offset %d: %s. Nothing was changed. Acknowledged writes may be "+
		"affected, so this node must not continue with this log. In a cluster: remove the node, empty its "+
		"data directory and let it join again as a new node; it is rebuilt from its peers. Alone: "+
		"restore the latest backup. `primatomic check` lists all damage", e.File, e.Offset, e.Reason)
}
