package checkpoint

import (
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Bounds of what a checkpoint takes.
const (
	KeyBytesMax    = bolt.MaxKeySize - ordinalLen // 32 764 bytes
	ValueBytesMax  = 1 << 30
	HeaderBytesMax = 1 << 20  // of a section
	StateBytesMax  = 16 << 20 // of Meta.State, and of Meta.ConfState
)

// format is the version of the bbolt file's layout.
const format = 1

const (
	ordinalLen     = 4     // bytes of a section's ordinal before each of its keys
	sectionHeadLen = 8 + 8 // id and number of keys, before the header
)

// chunkBytes is the length of the chunks in which longer values are kept: two of them, with bbolt's page
// header (16), their element headers (16) and keys (8), fill 16 pages exactly. 160 values of 1 MiB took 171
// MB; with 64 KiB 183 MB.
const chunkBytes = (16*pageBytes - 16 - 2*(16+8)) / 2

// pageBytes is bbolt's page size, the same on every machine.
const pageBytes = 4096

// First byte of a value in the data bucket.
const (
	tagWhole  = 0
	tagChunks = 1
)

var (
	bucketMeta     = []byte("meta")
	bucketSections = []byte("sections")
	bucketData     = []byte("data")
	bucketLarge    = []byte("large")
)

// Meta says what a checkpoint is of.
type Meta struct {
	Group     uint64
	Term      uint64 // of the entry at Index
	Index     uint64 // last log index whose effects are in the checkpoint
	ConfState []byte // encoded configuration of the group as of Index
	Charter   []byte // what the group has settled about who serves it, as of Index; files from before have none
	Seen      uint64 // the highest raft term of the replica by then; 0 in files from before
	LogTime   int64  // ms
	State     []byte // the state's own header: its counters and hash key; the package does not look into it
}

// record is everything the meta bucket holds.
type record struct {
	Meta
	sections, keys uint64
}

func (r *record) numbers() map[string]*uint64 {
	return map[string]*uint64{
		"group": &r.Group, "term": &r.Term, "index": &r.Index, "sections": &r.sections, "keys": &r.keys,
	}
}

func (r *record) put(b *bolt.Bucket) error {
	values := map[string][]byte{
		"format":     binary.BigEndian.AppendUint64(nil, format),
		"log-time":   binary.BigEndian.AppendUint64(nil, uint64(r.LogTime)),
		"conf-state": r.ConfState,
		"state":      r.State,
	}
	if len(r.Charter) > 0 {
		values["charter"] = r.Charter
	}
	if r.Seen > 0 {
		values["seen"] = binary.BigEndian.AppendUint64(nil, r.Seen)
	}
	for name, number := range r.numbers() {
		values[name] = binary.BigEndian.AppendUint64(nil, *number)
	}
	for name, value := range values {
		if err := b.Put([]byte(name), value); err != nil {
			return err
		}
	}
	return nil
}

// readRecord decodes the meta bucket of the file at path.
func readRecord(path string, b *bolt.Bucket) (record, error) {
	var r record
	var version, logTime uint64
	numbers := r.numbers()
	numbers["log-time"] = &logTime
	if err := readNumber(path, b, "format", &version); err != nil {
		return r, err
	}
	switch {
	case version > format:
		return r, fmt.Errorf("%w: %s has format %d, known is %d", ErrNewerFormat, path, version, format)
	case version < format:
		return r, corrupt(path, 0, "format %d has never been", version)
	}
	for name, number := range numbers {
		if err := readNumber(path, b, name, number); err != nil {
			return r, err
		}
	}
	if b.Get([]byte("seen")) != nil {
		if err := readNumber(path, b, "seen", &r.Seen); err != nil {
			return r, err
		}
	}
	r.LogTime = int64(logTime)
	r.ConfState = slices.Clone(b.Get([]byte("conf-state")))
	r.Charter = slices.Clone(b.Get([]byte("charter")))
	r.State = slices.Clone(b.Get([]byte("state")))
	return r, nil
}

func readNumber(path string, b *bolt.Bucket, name string, to *uint64) error {
	value := b.Get([]byte(name))
	if len(value) != 8 {
		return corrupt(path, 0, "its record %q has %d bytes, not 8", name, len(value))
	}
	*to = binary.BigEndian.Uint64(value)
	return nil
}
