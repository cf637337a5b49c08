package wal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"

	"github.com/primatomic/primatomic/internal/vfs"
)

const (
	segmentBytesDefault = 64 << 20
	segmentBytesMin     = 16 << 10
	bufferBytes         = 1 << 20 // frames wait here for Sync; a larger batch is written in such pieces
)

// Log is the write-ahead log of all groups of a node.
//
// Append, Sync, Seal, Rewrite and Close belong to one goroutine at a time, the writer. All other methods are
// for any goroutine.
type Log struct {
	fs     vfs.FS
	dir    string
	lock   io.Closer
	keeper *keeper

	// The writer's own.
	chain    uint32 // CRC of the last frame
	batch    uint64 // number of the next sync
	durable  int64  // offset in the current segment up to which all is synced
	unsealed bool   // there is a record that no seal says to be durable
	meta     []byte // a frame's head, body and table while it is encoded
	failed   error  // the first final error

	mu       sync.RWMutex
	segs     []*segment // consecutive, oldest first; the last one is being written
	end      int64      // offset behind the last frame of the current segment
	flushed  int64      // offset up to which the current segment's file has been written
	buf      []byte     // masked bytes from flushed to end
	groups   map[GroupID]*group
	floor    uint64 // segments below are not needed, and a durable frame says so
	released bool   // the floor may have risen
	closed   bool
}

// Append adds a record to the log. It is durable after the next Sync, and visible to readers at once.
//
// The data of entries is copied; it must not change during the call. ErrNoSpace, ErrTooLarge and
// ErrInvalidRecord leave the log as it was; any other error is final.
func (l *Log) Append(rec *Record) error {
	if l.failed != nil {
		return l.failed
	}
	g, st, flags, err := l.plan(rec)
	if err != nil {
		return err
	}
	return l.appendState(g, st, rec.Entries, flags)
}

// plan checks that a record continues its group's log and returns the body and flags to be written for it.
func (l *Log) plan(rec *Record) (g *group, st state, flags uint8, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if g = l.groups[rec.Group]; g == nil {
		g = newGroup()
	}
	st = state{group: rec.Group, hard: rec.HardState, mark: g.mark, base: g.base}
	last := g.last
	if m := rec.Snapshot; m != nil {
		if m.Index < g.mark.Index || m.Index < g.base.Index {
			return g, st, 0, invalid(rec, "its snapshot at %d is older than what is there", m.Index)
		}
		st.mark = *m
		if !g.holds(*m) {
			st.base, last, flags = *m, m.Index, flagReset
		}
	}
	if rec.HardState.Term < g.hard.Term || rec.HardState.Commit < g.hard.Commit {
		return g, st, 0, invalid(rec, "its hard state %v is older than %v", rec.HardState, g.hard)
	}
	if n := len(rec.Entries); n > 0 {
		st.first, st.count = rec.Entries[0].Index, uint32(n)
		if st.first > last+1 || st.first <= max(st.base.Index, g.hard.Commit) {
			return g, st, 0, invalid(rec, "its first entry is %d; the log ends at %d, %d is committed",
				st.first, last, g.hard.Commit)
		}
		for i := range rec.Entries {
			if want := st.first + uint64(i); rec.Entries[i].Index != want {
				return g, st, 0, invalid(rec, "entry %d stands in the place of %d", rec.Entries[i].Index, want)
			}
		}
		last = st.first + uint64(n) - 1
	}
	if rec.HardState.Commit > last || last > indexMax {
		return g, st, 0, invalid(rec, "it commits %d, but the log ends at %d", rec.HardState.Commit, last)
	}
	return g, st, flags, nil
}

func invalid(rec *Record, format string, args ...any) error {
	return fmt.Errorf("%w: group %d: %s", ErrInvalidRecord, rec.Group, fmt.Sprintf(format, args...))
}

