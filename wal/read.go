package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
)

const (
	readWindowBytes = 64 << 10
	// directBytes is the size from which an entry is read into its own memory, without passing the window.
	directBytes = 16 << 10
)

var readers = sync.Pool{New: func() any { return newFrameReader(readWindowBytes) }}

var errChanged = errors.New("wal: entries were replaced while they were read")

// FirstIndex returns the index of the first entry that can be read, which is LastIndex+1 if there is none.
func (l *Log) FirstIndex(id GroupID) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if g := l.groups[id]; g != nil {
		return g.base.Index + 1
	}
	return 1
}

// LastIndex returns the index of the last entry, or of the last one released.
func (l *Log) LastIndex(id GroupID) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if g := l.groups[id]; g != nil {
		return g.last
	}
	return 0
}

// Tail returns the index of the oldest entry of a group from which on the log, with what other groups have in
// it, has at most so many bytes, to within a few KiB. It is at least FirstIndex, and LastIndex+1 if even the
// last entry is too large.
func (l *Log) Tail(id GroupID, bytes int64) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.groups[id]
	if g == nil {
		return 1
	}
	index := g.last + 1
	seg, behind := len(l.segs)-1, l.end // bytes from the start of segs[seg] to the end
	for i := len(g.anchors) - 1; i >= 0; i-- {
		a := g.anchors[i]
		for l.segs[seg].seq > a.seq {
			seg--
			behind += l.segs[seg].size - headerBytes
		}
		for l.segs[seg].seq < a.seq { // what was rewritten stands behind what came later
			behind -= l.segs[seg].size - headerBytes
			seg++
		}
		if behind-int64(a.off) > bytes {
			break
		}
		index = a.first
	}
	return max(index, g.base.Index+1)
}

// Term returns the term of an entry from FirstIndex-1 to LastIndex.
func (l *Log) Term(id GroupID, index uint64) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.groups[id]
	if g == nil {
		g = newGroup()
	}
	if term, ok := g.term(index); ok {
		return term, nil
	}
	if index < g.base.Index {
		return 0, g.compacted(id, index)
	}
	return 0, fmt.Errorf("%w: %d of group %d; the last is %d", ErrUnavailable, index, id, g.last)
}

func (g *group) compacted(id GroupID, index uint64) error {
	return fmt.Errorf("%w: %d of group %d; the first is %d", ErrCompacted, index, id, g.base.Index+1)
}

// Entries appends the entries lo to hi-1 of a group to dst. It stops before the data of the entries
// exceeds maxBytes, but returns at least one. The data belongs to the caller. Every entry is verified: a
// damaged one is a *CorruptError.
func (l *Log) Entries(id GroupID, lo, hi, maxBytes uint64, dst []Entry) ([]Entry, error) {
	r := readers.Get().(*frameReader)
	defer readers.Put(r)
	for {
		got, err := l.tryEntries(r, id, lo, hi, maxBytes, dst)
		if !errors.Is(err, errChanged) {
			return got, err
		}
	}
}

// place is where an entry is looked for.
type place struct {
	seg     *segment
	off     int64
	limit   uint64 // what is found from off on counts below this index; from it on, it was replaced
	version uint64
}

// locate finds the anchor of an entry and keeps its segment open.
func (l *Log) locate(id GroupID, index, hi uint64) (place, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.groups[id]
	switch {
	case l.closed:
		return place{}, ErrClosed
	case g == nil || hi > g.last+1:
		return place{}, fmt.Errorf("%w: up to %d of group %d", ErrUnavailable, hi-1, id)
	case index <= g.base.Index:
		return place{}, g.compacted(id, index)
	}
	a, limit := g.find(index)
	seg := l.segs[a.seq-l.segs[0].seq]
	seg.acquire()
	return place{seg, int64(a.off), limit, g.version}, nil
}

// run is a read of consecutive entries under way.
type run struct {
	id     GroupID
	next   uint64 // index of the next entry to be read
	budget uint64 // bytes of data that may still be read
	any    bool   // an entry was read, so the budget counts
	full   bool   // the budget does not allow the next entry
	dst    []Entry
}

