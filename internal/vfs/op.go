package vfs

import (
	"fmt"
	"io"
)

// Kind says what an operation does.
type Kind uint8

// The operations of a Mem that a hook sees.
const (
	OpCreate Kind = iota + 1
	OpOpen
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpRemove
	OpRename
	OpMkdir
	OpList
	OpStat
	OpSyncDir
	OpLock
	OpFree
)

var kindNames = [...]string{
	OpCreate: "create", OpOpen: "open", OpRead: "read", OpWrite: "write", OpSync: "sync",
	OpTruncate: "truncate", OpRemove: "remove", OpRename: "rename", OpMkdir: "mkdir", OpList: "list",
	OpStat: "stat", OpSyncDir: "syncdir", OpLock: "lock", OpFree: "free",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Changes says whether an operation of this kind changes what a crash would leave.
func (k Kind) Changes() bool {
	switch k {
	case OpCreate, OpWrite, OpSync, OpTruncate, OpRemove, OpRename, OpMkdir, OpSyncDir, OpLock:
		return true
	}
	return false
}

// Op is one operation on a Mem.
type Op struct {
	Kind   Kind
	Name   string
	To     string // the new name, of a rename
	Offset int64  // of a read or write; the new size, of a truncate
	Len    int    // bytes, of a read or write
	Seq    uint64 // counts the operations of this Mem, from 1
}

// String prints the operation without its sequence number, as a trace shows it.
func (op Op) String() string {
	switch op.Kind {
	case OpRead, OpWrite:
		return fmt.Sprintf("%v %s [%d,%d)", op.Kind, op.Name, op.Offset, op.Offset+int64(op.Len))
	case OpTruncate:
		return fmt.Sprintf("%v %s to %d", op.Kind, op.Name, op.Offset)
	case OpRename:
		return fmt.Sprintf("%v %s to %s", op.Kind, op.Name, op.To)
	}
	return fmt.Sprintf("%v %s", op.Kind, op.Name)
}

// ShortWrite is an error for a hook to return: the write stores its first N bytes and then fails.
type ShortWrite struct{ N int }

func (e ShortWrite) Error() string { return fmt.Sprintf("short write of %d bytes", e.N) }

// Unwrap makes errors.Is call it an io.ErrShortWrite.
func (e ShortWrite) Unwrap() error { return io.ErrShortWrite }