// appendState writes a state frame, into the next segment if need be.
func (l *Log) appendState(g *group, st state, entries []Entry, flags uint8) error {
	size, err := frameBytes(entries)
	if err != nil {
		return err
	}
	if err := l.reserve(size); err != nil {
		return err
	}
	return l.putState(g, st, entries, flags, size)
}

// putState writes a state frame into the current segment, which has room, and updates the index.
func (l *Log) putState(g *group, st state, entries []Entry, flags uint8, size int64) error {
	f := frame{head: head{size: uint32(size), kind: kindState, flags: flags}, state: st}
	l.meta = grow(l.meta[:0], tableOffset+int64(len(entries))*rowBytes)
	st.put(l.meta[headBytes:])
	f.table = l.meta[tableOffset:]
	seed := l.current().seed
	for i := range entries {
		e := &entries[i]
		r := row{e.Term, uint32(len(e.Data)), crc32.Update(seed, castagnoli, e.Data), e.Type}
		r.put(f.table[i*rowBytes:])
	}
	if err := l.write(&f, entries); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[st.group] = g
	g.apply(&f, l.current().seq)
	l.unsealed = true
	l.released = l.released || flags != 0 // older segments may not be needed any more
	return nil
}

// write completes the head of a frame whose other metadata is in l.meta, and puts it all into the log. There
// is room for it.
func (l *Log) write(f *frame, entries []Entry) error {
	seg := l.current()
	f.off, f.prev, f.batch, f.durable = l.end, l.chain, l.batch, uint32(l.durable)
	putWord(l.meta, f.size, seg.check(f.off, f.size))
	f.head.put(l.meta)
	f.crc = crc32.Update(seg.seed, castagnoli, l.meta[12:])
	little.PutUint32(l.meta[8:], f.crc)

	err := l.put(l.meta)
	for i := range entries {
		if err == nil {
			err = l.put(entries[i].Data)
		}
	}
	if err == nil {
		err = l.put(padding[:f.end()-l.end])
	}
	if err != nil {
		return l.fail(err)
	}
	l.chain = f.crc
	return nil
}

var padding [sealFillMax]byte // a variable, because what is masked escapes to the heap