func (l *Log) tryEntries(r *frameReader, id GroupID, lo, hi, maxBytes uint64, dst []Entry) ([]Entry, error) {
	run := run{id: id, next: lo, budget: maxBytes, dst: dst}
	var last place   // the anchor used before
	var behind int64 // the frame read last
	for run.next < hi && !run.full {
		at, err := l.locate(id, run.next, hi)
		if err != nil {
			return dst, err
		}
		off := at.off
		switch {
		case run.any && at.version != last.version:
			return dst, errors.Join(at.seg.release(), errChanged)
		case at == last:
			off = behind
		case at.seg != last.seg:
			r.reset(at.seg, func(p []byte, offset int64) error { return l.readAt(at.seg, p, offset) })
		}
		behind, err = run.frame(r, off, min(hi, at.limit))
		if err != nil {
			err = l.excuse(err, id, at.version)
		}
		if err := errors.Join(err, at.seg.release()); err != nil {
			return dst, err
		}
		last = at
	}
	return run.dst, nil
}

// excuse turns a failed read into errChanged if the entries it was after were replaced meanwhile.
func (l *Log) excuse(err error, id GroupID, version uint64) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.groups[id].version != version {
		return errChanged
	}
	return err
}

// readAt reads a segment's bytes as they are or will be on disk.
func (l *Log) readAt(seg *segment, p []byte, offset int64) error {
	l.mu.RLock()
	if end := offset + int64(len(p)); seg == l.current() && end > l.flushed {
		cut := max(offset, l.flushed)
		buffered := p[cut-offset:]
		skip := min(int64(len(l.buf)), cut-l.flushed)
		clear(buffered[copy(buffered, l.buf[skip:]):])
		p = p[:cut-offset]
	}
	l.mu.RUnlock()
	if len(p) == 0 {
		return nil
	}
	return readFull(seg.file, p, offset)
}

// frame reads what is wanted, below limit, from the frame that holds the next entry, which is at off or
// follows. It returns the offset behind the frame.
func (run *run) frame(r *frameReader, off int64, limit uint64) (int64, error) {
	f, err := findFrame(r, off, run.id, run.next)
	if err != nil {
		return 0, err
	}
	at := f.data()
	for i := range int(f.count) {
		row, index := f.row(i), f.first+uint64(i)
		if index == run.next && index < limit {
			if run.any && uint64(row.size) > run.budget {
				run.full = true
				break
			}
			data, err := readData(r, at, row)
			if err != nil {
				return 0, err
			}
			run.dst = append(run.dst, Entry{Term: row.term, Index: index, Type: row.kind, Data: data})
			run.budget -= min(run.budget, uint64(row.size))
			run.any, run.next = true, index+1
		}
		at += int64(row.size)
	}
	return f.end(), nil
}

// findFrame walks from an anchor to the frame that holds an entry.
func findFrame(r *frameReader, off int64, id GroupID, index uint64) (frame, error) {
	for {
		size, v, reason, err := r.size(off)
		if err != nil {
			return frame{}, err
		}
		if v != whole {
			return frame{}, r.seg.corrupt(off, "a frame that was there is gone: "+reason)
		}
		f, err := r.peek(off, size)
		if err != nil {
			return frame{}, err
		}
		if f.kind == kindState && f.group == id && f.first <= index && index-f.first < uint64(f.count) {
			f, reason, err = r.describe(off, size)
			if err == nil && reason != "" {
				err = r.seg.corrupt(off, reason)
			}
			return f, err
		}
		off += int64(size)
	}
}

// peek reads what a frame says of itself, unverified.
func (r *frameReader) peek(off int64, size uint32) (frame, error) {
	r.meta = grow(r.meta, int64(min(size, tableOffset)))
	if err := r.plain(r.meta, off); err != nil {
		return frame{}, err
	}
	f := frame{head: parseHead(r.meta), off: off}
	if f.kind == kindState && size >= tableOffset {
		f.state = parseState(r.meta[headBytes:])
	}
	return f, nil
}

// readData reads and verifies the data of one entry.
func readData(r *frameReader, at int64, row row) ([]byte, error) {
	data := make([]byte, row.size)
	var err error
	if row.size >= directBytes {
		if err = r.read(data, at); err == nil {
			r.seg.xor(data, data, at)
		}
	} else {
		err = r.plain(data, at)
	}
	if err != nil {
		return nil, err
	}
	if crc32.Update(r.seg.seed, castagnoli, data) != row.crc {
		return nil, r.seg.corrupt(at, "an entry does not match its CRC")
	}
	return data, nil
}
