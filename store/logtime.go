package store

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// logClock makes log time: what the leader stamps entries with, in ms since the epoch. It runs with the
// wall clock and never goes back. When the wall clock is behind it (it was set back, or an earlier
// leader's was ahead) it goes on at half rate until the wall clock has caught up, never stopping, so
// that time to live goes on passing.
type logClock struct {
	source clock.Clock
	last   atomic.Int64 // the latest stamp, ns since the epoch
	offset atomic.Int64 // ns by which the wall clock is corrected

	mu      sync.Mutex
	slewing bool          // the wall clock is behind last; guarded by mu
	from    time.Duration // the boot clock when last was taken, while slewing; guarded by mu
}

func newLogClock(source clock.Clock) *logClock { return &logClock{source: source} }

// wall returns the wall clock, corrected, in ns since the epoch.
func (c *logClock) wall() int64 { return c.source.Now().UnixNano() + c.offset.Load() }

// read returns log time without stamping: cheap enough for every read.
func (c *logClock) read() int64 {
	if wall := c.wall(); wall >= c.last.Load() {
		return wall / int64(time.Millisecond)
	}
	return c.stamp()
}

// stamp returns log time for an entry: at least every stamp before, and every time raised to.
func (c *logClock) stamp() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, last := c.wall(), c.last.Load()
	if !c.slewing && wall >= last {
		c.last.Store(wall)
		return wall / int64(time.Millisecond)
	}
	boot := c.source.Boot()
	if c.slewing {
		last += int64(boot-c.from) / 2
	}
	c.slewing, c.from = wall < last, boot
	last = max(last, wall)
	c.last.Store(last)
	return last / int64(time.Millisecond)
}

// raise sees to it that log time is at least ms from now on.
func (c *logClock) raise(ms int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := ms * int64(time.Millisecond); t > c.last.Load() {
		c.slewing = false
		c.last.Store(t)
	}
}

// CorrectClock has log time follow this node's wall clock with a correction, which is for a clock that is known to
// be wrong. It holds until the next call.
func (s *Store) CorrectClock(by time.Duration) { s.clock.offset.Store(int64(by)) }
