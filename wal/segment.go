package wal

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/primatomic/primatomic/internal/vfs"
)

const (
	formatVersion = 1
	headerBytes   = pageBytes // so that writing frames never touches the header's page
	maskBytes     = vfs.SectorBytes
	maskSpan      = 8 * maskBytes // the mask repeated, so that masking works on long runs
	magic         = "primaWAL"
	segmentSuffix = ".wal"
	unmadeSuffix  = ".tmp" // of a segment that is not complete yet
	lockName      = "lock"

	// segmentBytesMax keeps offsets in 32 bits, also of a segment that was made for one large record.
	segmentBytesMax = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is an open file of the log. Its header does not change once it has its final name.
type segment struct {
	name string // with its directory
	seq  uint64 // consecutive from 1
	size int64  // of the file
	id   [16]byte
	seed uint32 // every CRC in the segment starts from it
	mask [maskSpan + maskBytes]byte
	file vfs.File

	// users counts the log itself and the reads under way. The last one closes the file.
	users atomic.Int32
}

func segmentName(dir string, seq uint64) string {
	return path.Join(dir, fmt.Sprintf("%016x%s", seq, segmentSuffix))
}

// parseSegmentName returns the sequence number that a file name stands for.
func parseSegmentName(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(hex, 16, 64)
	return seq, err == nil && seq > 0
}

// header encodes the segment's first page.
func (s *segment) header() []byte {
	p := make([]byte, headerBytes)
	copy(p, magic)
	little.PutUint32(p[8:], formatVersion)
	copy(p[16:], s.id[:])
	little.PutUint64(p[32:], s.seq)
	little.PutUint64(p[40:], uint64(s.size))
	little.PutUint32(p[48:], s.seed)
	copy(p[64:], s.mask[:maskBytes])
	little.PutUint32(p[12:], crc32.Checksum(p, castagnoli))
	return p
}

// randomize draws seed and mask. No byte of the mask is zero, so that zeros never stay zeros.
func (s *segment) randomize(random io.Reader) error {
	var p [4 + maskBytes]byte
	if _, err := io.ReadFull(random, p[:]); err != nil {
		return fmt.Errorf("wal: random numbers: %w", err)
	}
	s.seed = little.Uint32(p[:])
	s.setMask(p[4:])
	return nil
}

func (s *segment) setMask(mask []byte) {
	for i := range s.mask {
		s.mask[i] = max(mask[i%maskBytes], 1)
	}
}

// openSegment opens a segment and verifies its header.
func openSegment(fsys vfs.FS, dir string, seq uint64, write bool) (*segment, error) {
	s := &segment{name: segmentName(dir, seq), seq: seq}
	open := fsys.OpenRead
	if write {
		open = fsys.OpenWrite
	}
	var err error
	if s.file, err = open(s.name); err != nil {
		return nil, err
	}
	s.users.Store(1)
	if err := s.readHeader(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func (s *segment) readHeader() error {
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	p := make([]byte, headerBytes)
	if size < headerBytes {
		return s.corrupt(size, "the file is shorter than its header")
	}
	if err := readFull(s.file, p, 0); err != nil {
		return err
	}
	crc := little.Uint32(p[12:])
	little.PutUint32(p[12:], 0)
	if !bytes.HasPrefix(p, []byte(magic)) || crc != crc32.Checksum(p, castagnoli) {
		return s.corrupt(0, "the segment header does not match its CRC")
	}
	if version := little.Uint32(p[8:]); version != formatVersion {
		return fmt.Errorf("%w: %s has version %d, this program knows %d", ErrFormat, s.name, version,
			formatVersion)
	}
	if seq := little.Uint64(p[32:]); seq != s.seq {
		return s.corrupt(32, fmt.Sprintf("the header says segment %d: the file was renamed", seq))
	}
	if want := little.Uint64(p[40:]); uint64(size) < want || size > segmentBytesMax {
		return s.corrupt(size, fmt.Sprintf("the file has %d bytes, its header says %d", size, want))
	}
	copy(s.id[:], p[16:])
	s.seed, s.size = little.Uint32(p[48:]), size&^(align-1)
	s.setMask(p[64 : 64+maskBytes])
	return nil
}

func (s *segment) corrupt(offset int64, reason string) error {
	return &CorruptError{File: s.name, Offset: offset, Reason: reason}
}

// check is the CRC that guards the size of a frame at an offset, before the frame itself can be verified.
// It is worked out by hand because crc32.Update would put the eight bytes on the heap.
func (s *segment) check(offset int64, size uint32) uint32 {
	crc := ^s.seed
	for v, i := uint64(size)|uint64(offset)<<32, 0; i < 8; v, i = v>>8, i+1 {
		crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
	}
	return ^crc
}

// xor masks or unmasks src, which starts at the given offset of the file, into dst. They may be the same.
func (s *segment) xor(dst, src []byte, offset int64) {
	for len(src) > 0 {
		start := int(offset % maskBytes)
		n := subtle.XORBytes(dst, src[:min(len(src), maskSpan)], s.mask[start:])
		dst, src, offset = dst[n:], src[n:], offset+int64(n)
	}
}

// acquire keeps the file open for a reader; false means that it is closed already.
func (s *segment) acquire() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a use.
func (s *segment) release() error {
	if s.users.Add(-1) == 0 {
		return s.file.Close()
	}
	return nil
}

// readFull reads all of p; a file that ends before is an error.
func readFull(f io.ReaderAt, p []byte, offset int64) error {
	n, err := f.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}
