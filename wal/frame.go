package wal

import (
	"fmt"
	"hash/crc32"

	"github.com/primatomic/primatomic/internal/vfs"
)

// frame is a decoded frame without the data of its entries.
type frame struct {
	head
	state        // of a state frame
	floor uint64 // of a seal frame
	off   int64  // in its segment
	table []byte // rows of a state frame, valid until the reader's next call
}

// end is the offset behind the frame.
func (f *frame) end() int64 { return f.off + int64(f.size) }

// data is the offset at which the data of the first entry starts, or of a seal its padding.
func (f *frame) data() int64 {
	if f.kind == kindSeal {
		return f.off + sealBytes
	}
	return f.off + tableOffset + int64(f.count)*rowBytes
}

func (f *frame) row(i int) row { return parseRow(f.table[i*rowBytes:]) }

// verdict is what is found at a place where a frame should start.
type verdict uint8

const (
	whole     verdict = iota // a valid frame
	unwritten                // the rest of the sector is zeros: no frame, or its first sector was not written
	torn                     // a frame with a sector that was not written, or not to its end
	damaged                  // every sector was written, and yet it is no valid frame
)

// frameReader decodes the frames of one segment through a window. It holds at most the window, one table
// and a chunk of data, whatever the segment claims to contain.
type frameReader struct {
	seg    *segment
	read   func(p []byte, offset int64) error
	window []byte // as on disk, masked
	start  int64  // offset of the window
	meta   []byte // unmasked head, body and table of a frame
	chunk  []byte // unmasked data
}

func newFrameReader(windowBytes int) *frameReader {
	return &frameReader{window: make([]byte, 0, windowBytes), chunk: make([]byte, windowBytes)}
}

// reset turns the reader to a segment. A nil read reads its file.
func (r *frameReader) reset(seg *segment, read func(p []byte, offset int64) error) {
	if read == nil {
		read = func(p []byte, offset int64) error { return readFull(seg.file, p, offset) }
	}
	r.seg, r.read, r.window, r.start = seg, read, r.window[:0], 0
}

// raw returns n bytes as on disk, at most a window, valid until the next call. The range is in the file.
func (r *frameReader) raw(offset int64, n int) ([]byte, error) {
	if at := offset - r.start; at >= 0 && at+int64(n) <= int64(len(r.window)) {
		return r.window[at : at+int64(n)], nil
	}
	want := min(int64(cap(r.window)), r.seg.size-offset)
	r.window, r.start = r.window[:want], offset
	if err := r.read(r.window, offset); err != nil {
		r.window = r.window[:0]
		return nil, fmt.Errorf("wal: read %s at %d: %w", r.seg.name, offset, err)
	}
	return r.window[:n], nil
}

// plain unmasks dst's worth of bytes into dst.
func (r *frameReader) plain(dst []byte, offset int64) error {
	for len(dst) > 0 {
		p, err := r.raw(offset, min(len(dst), cap(r.window)))
		if err != nil {
			return err
		}
		r.seg.xor(dst, p, offset)
		dst, offset = dst[len(p):], offset+int64(len(p))
	}
	return nil
}

// size reads the first word of a frame. The reason says why it is damaged.
func (r *frameReader) size(offset int64) (size uint32, v verdict, reason string, err error) {
	if r.seg.size-offset < sealBytes {
		return 0, unwritten, "", nil
	}
	p, err := r.raw(offset, wordBytes)
	if err != nil {
		return 0, damaged, "", err
	}
	word := r.chunk[:wordBytes]
	r.seg.xor(word, p, offset)
	size = little.Uint32(word)
	if little.Uint32(word[4:]) != r.seg.check(offset, size) {
		return r.unsized(offset, allZero(p))
	}
	if size < sealBytes || size%align != 0 || int64(size) > r.seg.size-offset {
		return 0, damaged, fmt.Sprintf("a frame of %d bytes cannot be here", size), nil
	}
	return size, whole, "", nil
}

// unsized judges a place whose first word, which may be zero, is not the size of a frame.
func (r *frameReader) unsized(offset int64, zero bool) (size uint32, v verdict, reason string, err error) {
	rest := offset + wordBytes
	p, err := r.raw(rest, int(min(sectorEnd(offset), r.seg.size)-rest))
	switch {
	case err != nil:
		return 0, damaged, "", err
	case zero && allZero(p):
		return 0, unwritten, "", nil
	case zero:
		return 0, damaged, "zeros where a frame starts, in a sector that was written", nil
	case len(p) > 0 && allZero(p):
		return 0, torn, "the size of the frame was not written to its end", nil
	}
	return 0, damaged, "the size of the frame does not match its check", nil
}

