package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// DigestFormat names what a digest is made of. It changes whenever any version would make another digest of
// the same state: digests of two formats say nothing about each other.
const DigestFormat = 1

// Digester hashes the state that a Snapshot is walked of; it is a Sink. Nodes that have applied the same
// log get the same digest, whatever checkpoints, restarts and rollbacks lay on their way: everything that
// is replicated is hashed, in the order of ids and keys, and nothing of how it lies in memory.
type Digester struct {
	sum hash.Hash
	buf []byte // not yet hashed: a call of the hash for every few bytes would cost more than they do
}

// digestBytes is how much is hashed at once.
const digestBytes = 16 << 10

// NewDigester starts with the Header of the snapshot.
func NewDigester(header []byte) *Digester {
	d := &Digester{sum: sha256.New(), buf: make([]byte, 0, 2*digestBytes)}
	d.Add(header)
	return d
}

// Section starts the next namespace.
func (d *Digester) Section(_ uint64, header []byte) error {
	d.Add(header)
	return nil
}

// Put adds an item to the section.
func (d *Digester) Put(key, item []byte) error {
	d.Add(key)
	d.Add(item)
	return nil
}

// Add hashes bytes of the caller's, told apart from what comes before and after.
func (d *Digester) Add(b []byte) {
	d.buf = binary.LittleEndian.AppendUint64(d.buf, uint64(len(b)))
	if len(b) >= digestBytes {
		d.flush()
		d.sum.Write(b)
		return
	}
	d.buf = append(d.buf, b...)
	if len(d.buf) >= digestBytes {
		d.flush()
	}
}

func (d *Digester) flush() {
	d.sum.Write(d.buf)
	d.buf = d.buf[:0]
}

// Sum returns the digest of everything up to now.
func (d *Digester) Sum() [sha256.Size]byte {
	d.flush()
	return [sha256.Size]byte(d.sum.Sum(nil))
}

// Digest hashes the whole state as it is. It runs on the apply goroutine between batches.
func (s *State) Digest() [sha256.Size]byte {
	d := NewDigester(s.header().append(nil))
	var buf []byte
	s.working.byID.Scan(func(_ uint64, ns *namespace) bool {
		buf = ns.header().append(buf[:0])
		d.Add(buf)
		ns.keys.ordered(false).ascend(nil, func(it *item) bool {
			buf = appendItem(buf[:0], it)
			d.Add(it.key())
			d.Add(buf)
			return true
		})
		return true
	})
	return d.Sum()
}
