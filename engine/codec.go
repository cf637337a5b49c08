package engine

import (
	"encoding/binary"
	"fmt"
)

// CorruptError says that encoded state cannot be read.
type CorruptError struct{ Reason string }

func (e *CorruptError) Error() string { return "corrupt state: " + e.Reason }

func corrupt(format string, args ...any) error {
	return &CorruptError{Reason: fmt.Sprintf(format, args...)}
}

// The first byte of each encoded form names its format. Formats are never reused, so that every version
// reads what earlier ones wrote.
const (
	stateFormat   = 1
	sectionFormat = 1
	stringFormat  = 1
)

// appendItem encodes all of an item but its key: format, revision, deadline, value to the end.
func appendItem(dst []byte, it *item) []byte {
	dst = append(dst, stringFormat)
	dst = binary.AppendUvarint(dst, it.revision)
	dst = binary.AppendUvarint(dst, uint64(it.deadline))
	return append(dst, it.value()...)
}

// decodeItem is the inverse of appendItem for an item of the key. It copies what it keeps.
func decodeItem(key, data []byte) (*item, error) {
	d := decoder{rest: data}
	format := d.byte()
	revision, deadline := d.uvarint(), int64(d.uvarint())
	switch {
	case d.failed:
		return nil, corrupt("item is cut short")
	case format != stringFormat:
		return nil, corrupt("item has unknown format %d", format)
	case len(key) > KeyBytesMax || len(d.rest) > ValueBytesMax || deadline < 0:
		return nil, corrupt("item is out of bounds")
	}
	it := newItem(key, len(d.rest), 0)
	copy(it.value(), d.rest)
	it.revision, it.deadline = revision, deadline
	return it, nil
}

// stateHeader is what a State holds beside its namespaces.
type stateHeader struct {
	hashKey [16]byte
	logTime int64
	nextID  uint64
}

func (h stateHeader) append(dst []byte) []byte {
	dst = append(dst, stateFormat)
	dst = append(dst, h.hashKey[:]...)
	dst = binary.AppendVarint(dst, h.logTime)
	return binary.AppendUvarint(dst, h.nextID)
}

func decodeStateHeader(data []byte) (h stateHeader, err error) {
	d := decoder{rest: data}
	format := d.byte()
	copy(h.hashKey[:], d.bytes(len(h.hashKey)))
	h.logTime, h.nextID = d.varint(), d.uvarint()
	if d.failed || len(d.rest) != 0 || format != stateFormat || h.nextID == 0 {
		return h, corrupt("state header")
	}
	return h, nil
}

// sectionHeader is what a namespace holds beside its items.
type sectionHeader struct {
	id         uint64
	credential string
	name       string
	number     int16
	keys       int
	bytes      int64
	revision   uint64
	deletions  deletions
}

func (n *namespace) header() sectionHeader {
	return sectionHeader{
		id: n.id, credential: n.credential, name: n.name, number: n.number,
		keys: n.keys.len(), bytes: n.keys.bytes, revision: n.revision, deletions: n.deletions,
	}
}

func (h sectionHeader) append(dst []byte) []byte {
	dst = append(dst, sectionFormat)
	dst = binary.AppendUvarint(dst, h.id)
	dst = appendString(dst, h.credential)
	dst = appendString(dst, h.name)
	dst = binary.AppendVarint(dst, int64(h.number))
	dst = binary.AppendUvarint(dst, uint64(h.keys))
	dst = binary.AppendUvarint(dst, uint64(h.bytes))
	dst = binary.AppendUvarint(dst, h.revision)
	dst = binary.AppendUvarint(dst, h.deletions.forgotten)
	dst = appendDeletions(dst, h.deletions.older)
	return appendDeletions(dst, h.deletions.newer)
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendDeletions(dst []byte, generation []deletion) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(generation)))
	for _, e := range generation {
		dst = binary.LittleEndian.AppendUint64(dst, e.hash)
		dst = binary.AppendUvarint(dst, e.revision)
	}
	return dst
}

func decodeSectionHeader(data []byte) (h sectionHeader, err error) {
	d := decoder{rest: data}
	format := d.byte()
	h.id = d.uvarint()
	h.credential = d.string(CredentialBytesMax)
	h.name = d.string(NameBytesMax)
	number := d.varint()
	keys, bytes := d.uvarint(), d.uvarint()
	h.revision = d.uvarint()
	h.deletions.forgotten = d.uvarint()
	h.deletions.older = d.deletions()
	h.deletions.newer = d.deletions()
	if d.failed || len(d.rest) != 0 || format != sectionFormat {
		return h, corrupt("section header")
	}
	if number < -1 || number >= NumberedMax || keys > 1<<48 || bytes > 1<<56 {
		return h, corrupt("section header is out of bounds")
	}
	h.number, h.keys, h.bytes = int16(number), int(keys), int64(bytes)
	return h, h.check()
}

// check tells whether the fields agree with each other.
func (h sectionHeader) check() error {
	switch {
	case h.id == 0 || h.credential == "":
		return corrupt("section without an id or a credential")
	case h.number < 0 && !ValidName(h.name):
		return corrupt("section %d has an invalid name", h.id)
	case h.number >= 0 && h.name != numberNames[h.number]:
		return corrupt("section %d has the wrong name for its number", h.id)
	}
	last := h.deletions.forgotten
	for _, generation := range [][]deletion{h.deletions.older, h.deletions.newer} {
		for _, e := range generation {
			if e.revision < last {
				return corrupt("section %d has deletions out of order", h.id)
			}
			last = e.revision
		}
	}
	if last > h.revision {
		return corrupt("section %d has deletions after its revision", h.id)
	}
	return nil
}

// decoder reads from the front of rest. After a failure it returns zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.rest, d.failed = nil, true
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) string(bytesMax uint64) string {
	n := d.uvarint()
	if n > bytesMax {
		d.fail()
		return ""
	}
	return string(d.bytes(int(n)))
}

func (d *decoder) deletions() []deletion {
	n := d.uvarint()
	if n > deletionsMax {
		d.fail()
		return nil
	}
	var generation []deletion
	for range n {
		hash := d.bytes(8)
		revision := d.uvarint()
		if d.failed {
			return nil
		}
		generation = append(generation, deletion{binary.LittleEndian.Uint64(hash), revision})
	}
	return generation
}
