package server

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/primatomic/primatomic/internal/vfs"
)

// readOnly is a file system on which nothing can be changed, not even in order to lock it.
type readOnly struct{ vfs.FS }

func (readOnly) Create(name string) (vfs.File, error)    { return nil, refuseChange(name) }
func (readOnly) OpenWrite(name string) (vfs.File, error) { return nil, refuseChange(name) }
func (readOnly) Remove(name string) error                { return refuseChange(name) }
func (readOnly) Rename(oldname, _ string) error          { return refuseChange(oldname) }
func (readOnly) MkdirAll(dir string) error               { return refuseChange(dir) }
func (readOnly) SyncDir(dir string) error                { return refuseChange(dir) }

func refuseChange(name string) error {
	return &fs.PathError{Op: "change", Path: name, Err: syscall.EROFS}
}

// Lock shares the lock of a file of the system. Without the file there is nobody to be locked out.
func (readOnly) Lock(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = vfs.ErrLocked
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	return f, nil
}
