package wal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/primatomic/primatomic/internal/vfs"
)

// Recovery tells what Open found.
type Recovery struct {
	Fresh    bool // there was no log
	Groups   map[GroupID]GroupState
	TornTail *TornTail // what was cut, or nil
	Segments int
	Frames   uint64
}

// GroupState is what the log holds of a group.
type GroupState struct {
	HardState HardState
	Snapshot  SnapshotMark // the newest; zero: none
	Released  SnapshotMark // the last entry released; zero: none
	First     uint64       // index of the first entry; Last+1 if there is none
	Last      uint64       // index of the last entry, or of the last one released
}

// TornTail is a write that a crash kept from finishing. None of it was acknowledged.
type TornTail struct {
	File   string
	Offset int64
	Bytes  int64
	Reason string
	Copy   string // file that keeps the bytes that were cut
}

const (
	tornPrefix    = "torn-"
	tornCopiesMax = 8
)

// Open opens the log in a directory, or makes one. It reads and verifies everything. The directory is made
// too, but that its parents are durable is the caller's business.
//
// A write that never finished is cut off and reported. Anything else that is not as it was written is a
// *CorruptError, and nothing is changed. What Open reports is durable when it returns.
func Open(o Options) (*Log, *Recovery, error) {
	if err := o.complete(); err != nil {
		return nil, nil, err
	}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(o.FS.SyncDir(path.Dir(o.Dir)), o.FS.SyncDir(o.Dir)); err != nil {
		return nil, nil, err
	}
	lock, err := o.FS.Lock(path.Join(o.Dir, lockName))
	if err != nil {
		return nil, nil, err
	}
	l, rec, err := open(&o, lock)
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return l, rec, nil
}

