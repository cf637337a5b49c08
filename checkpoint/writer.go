package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// txBytesMax bounds a transaction. For 1 M keys of 16+64 bytes the heap grew by 22, 28, 42 and 70 MB with
	// 1, 2, 4 and 8 MiB of keys and values, and the larger ones were slower.
	txBytesMax = 2 << 20
	// itemOverhead is what bbolt holds in memory for a key besides its bytes.
	itemOverhead = 96
	lockTimeout  = time.Second
)

// A Writer builds one checkpoint: sections in ascending order of id, within each the keys in ascending order,
// then Commit or Abort. It is used by one goroutine. After an error only Abort (or Commit, which aborts)
// makes sense.
type Writer struct {
	// Pace, if set before the first Section, is called with the bytes just written or read back, at least
	// once per few MiB. It slows the Writer down by sleeping.
	Pace func(bytes int)

	files   files
	info    Info // Path is that of the committed file
	record  record
	section section
	db      *bolt.DB

	// tx is the open transaction, nil between two; data and large are its buckets.
	tx          *bolt.Tx
	data, large *bolt.Bucket
	txBytes     int
	values      []byte // copies of the transaction's values: bbolt does not copy them before the commit
	key         []byte // scratch: ordinal and key

	chunks uint64 // chunks of long values written so far
	err    error  // first error, or errFinished
}

// section is the one being written.
type section struct {
	open    bool
	id      uint64
	header  []byte
	keys    uint64
	lastKey []byte
}

// Create starts a checkpoint in dir, which is created if missing. It fails with fs.ErrExist if dir has a
// checkpoint of that group, term and index, complete or damaged.
func Create(dir string, m Meta) (*Writer, error) {
	return files{}.create(dir, m)
}

func (f files) create(dir string, m Meta) (*Writer, error) {
	path := filepath.Join(dir, fileName(m.Group, m.Term, m.Index))
	w := &Writer{
		files:  f,
		info:   Info{Path: path, Group: m.Group, Term: m.Term, Index: m.Index},
		record: record{Meta: m},
	}
	if len(m.State) > StateBytesMax || len(m.ConfState) > StateBytesMax {
		return nil, fmt.Errorf("checkpoint: state of more than %d bytes", StateBytesMax)
	}
	if err := w.open(dir); err != nil {
		return nil, fmt.Errorf("checkpoint: create %s: %w", path, err)
	}
	return w, nil
}

func (w *Writer) open(dir string) error {
	if err := w.files.makeDirectory(dir); err != nil {
		return err
	}
	if _, err := os.Lstat(w.info.Path); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := w.info.Path + tempSuffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := w.files.before(opCreate, temp, ""); err != nil {
		return err
	}
	db, err := bolt.Open(temp, 0o600, &bolt.Options{
		Timeout:        lockTimeout,
		PageSize:       pageBytes,
		FreelistType:   bolt.FreelistMapType,
		NoFreelistSync: true, // nobody writes to the file later
		NoGrowSync:     true, // else bbolt syncs at each growth and leaves up to 16 MiB of slack
		NoSync:         true, // Commit syncs once
		NoStatistics:   true,
	})
	if err != nil {
		return err
	}
	w.db = db
	return nil
}

// Section starts a section. Ids ascend; a section without keys is kept. The header is copied.
func (w *Writer) Section(id uint64, header []byte) error {
	if w.err != nil {
		return w.err
	}
	if w.section.open && id <= w.section.id {
		return w.fail(fmt.Errorf("%w: section %d after %d", errOrder, id, w.section.id))
	}
	if len(header) > HeaderBytesMax {
		return w.fail(fmt.Errorf("checkpoint: header of section %d has more than %d bytes",
			id, HeaderBytesMax))
	}
	if w.record.sections == math.MaxUint32 {
		return w.fail(errors.New("checkpoint: too many sections"))
	}
	if err := w.closeSection(); err != nil {
		return w.fail(err)
	}
	w.section = section{open: true, id: id, header: bytes.Clone(header), lastKey: w.section.lastKey[:0]}
	w.record.sections++
	return nil
}

