package nodedb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrLocked says that another process has the data directory open.
	ErrLocked = errors.New("another process uses this data directory")
	// ErrNewerFormat says that a newer version of the program wrote the file.
	ErrNewerFormat = errors.New("the data directory was written by a newer version; " +
		"start that version or a later one")
	// ErrDamaged says that the file is not what was written.
	ErrDamaged = errors.New("node.db is damaged; if the cluster has other members, remove this node " +
		"from it, empty the data directory and let the node join as a new one; " +
		"restore a single node from its last backup")
	// ErrMissing says that node.db is gone while other data of the node is there.
	ErrMissing = errors.New("node.db is missing, but the directory holds a node's data; put node.db back, " +
		"or start with an empty data directory")
)

// errPanic marks damage that bbolt met with a panic.
var errPanic = errors.New("bbolt panics")

const (
	fileName = "node.db"
	// format is the version of the whole data directory's layout. Format 2 added documents, and format 3 has their
	// checksum in the record. A directory stays at 1, and open to binaries that know no more, until it has one.
	format             = 3
	formatFirst        = 1
	lockTimeoutDefault = time.Second
)

var (
	bucketName = []byte("node")
	keyFormat  = []byte("format")
	keyRecord  = []byte("record")
)

// Options of Open.
type Options struct {
	// Random is where a new node's ids are drawn from: crypto/rand.Reader outside of tests.
	Random io.Reader
	// LockTimeout bounds how long Open waits for another process to let go; 0 means a second.
	LockTimeout time.Duration

	// hook, if set, is called before each operation, to crash and to fail there; to is the new name of a link.
	hook func(op operation, name, to string) error
}

func (o *Options) lockTimeout() time.Duration {
	if o.LockTimeout == 0 {
		return lockTimeoutDefault
	}
	return o.LockTimeout
}

// DB is an open node.db. It holds the file's lock until Close.
type DB struct {
	options   Options
	bolt      *bolt.DB
	record    record
	documents map[string][]byte
}

// Open opens the node.db of the data directory dir, or founds a new node there, and raises the process
// number. The directory is created if missing. The error is, or wraps, ErrLocked, ErrNewerFormat, ErrDamaged,
// ErrMissing, or one of the file system.
func Open(dir string, o Options) (*DB, error) {
	db, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return db, nil
}

func open(dir string, o Options) (*DB, error) {
	if err := o.makeDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, fileName)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = o.create(dir)
	}
	if err == nil {
		err = o.syncDir(dir) // also of a file that is there: who made it may have been killed before this
	}
	if err != nil {
		return nil, err
	}
	if err := checkPages(path); err != nil {
		return nil, err
	}
	file, err := openBolt(path, bolt.Options{Timeout: o.lockTimeout()})
	if err != nil {
		return nil, err
	}
	db := &DB{options: o, bolt: file}
	err = db.load()
	if err == nil {
		err = guarded(db.raise)
	}
	if err == nil {
		err = o.removeTemporary(dir)
	}
	return db.orClose(err)
}

// orClose returns the DB or, on an error, closes it.
func (db *DB) orClose(err error) (*DB, error) {
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, errPanic): // bbolt may have kept its locks: Close could wait for ever
		return nil, err
	}
	return nil, errors.Join(err, db.bolt.Close())
}

// load reads the record.
func (db *DB) load() error {
	return guarded(func() error {
		return db.bolt.View(func(tx *bolt.Tx) (err error) {
			stat, err := os.Stat(db.bolt.Path())
			if err != nil {
				return err
			}
			if stat.Size() < tx.Size() {
				return fmt.Errorf("%w (it has %d bytes of %d)", ErrDamaged, stat.Size(), tx.Size())
			}
			if db.record, err = read(tx); err == nil {
				db.documents, err = readDocuments(tx, &db.record)
			}
			return err
		})
	})
}