// frame reads and verifies the frame at offset. Only its table stays in memory.
func (r *frameReader) frame(offset int64) (f frame, v verdict, reason string, err error) {
	size, v, reason, err := r.size(offset)
	if v != whole || err != nil {
		return f, v, reason, err
	}
	f, reason, err = r.describe(offset, size)
	if reason == "" && err == nil {
		reason, err = r.verifyData(&f)
	}
	if reason == "" || err != nil {
		return f, whole, "", err
	}
	missing, err := r.hasUnwrittenSector(offset, int64(size))
	if missing {
		return f, torn, reason, err
	}
	return f, damaged, reason, err
}

// describe reads all of a frame but the data, and verifies it. The size is known to fit the segment.
func (r *frameReader) describe(offset int64, size uint32) (f frame, reason string, err error) {
	f.off = offset
	metaBytes := int64(min(size, tableOffset))
	r.meta = grow(r.meta, metaBytes)
	if err := r.plain(r.meta, offset); err != nil {
		return f, "", err
	}
	f.head = parseHead(r.meta)
	switch {
	case f.kind == kindSeal && size <= sealFillMax:
		metaBytes = sealBytes
		f.floor = little.Uint64(r.meta[headBytes:])
	case f.kind == kindState && size >= tableOffset:
		f.state = parseState(r.meta[headBytes:])
		metaBytes += int64(f.count) * rowBytes
		if f.count > RecordEntriesMax || metaBytes > int64(size) {
			return f, fmt.Sprintf("the frame has no room for %d entries", f.count), nil
		}
		r.meta = grow(r.meta, metaBytes)
		if err := r.plain(r.meta[tableOffset:], offset+tableOffset); err != nil {
			return f, "", err
		}
		f.table = r.meta[tableOffset:]
	default:
		return f, fmt.Sprintf("a frame of %d bytes is not of kind %d", size, f.kind), nil
	}
	if crc32.Update(r.seg.seed, castagnoli, r.meta[12:metaBytes]) != f.crc {
		return f, "the frame does not match its CRC", nil
	}
	return f, f.inconsistency(), nil
}

// inconsistency says what is wrong with a frame that matches its CRC; only a faulty writer makes such.
func (f *frame) inconsistency() string {
	if f.kind != kindState {
		return ""
	}
	size := int64(tableOffset) + int64(f.count)*rowBytes
	for i := range int(f.count) {
		size += int64(f.row(i).size)
	}
	if alignUp(size) != int64(f.size) {
		return fmt.Sprintf("entries make a frame of %d bytes, not of %d", alignUp(size), f.size)
	}
	if max(f.first, f.base.Index, f.mark.Index) > indexMax || f.count > 0 && f.first <= f.base.Index {
		return fmt.Sprintf("entries cannot start at %d after %d", f.first, f.base.Index)
	}
	return ""
}

// verifyData checks the CRC of every entry and that the padding is zeros.
func (r *frameReader) verifyData(f *frame) (reason string, err error) {
	at := f.data()
	for i := range int(f.count) {
		row := f.row(i)
		crc, end := r.seg.seed, at+int64(row.size)
		for at < end {
			p := r.chunk[:min(int64(len(r.chunk)), end-at)]
			if err := r.plain(p, at); err != nil {
				return "", err
			}
			crc = crc32.Update(crc, castagnoli, p)
			at += int64(len(p))
		}
		if crc != row.crc {
			return fmt.Sprintf("entry %d of the frame does not match its CRC", i), nil
		}
	}
	padding := r.chunk[:f.end()-at]
	if err := r.plain(padding, at); err != nil {
		return "", err
	}
	if !allZero(padding) {
		return "the frame's padding is not zero", nil
	}
	return "", nil
}

// hasUnwrittenSector says whether the range has a share of a sector that ends in a word of zeros. As frames
// are masked, and segments full of zeros before, exactly those sectors were not written, or not to their
// end: a crash leaves out sectors, a write cut short ends within one.
func (r *frameReader) hasUnwrittenSector(offset, size int64) (bool, error) {
	for end := offset + size; offset < end; {
		next := min(sectorEnd(offset), end)
		p, err := r.raw(next-wordBytes, wordBytes)
		if err != nil || allZero(p) {
			return err == nil, err
		}
		offset = next
	}
	return false, nil
}

func sectorEnd(offset int64) int64 { return offset - offset%vfs.SectorBytes + vfs.SectorBytes }

// allZero reports whether p holds nothing but zeros.
func allZero(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if little.Uint64(p) != 0 {
			return false
		}
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// grow returns p with n bytes, its old ones kept.
func grow(p []byte, n int64) []byte {
	if n <= int64(cap(p)) {
		return p[:n]
	}
	return append(p[:len(p):len(p)], make([]byte, n-int64(len(p)))...)
}