// closeSection writes the section's record: the number of keys is known only at its end.
func (w *Writer) closeSection() error {
	if !w.section.open {
		return nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	value := make([]byte, 0, sectionHeadLen+len(w.section.header))
	value = binary.BigEndian.AppendUint64(value, w.section.id)
	value = binary.BigEndian.AppendUint64(value, w.section.keys)
	value = append(value, w.section.header...)
	w.section.open = false
	sections := w.tx.Bucket(bucketSections)
	sections.FillPercent = 1
	if err := sections.Put(w.ordinal(), value); err != nil {
		return err
	}
	return w.wrote(ordinalLen + len(value))
}

// ordinal returns the current section's prefix of keys, in w.key.
func (w *Writer) ordinal() []byte {
	w.key = binary.BigEndian.AppendUint32(w.key[:0], uint32(w.record.sections-1))
	return w.key
}

// Put adds a key to the current section. Keys ascend strictly. Both slices are copied.
func (w *Writer) Put(key, value []byte) error {
	if w.err != nil {
		return w.err
	}
	if !w.section.open {
		return w.fail(fmt.Errorf("%w: a key before the first section", errOrder))
	}
	if w.section.keys > 0 && bytes.Compare(key, w.section.lastKey) <= 0 {
		return w.fail(fmt.Errorf("%w: key %.64q after %.64q", errOrder, key, w.section.lastKey))
	}
	if len(key) > KeyBytesMax || len(value) > ValueBytesMax {
		return w.fail(fmt.Errorf("checkpoint: key of %d bytes with value of %d: beyond the bounds %d and %d",
			len(key), len(value), KeyBytesMax, ValueBytesMax))
	}
	if err := w.put(key, value); err != nil {
		return w.fail(err)
	}
	w.section.lastKey = append(w.section.lastKey[:0], key...)
	w.section.keys++
	w.record.keys++
	return nil
}

func (w *Writer) put(key, value []byte) error {
	var head [1 + 8 + 8]byte
	stored := append(head[:0], tagWhole)
	if len(value) > chunkBytes {
		stored = append(head[:0], tagChunks)
		stored = binary.BigEndian.AppendUint64(stored, w.chunks)
		stored = binary.BigEndian.AppendUint64(stored, uint64(len(value)))
		if err := w.putChunks(value); err != nil {
			return err
		}
		value = nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	key = append(w.ordinal(), key...)
	w.key = key
	if err := w.data.Put(key, w.keep(stored, value)); err != nil {
		return err
	}
	return w.wrote(len(key) + len(stored) + len(value))
}

func (w *Writer) putChunks(value []byte) error {
	for len(value) > 0 {
		if err := w.begin(); err != nil {
			return err
		}
		chunk := value[:min(len(value), chunkBytes)]
		value = value[len(chunk):]
		var number [8]byte
		binary.BigEndian.PutUint64(number[:], w.chunks)
		if err := w.large.Put(number[:], w.keep(nil, chunk)); err != nil {
			return err
		}
		w.chunks++
		if err := w.wrote(len(number) + len(chunk)); err != nil {
			return err
		}
	}
	return nil
}

// keep returns a copy of head and tail that lives until the transaction ends. When the buffer is replaced by
// a larger one the copies in the old one stay valid.
func (w *Writer) keep(head, tail []byte) []byte {
	start := len(w.values)
	w.values = append(append(w.values, head...), tail...)
	return w.values[start:len(w.values):len(w.values)]
}

// begin opens a transaction unless one is open.
func (w *Writer) begin() error {
	if w.tx != nil {
		return nil
	}
	tx, err := w.db.Begin(true)
	if err != nil {
		return err
	}
	w.tx, w.txBytes, w.values = tx, 0, w.values[:0]
	for _, name := range [][]byte{bucketMeta, bucketSections, bucketData, bucketLarge} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	w.data, w.large = tx.Bucket(bucketData), tx.Bucket(bucketLarge)
	w.data.FillPercent, w.large.FillPercent = 1, 1
	return nil
}

// wrote accounts for n bytes put, and ends the transaction when it is full.
func (w *Writer) wrote(n int) error {
	w.txBytes += n + itemOverhead
	if w.txBytes < txBytesMax {
		return nil
	}
	return w.end()
}

// end commits the open transaction, without a sync.
func (w *Writer) end() error {
	tx, n := w.tx, w.txBytes
	w.tx, w.data, w.large = nil, nil, nil
	if tx == nil {
		return nil
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if w.Pace != nil {
		w.Pace(n)
	}
	return nil
}

// fail remembers the first error, which every later call returns.
func (w *Writer) fail(err error) error {
	w.err = err
	return err
}

// Commit makes the checkpoint durable and visible to List, or else removes what was written. A cancelled ctx
// stops it only before the first rename. An error that is not syscall.ENOSPC and comes from a sync means, as
// everywhere, that the disk is not to be trusted.
func (w *Writer) Commit(ctx context.Context) (Info, error) {
	if w.err == errFinished {
		return Info{}, errFinished
	}
	err := w.err
	if err == nil {
		err = w.commit(ctx)
	}
	if err != nil {
		w.Abort()
		return Info{}, fmt.Errorf("checkpoint: commit %s: %w", w.info.Path, err)
	}
	w.err = errFinished
	return w.info, nil
}

func (w *Writer) commit(ctx context.Context) error {
	if err := w.finishData(ctx); err != nil {
		return err
	}
	temp, side := w.info.Path+tempSuffix, sumsPath(w.info.Path)
	s, err := computeSums(ctx, temp, w.Pace)
	if err != nil {
		return err
	}
	encoded := s.encode()
	if err := w.files.write(side+tempSuffix, encoded); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.info.Bytes = s.length + int64(len(encoded))
	dir := filepath.Dir(w.info.Path)
	for _, path := range []string{side, w.info.Path} {
		if err := w.files.rename(path+tempSuffix, path); err != nil {
			return err
		}
		if err := w.files.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// finishData writes the last section and the meta record, syncs the bbolt file and closes it.
func (w *Writer) finishData(ctx context.Context) error {
	if err := w.closeSection(); err != nil {
		return err
	}
	if err := w.begin(); err != nil {
		return err
	}
	if err := w.record.put(w.tx.Bucket(bucketMeta)); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.files.before(opSync, w.info.Path+tempSuffix, ""); err != nil {
		return err
	}
	if err := w.db.Sync(); err != nil {
		return err
	}
	return w.closeData()
}

func (w *Writer) closeData() error {
	if w.db == nil {
		return nil
	}
	db := w.db
	w.db = nil
	return db.Close()
}

// Abort gives the checkpoint up and removes its files. After Commit or Abort it does nothing. Files that
// cannot be removed are left to Clean.
func (w *Writer) Abort() {
	if w.err == errFinished {
		return
	}
	w.err = errFinished
	if w.tx != nil {
		_ = w.tx.Rollback() // fails only if the transaction is already closed
		w.tx = nil
	}
	_ = w.closeData()
	side := sumsPath(w.info.Path)
	_ = w.files.remove(w.info.Path + tempSuffix)
	_ = w.files.remove(side + tempSuffix)
	if _, err := os.Lstat(w.info.Path); errors.Is(err, fs.ErrNotExist) {
		_ = w.files.remove(side)
	}
}