// Inspect opens an existing node.db without changing anything: the identity is that of the last run. While it is
// open no node can start on the directory. A file that is not there is an error that is fs.ErrNotExist.
func Inspect(dir string, o Options) (*DB, error) {
	db, err := inspect(dir, o)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return db, nil
}

func inspect(dir string, o Options) (*DB, error) {
	path := filepath.Join(dir, fileName)
	if err := checkPages(path); err != nil {
		return nil, err
	}
	file, err := openBolt(path, bolt.Options{Timeout: o.lockTimeout(), ReadOnly: true})
	if err != nil {
		return nil, err
	}
	db := &DB{options: o, bolt: file}
	return db.orClose(db.load())
}

// openBolt opens an existing file whose page headers have been checked.
func openBolt(path string, o bolt.Options) (db *bolt.DB, err error) {
	o.FreelistType = bolt.FreelistMapType
	err = guarded(func() error {
		db, err = bolt.Open(path, 0o600, &o)
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w (%v)", ErrDamaged, err)
	}
	return db, err
}

// guarded turns a panic of bbolt over a damaged page, or a fault in its mapped memory, into ErrDamaged.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (%w: %v)", ErrDamaged, errPanic, p)
		}
	}()
	return fn()
}

// raise makes the next process number durable.
func (db *DB) raise() error {
	return db.change(func(r *record) { r.Process++ })
}

// change makes a changed record durable.
func (db *DB) change(fn func(*record)) error {
	return db.update(db.documents, func(_ *bolt.Tx, r *record) error {
		fn(r)
		return nil
	})
}

// update makes a changed record durable, with what else fn writes; documents are those that there are then. The record
// is written twice: bbolt keeps the last two states and falls back to the earlier one when the page of the later is
// damaged, and that must not bring an old state back.
func (db *DB) update(documents map[string][]byte, fn func(*bolt.Tx, *record) error) error {
	var changed record
	err := db.options.commit(db.bolt, func(tx *bolt.Tx) error {
		r, err := read(tx)
		if err != nil {
			return err
		}
		if err := fn(tx, &r); err != nil {
			return err
		}
		if r.listed = len(documents) > 0; r.listed {
			r.documents = documentsSum(documents)
			if err := tx.Bucket(bucketName).Put(keyFormat, binary.BigEndian.AppendUint32(nil, format)); err != nil {
				return err
			}
		}
		changed = r
		return tx.Bucket(bucketName).Put(keyRecord, r.encode())
	})
	if err != nil {
		return err
	}
	db.record, db.documents = changed, documents
	return db.options.commit(db.bolt, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketName).Put(keyRecord, changed.encode())
	})
}

func read(tx *bolt.Tx) (record, error) {
	b := tx.Bucket(bucketName)
	if b == nil || len(b.Get(keyFormat)) != 4 {
		return record{}, fmt.Errorf("%w (no format)", ErrDamaged)
	}
	switch version := binary.BigEndian.Uint32(b.Get(keyFormat)); {
	case version > format:
		return record{}, fmt.Errorf("%w (format %d, known is %d)", ErrNewerFormat, version, format)
	case version < formatFirst:
		return record{}, fmt.Errorf("%w (format %d has never been)", ErrDamaged, version)
	}
	r, ok := decodeRecord(b.Get(keyRecord))
	if !ok {
		return record{}, fmt.Errorf("%w (its record does not match its checksum)", ErrDamaged)
	}
	return r, nil
}

// Identity returns who this node is in this process.
func (db *DB) Identity() Identity { return db.record.Identity }

// Founded reports whether the node has begun a log: from then on a data directory without one has lost it.
func (db *DB) Founded() bool { return db.record.founded }

// SetFounded notes, durably, that the node's log has been begun and is durable.
func (db *DB) SetFounded() error {
	return guarded(func() error { return db.change(func(r *record) { r.founded = true }) })
}

// Close lets the next process have the data directory.
func (db *DB) Close() error { return db.bolt.Close() }
