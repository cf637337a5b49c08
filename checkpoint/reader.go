package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A Reader is an open checkpoint whose bytes have been verified. It is used by one goroutine.
type Reader struct {
	path   string
	db     *bolt.DB
	tx     *bolt.Tx
	record record
}

// Open verifies a checkpoint and opens it. Damage is a *CorruptError, a file of a newer version
// ErrNewerFormat, a missing file fs.ErrNotExist. A file may have another name than List knows, if its side
// file has it too.
func Open(path string) (*Reader, error) {
	if err := verifySums(path); err != nil {
		return nil, openError(path, err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		ReadOnly: true, Timeout: lockTimeout, FreelistType: bolt.FreelistMapType, NoStatistics: true,
	})
	switch {
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, corrupt(path, 0, "the checksums match, but it is no bbolt file (%v)", err)
	case err != nil:
		return nil, openError(path, err)
	}
	r := &Reader{path: path, db: db}
	if err := r.readMeta(); err != nil {
		return nil, errors.Join(openError(path, err), r.Close())
	}
	return r, nil
}

// openError adds the path to an error that does not name it already.
func openError(path string, err error) error {
	var damage *CorruptError
	if errors.As(err, &damage) {
		return err
	}
	return fmt.Errorf("checkpoint: open %s: %w", path, err)
}

func (r *Reader) readMeta() error {
	tx, err := r.db.Begin(false)
	if err != nil {
		return err
	}
	r.tx = tx
	for _, name := range [][]byte{bucketMeta, bucketSections, bucketData, bucketLarge} {
		if tx.Bucket(name) == nil {
			return corrupt(r.path, 0, "the checksums match, but it has no bucket %q", name)
		}
	}
	if r.record, err = readRecord(r.path, tx.Bucket(bucketMeta)); err != nil {
		return err
	}
	m := r.record.Meta
	name := filepath.Base(r.path)
	if _, ok := parseName(name); ok && name != fileName(m.Group, m.Term, m.Index) {
		return corrupt(r.path, 0, "by its content it is %s", fileName(m.Group, m.Term, m.Index))
	}
	return nil
}

// Meta returns what the checkpoint is of. Its slices are the caller's.
func (r *Reader) Meta() Meta { return r.record.Meta }

// Sections calls section for each section and item for each of its keys, in the order in which they were
// written. The slices are valid only until the callback returns. An error of a callback stops the walk and is
// returned as it is.
func (r *Reader) Sections(
	section func(id uint64, header []byte) error, item func(key, value []byte) error,
) error {
	w := walk{reader: r, item: item}
	w.data = r.tx.Bucket(bucketData).Cursor()
	w.large = r.tx.Bucket(bucketLarge).Cursor()
	w.key, w.value = w.data.First()
	w.chunkKey, w.chunk = w.large.First()
	cursor := r.tx.Bucket(bucketSections).Cursor()
	ordinal, previous := uint32(0), uint64(0)
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		if len(key) != ordinalLen || binary.BigEndian.Uint32(key) != ordinal || len(value) < sectionHeadLen {
			return r.corrupt("its section %d is not where it belongs", ordinal)
		}
		id, keys := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
		if ordinal > 0 && id <= previous {
			return r.corrupt("its section %d comes after section %d", id, previous)
		}
		if err := section(id, value[sectionHeadLen:]); err != nil {
			return err
		}
		if err := w.section(key, keys); err != nil {
			return err
		}
		previous = id
		ordinal++
	}
	if uint64(ordinal) != r.record.sections || w.keys != r.record.keys || w.key != nil || w.chunkKey != nil {
		return r.corrupt("it has %d sections and %d keys, recorded are %d and %d",
			ordinal, w.keys, r.record.sections, r.record.keys)
	}
	return nil
}

func (r *Reader) corrupt(format string, args ...any) error {
	return corrupt(r.path, 0, "the checksums match, but "+format, args...)
}

// walk goes once through the data and the chunks of long values, side by side.
type walk struct {
	reader      *Reader
	item        func(key, value []byte) error
	data, large *bolt.Cursor

	key, value []byte // the next of data, nil at the end
	chunkKey   []byte // the next of large, nil at the end
	chunk      []byte
	chunks     uint64 // consumed so far
	keys       uint64 // consumed so far
	long       []byte // a long value put together
}

// section hands out the keys that begin with ordinal and expects count of them.
func (w *walk) section(ordinal []byte, count uint64) error {
	var last []byte
	found := uint64(0)
	for ; bytes.HasPrefix(w.key, ordinal); w.key, w.value = w.data.Next() {
		key := w.key[ordinalLen:]
		if found > 0 && bytes.Compare(key, last) <= 0 {
			return w.reader.corrupt("key %.64q comes after %.64q", key, last)
		}
		value, err := w.decode()
		if err != nil {
			return err
		}
		if err := w.item(key, value); err != nil {
			return err
		}
		last = key
		found++
	}
	w.keys += found
	if found != count {
		return w.reader.corrupt("section %d of the file has %d keys, recorded are %d",
			binary.BigEndian.Uint32(ordinal), found, count)
	}
	return nil
}

// decode returns the value of the current key.
func (w *walk) decode() ([]byte, error) {
	if len(w.value) > 0 && w.value[0] == tagWhole {
		return w.value[1:], nil
	}
	if len(w.value) != 1+8+8 || w.value[0] != tagChunks {
		return nil, w.reader.corrupt("the value of key %.64q has an unknown form", w.key[ordinalLen:])
	}
	first, length := binary.BigEndian.Uint64(w.value[1:]), binary.BigEndian.Uint64(w.value[9:])
	w.long = w.long[:0]
	for first == w.chunks && uint64(len(w.long)) < length {
		if len(w.chunkKey) != 8 || binary.BigEndian.Uint64(w.chunkKey) != w.chunks {
			break
		}
		w.long = append(w.long, w.chunk...)
		w.chunkKey, w.chunk = w.large.Next()
		w.chunks++
		first++
	}
	if uint64(len(w.long)) != length {
		return nil, w.reader.corrupt("the value of key %.64q is not whole", w.key[ordinalLen:])
	}
	return w.long, nil
}

// Close unmaps and closes the file. Closing twice is harmless.
func (r *Reader) Close() error {
	if r.db == nil {
		return nil
	}
	var err error
	if r.tx != nil {
		err = r.tx.Rollback()
	}
	if closeErr := r.db.Close(); err == nil {
		err = closeErr
	}
	r.db, r.tx = nil, nil
	return err
}