// complete fills in defaults and checks the rest.
func (o *Options) complete() error {
	if o.FS == nil || o.Dir == "" {
		return errors.New("wal: FS and Dir must be given")
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = segmentBytesDefault
	}
	o.SegmentBytes = (o.SegmentBytes + headerBytes - 1) &^ (headerBytes - 1)
	if o.SegmentBytes < segmentBytesMin || o.SegmentBytes > segmentBytesMax {
		return fmt.Errorf("wal: SegmentBytes must be from %d to %d", segmentBytesMin, segmentBytesMax)
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

func open(o *Options, lock io.Closer) (*Log, *Recovery, error) {
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, nil, err
	}
	if err := removeUnmade(o.FS, o.Dir, names); err != nil {
		return nil, nil, err
	}
	seqs, stray := segmentRun(names)
	l := &Log{
		fs: o.FS, dir: o.Dir, lock: lock, batch: 1, floor: 1,
		buf:    make([]byte, 0, min(bufferBytes, o.SegmentBytes)),
		groups: map[GroupID]*group{},
		keeper: &keeper{fs: o.FS, dir: o.Dir, bytes: o.SegmentBytes, id: o.ID, random: o.Random,
			logger: o.Logger, next: 1},
	}
	rec := &Recovery{Fresh: len(seqs) == 0, Groups: map[GroupID]GroupState{}}
	if rec.Fresh {
		err = l.create()
	} else {
		err = l.recover(o, rec, seqs, stray)
	}
	if err != nil {
		for _, s := range l.segs {
			err = errors.Join(err, s.release())
		}
		return nil, nil, errors.Join(err, l.keeper.stop())
	}
	rec.Segments = len(l.segs)
	l.keeper.start(o.Inline)
	l.keeper.nudge()
	return l, rec, nil
}

// Exists reports whether a directory holds a log, whatever its state.
func Exists(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	run, _ := segmentRun(names)
	return len(run) > 0, err
}

// segmentRun returns the sequence numbers of the newest segments without a gap, and older ones: those are
// what a crash left of a removal, or the sign that segments are missing.
func segmentRun(names []string) (run, stray []uint64) {
	for _, name := range names { // sorted, and so are the numbers, as all have the same length
		if seq, ok := parseSegmentName(name); ok {
			if n := len(run); n > 0 && run[n-1]+1 != seq {
				stray, run = append(stray, run...), nil
			}
			run = append(run, seq)
		}
	}
	return run, stray
}

// create begins a new log.
func (l *Log) create() error {
	if l.keeper.id == [16]byte{} {
		if _, err := io.ReadFull(l.keeper.random, l.keeper.id[:]); err != nil {
			return fmt.Errorf("wal: random numbers: %w", err)
		}
	}
	seg, err := l.keeper.take(0)
	if err != nil {
		return err
	}
	l.segs = []*segment{seg}
	l.end, l.flushed, l.durable = headerBytes, headerBytes, headerBytes
	return nil
}

// recover replays the log, and then makes it ready to go on.
func (l *Log) recover(o *Options, rec *Recovery, seqs, stray []uint64) error {
	for _, seq := range seqs {
		seg, err := openSegment(o.FS, o.Dir, seq, true)
		if err != nil {
			return err
		}
		l.segs = append(l.segs, seg)
	}
	if err := l.identify(); err != nil {
		return err
	}
	r := newReplay(l.segs)
	stretches, err := r.segments(l.segs)
	if err != nil {
		return err
	}
	if err := r.complete(l.segs[0]); err != nil {
		return err
	}
	// From here on the log is known to be sound, and is changed.
	used := lastUsed(stretches)
	if err := l.mend(rec, r.reader, l.segs[used], &stretches[used]); err != nil {
		return err
	}
	for _, seq := range stray {
		if err := o.FS.Remove(segmentName(o.Dir, seq)); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return err
	}
	l.unsealed = !stretches[used].proven()
	l.resume(rec, r, stretches)
	if l.room() < sealRoom {
		return nil // the next segment is not begun just to seal this one
	}
	if err = l.Seal(); errors.Is(err, ErrNoSpace) {
		return nil // unsealed is only less provable
	}
	return err
}

const foreignSegment = "the segment belongs to another log than the one before"

// identify checks that all segments belong to one log, and that it is the node's.
func (l *Log) identify() error {
	first := l.segs[0]
	if l.keeper.id == [16]byte{} {
		l.keeper.id = first.id
	}
	for _, s := range l.segs {
		if s.id != first.id {
			return s.corrupt(16, foreignSegment)
		}
	}
	if first.id != l.keeper.id {
		return fmt.Errorf("%w: %s has id %x, this node's is %x", ErrForeign, l.dir, first.id, l.keeper.id)
	}
	return nil
}

// segments replays all segments. Only in the last one with anything in it there may be a torn tail: a
// segment is synced before anything is written into the next.
func (r *replay) segments(segs []*segment) ([]stretch, error) {
	stretches := make([]stretch, len(segs))
	for i, seg := range segs {
		var err error
		if stretches[i], err = r.segment(seg); err != nil {
			return nil, err
		}
	}
	for i := range stretches {
		if err := beforeLater(segs, stretches, i); err != nil {
			return nil, err
		}
	}
	return stretches, nil
}

// beforeLater returns an error if a segment is torn though a later one was begun.
func beforeLater(segs []*segment, stretches []stretch, i int) error {
	if s := &stretches[i]; s.torn() && i < lastUsed(stretches) {
		return segs[i].corrupt(s.end, s.reasonOr("nothing is written here, but behind")+
			", though the segment was complete before the next one was begun")
	}
	return nil
}

// lastUsed returns the last segment that is not blank, or the first one.
func lastUsed(stretches []stretch) int {
	for i := len(stretches) - 1; i > 0; i-- {
		if !stretches[i].blank() {
			return i
		}
	}
	return 0
}

// mend cuts a torn tail and makes durable what is before it.
func (l *Log) mend(rec *Recovery, r *frameReader, seg *segment, s *stretch) error {
	if s.torn() {
		cut := TornTail{File: seg.name, Offset: s.end, Bytes: s.last - s.end,
			Reason: s.reasonOr("the first sector of a frame was not written")}
		cut.Copy = path.Join(l.dir, fmt.Sprintf("%s%016x-%d", tornPrefix, seg.seq, s.end))
		if err := l.keepTorn(r, seg, &cut); err != nil {
			return noSpace(fmt.Errorf("wal: keep a copy of the torn tail: %w", err))
		}
		if err := fill(seg.file, s.end, seg.size); err != nil {
			return err
		}
		l.keeper.logger.Warn("wal: cut a write that never finished", "file", cut.File, "offset", cut.Offset,
			"bytes", cut.Bytes, "reason", cut.Reason, "copy", cut.Copy)
		rec.TornTail = &cut
	}
	// Frames that no later one calls durable may be in the page cache alone. If a sync of them failed before,
	// another one may succeed without writing them: so they are written again.
	r.reset(seg, nil)
	for at := s.durable; at < s.end; {
		p, err := r.raw(at, int(min(int64(cap(r.window)), s.end-at)))
		if err != nil {
			return err
		}
		if _, err := seg.file.WriteAt(p, at); err != nil {
			return err
		}
		at += int64(len(p))
	}
	return seg.file.Sync()
}

// keepTorn copies what is about to be cut into a file of its own, and bounds the number of such files.
func (l *Log) keepTorn(r *frameReader, seg *segment, cut *TornTail) error {
	f, err := l.fs.Create(cut.Copy)
	if err != nil {
		return err
	}
	r.reset(seg, nil)
	for at := int64(0); at < cut.Bytes && err == nil; {
		var p []byte
		if p, err = r.raw(cut.Offset+at, int(min(int64(cap(r.window)), cut.Bytes-at))); err == nil {
			_, err = f.WriteAt(p, at)
			at += int64(len(p))
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	names, err := l.fs.List(l.dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, tornPrefix) })
	for _, old := range names[:max(0, len(names)-tornCopiesMax)] {
		if err := l.fs.Remove(path.Join(l.dir, old)); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// resume sets the log up behind what was replayed.
func (l *Log) resume(rec *Recovery, r *replay, stretches []stretch) {
	n := len(l.segs) - 1
	l.keeper.next = l.segs[n].seq + 1
	if n > 0 && stretches[n].blank() {
		l.keeper.spare = l.segs[n]
		l.segs, n = l.segs[:n], n-1
	}
	l.end = stretches[n].end
	l.flushed, l.durable = l.end, l.end
	l.chain, l.floor, l.groups = r.chain, r.floor, r.groups
	l.batch = r.batch
	for i := range stretches {
		l.batch = max(l.batch, stretches[i].batch)
	}
	l.batch += 2 // a torn frame whose number is not known was of the batch after the last valid one
	l.released = true
	rec.Frames = r.frames
	rec.Groups = r.states()
}
