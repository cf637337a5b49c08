package store

import (
	"math"
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
	sure   atomic.Int64 // the corrected wall clock is believed up to here, ns since the epoch

	mu        sync.Mutex
	slewing   bool          // the wall clock is behind last; guarded by mu
	from      time.Duration // the boot clock when last was taken, while slewing; guarded by mu
	checked   int64         // the corrected wall clock when it was last held against others; guarded by mu
	checkedAt time.Duration // the boot clock then; guarded by mu
}

// leapMax is how far the wall clock may go on ahead of the boot clock since it was last held against other nodes'
// clocks. Where it has gone further it was set, perhaps wrong, or its correction is out of date, and until it is held
// against them again log time goes on with the boot clock. Otherwise a moment of a wrong clock would be enough to
// make every time to live end: log time does not go back.
const leapMax = time.Second

func newLogClock(source clock.Clock) *logClock {
	c := &logClock{source: source}
	c.sure.Store(math.MaxInt64) // there may be no others
	return c
}

// wall returns the wall clock, corrected, in ns since the epoch.
func (c *logClock) wall() int64 { return c.source.Now().UnixNano() + c.offset.Load() }

// read returns log time without stamping: cheap enough for every read.
func (c *logClock) read() int64 {
	if wall := c.wall(); wall >= c.last.Load() && wall <= c.sure.Load() {
		return wall / int64(time.Millisecond)
	}
	return c.stamp()
}

// stamp returns log time for an entry: at least every stamp before, and every time raised to.
func (c *logClock) stamp() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, last := c.believed(), c.last.Load()
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

// believed returns the corrected wall clock, or the boot clock's word where that has leapt ahead. The caller holds mu.
func (c *logClock) believed() int64 {
	wall := c.wall()
	if wall <= c.sure.Load() {
		return wall
	}
	carried := c.checked + int64(c.source.Boot()-c.checkedAt)
	if wall-carried > int64(leapMax) {
		return carried
	}
	return wall
}

// correct takes what came of holding the wall clock, as it was seen, against others.
func (c *logClock) correct(seen time.Time, by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked, c.checkedAt = seen.Add(by).UnixNano(), c.source.Boot()
	c.offset.Store(int64(by))
	c.sure.Store(c.checked + int64(leapMax))
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

// CorrectClock has log time follow this node's wall clock with a correction, 0 unless the clock is known to be wrong,
// that was found when the clock showed what was seen. It holds until the next call. Once it was called it must be again
// and again, several times a second: what the clock does in between is believed only so far as the boot clock agrees.
func (s *Store) CorrectClock(seen time.Time, by time.Duration) { s.clock.correct(seen, by) }

// LogTime is log time as of what is applied here, zero before anything was.
func (s *Store) LogTime() time.Time {
	ms := s.state().LogTime()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
