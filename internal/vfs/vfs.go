package vfs

import (
	"errors"
	"io"
)

// SectorBytes is the unit that a disk writes whole or not at all.
const SectorBytes = 512

// ErrLocked says that another process, or another holder in this one, has the lock.
var ErrLocked = errors.New("vfs: the lock is taken")

// FS is a file system. Names are slash separated paths. A missing file is an error that errors.Is calls
// fs.ErrNotExist, a full disk one that it calls syscall.ENOSPC. All methods are safe for concurrent use.
type FS interface {
	// Create makes an empty file for reading and writing; an existing one is emptied.
	Create(name string) (File, error)
	// OpenRead opens an existing file for reading.
	OpenRead(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	Remove(name string) error
	// Rename moves a file, over an existing one if there is one, in one step.
	Rename(oldname, newname string) error
	// MkdirAll makes a directory and its parents. It is durable once each parent is synced.
	MkdirAll(dir string) error
	// List returns the sorted names of what is in a directory, without the directory's own path.
	List(dir string) ([]string, error)
	// Stat returns a file's size in bytes.
	Stat(name string) (int64, error)
	// SyncDir makes creations, renames and removals in the directory durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on a file, which is made if need be, without waiting. It is given
	// back by Close and by the end of the process. If it is taken the error is ErrLocked.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that may still be written to the directory's file system.
	Free(dir string) (uint64, error)
}

// File is an open file. Reads may run concurrently with everything but Close.
type File interface {
	io.ReaderAt
	// WriteAt fails if it wrote less than asked.
	io.WriterAt
	// Sync makes the file's bytes and size durable (fdatasync). After an error nothing is known about
	// what is on disk, and a second call may succeed without having written anything.
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
	Close() error
}
