package nodedb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// An operation changes the data directory or node.db, or makes a change durable. The names are those of a trace in
// tests.
type operation string

const (
	opMkdir   operation = "mkdir"
	opCreate  operation = "create" // a temporary file, in the directory that is named
	opCommit  operation = "commit" // a transaction of bbolt, which is durable when it is over
	opLink    operation = "link"
	opRemove  operation = "remove"
	opSyncDir operation = "syncdir"
)

// before is called before each operation. An error is the operation's result and the operation is not done.
func (o *Options) before(op operation, name, to string) error {
	if o.hook == nil {
		return nil
	}
	return o.hook(op, name, to)
}

// commit runs a transaction and makes it durable.
func (o *Options) commit(db *bolt.DB, fn func(*bolt.Tx) error) error {
	if err := o.before(opCommit, db.Path(), ""); err != nil {
		return err
	}
	return db.Update(fn)
}

// makeDir makes a directory, and those above it that are missing, each durable before the next: else a power loss
// could take the whole node away. One that is there may have been made by a process that was killed before it was
// durable.
func (o *Options) makeDir(dir string) error {
	parent := filepath.Dir(dir)
	stat, err := os.Stat(dir)
	switch {
	case err == nil && !stat.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: fs.ErrExist}
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := o.makeDir(parent); err != nil {
			return err
		}
		if err := o.before(opMkdir, dir, ""); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	err = o.syncDir(parent)
	if errors.Is(err, fs.ErrPermission) {
		return nil // who may not read a directory has made nothing in it
	}
	return err
}

func (o *Options) syncDir(dir string) error {
	if err := o.before(opSyncDir, dir, ""); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
