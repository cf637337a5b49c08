package wal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/primatomic/primatomic/internal/vfs"
)

const (
	fillBytes     = 1 << 20 // zeros per write
	fillSyncBytes = 4 << 20 // zeros per sync, so that a long flush does not hold up the writer's own
)

// keeper makes segments before they are needed and removes those that nobody needs. It works on its own
// goroutine, or inline on the writer's.
type keeper struct {
	fs      vfs.FS
	dir     string
	bytes   int64 // of an ordinary segment
	id      [16]byte
	random  io.Reader
	logger  *slog.Logger
	wake    chan struct{} // nil: inline
	stopped chan struct{}

	mu    sync.Mutex // held while it works
	next  uint64     // sequence number of the next segment to be made
	spare *segment   // complete and empty, or nil

	doomedMu sync.Mutex // never held for long
	doomed   []*segment // to be removed, oldest first
}

// start begins the background work, unless it is inline.
func (k *keeper) start(inline bool) {
	if inline {
		return
	}
	k.wake, k.stopped = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(k.stopped)
		for range k.wake {
			k.work()
		}
	}()
}

// stop ends the background work and closes the spare.
func (k *keeper) stop() error {
	if k.wake != nil {
		close(k.wake)
		<-k.stopped
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var err error
	if k.spare != nil {
		err = k.spare.release()
		k.spare = nil
	}
	for s := k.nextDoomed(); s != nil; s = k.nextDoomed() {
		err = errors.Join(err, s.release())
	}
	return err
}

// nudge has the work done: soon, or inline at once.
func (k *keeper) nudge() {
	if k.wake == nil {
		k.work()
		return
	}
	select {
	case k.wake <- struct{}{}:
	default: // it is awake already, or will be
	}
}

// work removes what is doomed, which makes room, and then sees to a spare. If there is none when the writer
// needs it, the writer makes one itself and gets the error.
func (k *keeper) work() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.removeDoomed(); err != nil {
		k.logger.Warn("wal: cannot remove a segment that is no longer needed", "error", err)
	}
	if err := k.prepare(); err != nil {
		k.logger.Warn("wal: cannot prepare the next segment", "error", err)
	}
}

// doom hands over segments that are no longer needed.
func (k *keeper) doom(segs []*segment) {
	k.doomedMu.Lock()
	defer k.doomedMu.Unlock()
	k.doomed = append(k.doomed, segs...)
}

func (k *keeper) nextDoomed() *segment {
	k.doomedMu.Lock()
	defer k.doomedMu.Unlock()
	if len(k.doomed) == 0 {
		return nil
	}
	s := k.doomed[0]
	k.doomed = k.doomed[1:]
	return s
}

// removeDoomed removes segments. One that cannot be removed is left to the next start.
func (k *keeper) removeDoomed() error {
	var removed bool
	var err error
	for s := k.nextDoomed(); s != nil; s = k.nextDoomed() {
		removed = true
		err = errors.Join(err, k.fs.Remove(s.name), s.release())
	}
	if removed {
		err = errors.Join(err, k.fs.SyncDir(k.dir))
	}
	return err
}

// take returns a segment that holds at least frameBytes of frames. ErrNoSpace leaves everything as it was.
func (k *keeper) take(frameBytes int64) (*segment, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.prepare(); err != nil {
		return nil, err
	}
	if k.spare.size-headerBytes < frameBytes {
		if err := k.enlarge(frameBytes); err != nil {
			return nil, err
		}
	}
	s := k.spare
	k.spare = nil
	return s, nil
}

// prepare makes the spare if there is none. Only a complete segment gets its final name, so that a damaged
// header is never mistaken for an unfinished one.
func (k *keeper) prepare() error {
	if k.spare != nil {
		return nil
	}
	s := &segment{name: segmentName(k.dir, k.next), seq: k.next, size: k.bytes, id: k.id}
	if err := s.randomize(k.random); err != nil {
		return err
	}
	unmade := strings.TrimSuffix(s.name, segmentSuffix) + unmadeSuffix
	err := k.make(s, unmade)
	if err != nil {
		if s.file != nil {
			err = errors.Join(err, s.file.Close(), k.fs.Remove(unmade))
		}
		return noSpace(err)
	}
	s.users.Store(1)
	k.spare, k.next = s, k.next+1
	return nil
}

// make writes the segment. Zeros are written, not just reserved: writing into extents that are allocated
// but unwritten changes metadata, which would make every sync of the log a journal commit.
func (k *keeper) make(s *segment, unmade string) error {
	f, err := k.fs.Create(unmade)
	if err != nil {
		return err
	}
	s.file = f
	if err := fill(f, headerBytes, s.size); err != nil {
		return err
	}
	if _, err := f.WriteAt(s.header(), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := k.fs.Rename(unmade, s.name); err != nil {
		return err
	}
	return k.fs.SyncDir(k.dir)
}

// enlarge makes the spare fit for one record that is larger than an ordinary segment. A crash halfway
// leaves a segment that is longer than its header says, which is as good.
func (k *keeper) enlarge(frameBytes int64) error {
	s := k.spare
	size := (headerBytes + frameBytes + headerBytes - 1) &^ (headerBytes - 1)
	if err := fill(s.file, s.size, size); err != nil {
		return noSpace(errors.Join(err, s.file.Truncate(s.size)))
	}
	s.size = size
	return nil
}

// fill writes zeros and syncs them.
func fill(f vfs.File, from, to int64) error {
	zeros := make([]byte, min(fillBytes, to-from))
	for unsynced := int64(0); from < to; {
		n := min(int64(len(zeros)), to-from)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from, unsynced = from+n, unsynced+n
		if unsynced >= fillSyncBytes || from == to {
			if err := f.Sync(); err != nil {
				return err
			}
			unsynced = 0
		}
	}
	return nil
}

// noSpace wraps an error that passes by itself, of a full disk or of a process without file handles, as
// ErrNoSpace and leaves others alone.
func noSpace(err error) error {
	for _, passing := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, passing) {
			return fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
	}
	return err
}

// removeUnmade removes what a crash left of segments that were not complete.
func removeUnmade(fsys vfs.FS, dir string, names []string) error {
	for _, name := range names {
		if path.Ext(name) == unmadeSuffix {
			if err := fsys.Remove(path.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