// put masks bytes into the buffer, and writes the buffer out whenever it is full.
func (l *Log) put(p []byte) error {
	for len(p) > 0 {
		l.mu.Lock()
		have := len(l.buf)
		n := min(len(p), cap(l.buf)-have)
		l.buf = l.buf[:have+n]
		l.current().xor(l.buf[have:], p[:n], l.end)
		l.end += int64(n)
		l.mu.Unlock()
		p = p[n:]
		if have+n == cap(l.buf) {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes the buffer to the file.
func (l *Log) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	if _, err := l.current().file.WriteAt(l.buf, l.flushed); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flushed += int64(len(l.buf))
	l.buf = l.buf[:0]
	return nil
}

// Sync makes everything appended durable, with one write and one sync of the current segment. An error is
// final: nobody knows what is on disk, so the process must end and nothing appended since the last Sync
// may be acknowledged. It is also when segments that are no longer needed go.
func (l *Log) Sync() error {
	if l.failed != nil {
		return l.failed
	}
	floor, err := l.raiseFloor()
	if err != nil {
		return err
	}
	if l.end == l.durable {
		return nil
	}
	if err := l.syncCurrent(); err != nil {
		return err
	}
	l.batch++
	if floor > 0 {
		l.dropBelow(floor)
	}
	return nil
}

func (l *Log) syncCurrent() error {
	if l.end == l.durable {
		return nil
	}
	if err := l.flush(); err != nil {
		return l.fail(err)
	}
	if err := l.current().file.Sync(); err != nil {
		return l.fail(err)
	}
	l.durable = l.end
	return nil
}

// Seal makes the last acknowledged batch provable: it adds a frame that says up to where everything is
// durable, and syncs. Without it damage to the very last batch can look like a write that never
// finished. The host calls it when nothing was appended for a moment; if the log is sealed it does nothing.
//
// The seal starts a new page, behind a seal that fills the one before: what it proves and the proof are
// not lost together.
func (l *Log) Seal() error {
	if err := l.Sync(); err != nil || !l.unsealed {
		return err
	}
	if err := l.reserve(sealRoom); err != nil {
		return err
	}
	fill := pageBytes - l.end%pageBytes
	if fill < sealBytes {
		fill += pageBytes
	}
	if err := l.appendSeal(l.floor, fill); err != nil {
		return err
	}
	if err := l.appendSeal(l.floor, sealBytes); err != nil {
		return err
	}
	l.unsealed = false
	return l.Sync()
}

func (l *Log) appendSeal(floor uint64, size int64) error {
	f := frame{head: head{size: uint32(size), kind: kindSeal}}
	l.meta = grow(l.meta[:0], sealBytes)
	little.PutUint64(l.meta[headBytes:], floor)
	return l.write(&f, nil)
}

// reserve makes sure that the current segment has room for a frame, moving to the next one if need be. Room
// for raising the floor is left, so that on a full disk a release can still make space.
func (l *Log) reserve(size int64) error {
	size += min(floorBytes(len(l.groups)), l.keeper.bytes/4)
	if size <= l.room() {
		return nil
	}
	next, err := l.keeper.take(size)
	if errors.Is(err, ErrNoSpace) {
		return err
	}
	if err != nil {
		return l.fail(err)
	}
	// Nothing may be written into the next segment before this one is durable: that is what tells
	// damage here from a write that never finished.
	if err := l.syncCurrent(); err != nil {
		_ = next.release() // the log has failed, whatever becomes of the spare
		return err
	}
	l.mu.Lock()
	l.segs = append(l.segs, next)
	l.end, l.flushed = headerBytes, headerBytes
	l.released = true
	l.mu.Unlock()
	l.durable = headerBytes
	l.keeper.nudge()
	return nil
}

func (l *Log) room() int64 { return l.current().size - l.end }

func (l *Log) current() *segment { return l.segs[len(l.segs)-1] }

func (l *Log) fail(err error) error {
	l.failed = fmt.Errorf("wal: the log failed and what is on disk is unknown; the process must end: %w", err)
	return l.failed
}

// Bytes returns the size of the log that is still needed by some group, headers and spare not counted.
func (l *Log) Bytes() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var sum int64
	for _, s := range l.segs[:len(l.segs)-1] {
		sum += s.size - headerBytes
	}
	return sum + l.end - headerBytes
}

// Close seals and closes the log. Readers get ErrClosed afterwards.
func (l *Log) Close() error {
	l.mu.RLock()
	closed := l.closed
	l.mu.RUnlock()
	if closed {
		return nil
	}
	var err error
	if l.failed == nil {
		if err = l.Seal(); errors.Is(err, ErrNoSpace) {
			err = nil // unsealed is only less provable
		}
	}
	l.mu.Lock()
	l.closed = true
	segs := l.segs
	l.mu.Unlock()
	if l.failed == nil {
		l.failed = ErrClosed
	}
	err = errors.Join(err, l.keeper.stop())
	for _, s := range segs {
		err = errors.Join(err, s.release())
	}
	return errors.Join(err, l.lock.Close())
}

// Options say where and how a log is kept.
type Options struct {
	FS  vfs.FS
	Dir string
	// ID ties the log to a node: a log with another one is refused with ErrForeign. Zero: a new log gets
	// a random one, an existing log is taken as it is.
	ID [16]byte
	// SegmentBytes is the size of a segment; 0 means 64 MiB, at most 1 GiB.
	SegmentBytes int64
	// Inline has segments made and removed on the writer's goroutine, for a simulator.
	Inline bool
	// Random feeds the secret masks; nil means crypto/rand.
	Random io.Reader
	Logger *slog.Logger // nil: silent
}
