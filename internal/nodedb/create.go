package nodedb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// tempPattern names the files under which a new node.db is prepared. Open removes them.
const tempPattern = "node.db.*.tmp"

// create makes a node.db with new ids, or leaves alone the one that another process made meanwhile.
func (o *Options) create(dir string) error {
	if err := requireUnused(dir); err != nil {
		return err
	}
	temp, err := o.prepare(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, fileName)
	if err := o.before(opLink, temp, path); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil { // a link never replaces a file, as a rename would
		if _, statErr := os.Stat(path); statErr != nil {
			return err
		}
	}
	return nil
}

// requireUnused refuses a directory in which a node has already kept a log or checkpoints.
func requireUnused(dir string) error {
	for _, name := range []string{"wal", "checkpoint"} {
		entries, err := os.ReadDir(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fmt.Errorf("%w (found: %s)", ErrMissing, filepath.Join(name, entries[0].Name()))
		}
	}
	return nil
}

// prepare writes and syncs a complete file under a temporary name of its own.
func (o *Options) prepare(dir string) (temp string, err error) {
	id, err := newIdentity(o.Random)
	if err != nil {
		return "", err
	}
	if err := o.before(opCreate, dir, ""); err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	db, err := bolt.Open(file.Name(), 0o600, &bolt.Options{Timeout: time.Second, PageSize: pageBytes})
	if err != nil {
		return "", err
	}
	err = o.commit(db, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(bucketName)
		if err != nil {
			return err
		}
		if err := b.Put(keyFormat, binary.BigEndian.AppendUint32(nil, formatFirst)); err != nil {
			return err
		}
		return b.Put(keyRecord, record{Identity: id}.encode())
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	return file.Name(), err
}

// removeTemporary removes prepared files: the one just linked and those that crashes left. Called by the
// holder of the lock; a process that is about to link one of them finds node.db there.
func (o *Options) removeTemporary(dir string) error {
	temps, err := filepath.Glob(filepath.Join(dir, tempPattern))
	if err != nil {
		return err
	}
	for _, temp := range temps {
		if err := o.before(opRemove, temp, ""); err != nil {
			return err
		}
		if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
