package clock

import (
	"slices"
	"sync"
	"time"
)

// Fake is a clock that stands still until Advance moves it. Its boot time starts at zero.
type Fake struct {
	mu      sync.Mutex
	changed *sync.Cond // the set of running timers changed
	wall    time.Time
	boot    time.Duration
	timers  []*fakeTimer // running ones, in the order in which they were started
}

// NewFake returns a fake clock whose wall time is t.
func NewFake(t time.Time) *Fake {
	f := &Fake{wall: t}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Now returns the fake wall time.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wall
}

// Boot returns the sum of all advances.
func (f *Fake) Boot() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.boot
}

// Advance moves both clocks on by d and fires, in the order of their deadlines, the timers that are due.
// When a timer fires, the clocks show its deadline. It panics if d is negative.
func (f *Fake) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: negative advance")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.boot + d
	for {
		next := f.earliest()
		if next == nil || next.deadline > end {
			break
		}
		f.step(max(next.deadline, f.boot))
		f.fire(next)
	}
	f.step(end)
}

// Step moves both clocks on by at most d, up to the first timer that is due, fires that one alone, and returns what
// is left of d. It panics if d is negative.
func (f *Fake) Step(d time.Duration) (left time.Duration) {
	if d < 0 {
		panic("clock: negative step")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.boot + d
	next := f.earliest()
	if next == nil || next.deadline > end {
		f.step(end)
		return 0
	}
	f.step(max(next.deadline, f.boot))
	f.fire(next)
	return end - f.boot
}

// Jump moves the wall clock alone, either way, as an operator or NTP does. Timers do not notice.
func (f *Fake) Jump(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall = f.wall.Add(d)
}

// WaitTimers blocks until at least n timers are running, so that a test may advance the clock knowing that
// the code under test already waits.
func (f *Fake) WaitTimers(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.timers) < n {
		f.changed.Wait()
	}
}

// NewTimer makes a timer that fires when Advance reaches its deadline.
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{clock: f, c: make(chan time.Time, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start(t, d)
	return t
}

// earliest returns the running timer with the lowest deadline, the one started first among equals.
func (f *Fake) earliest() *fakeTimer {
	var first *fakeTimer
	for _, t := range f.timers {
		if first == nil || t.deadline < first.deadline {
			first = t
		}
	}
	return first
}

func (f *Fake) step(boot time.Duration) {
	f.wall = f.wall.Add(boot - f.boot)
	f.boot = boot
}

func (f *Fake) start(t *fakeTimer, d time.Duration) {
	t.deadline = f.boot + d
	f.timers = append(f.timers, t)
	f.changed.Broadcast()
	if d <= 0 {
		f.fire(t)
	}
}

func (f *Fake) fire(t *fakeTimer) {
	f.remove(t)
	t.c <- f.wall
}

func (f *Fake) remove(t *fakeTimer) bool {
	i := slices.Index(f.timers, t)
	if i < 0 {
		return false
	}
	f.timers = slices.Delete(f.timers, i, i+1)
	f.changed.Broadcast()
	return true
}

// fakeTimer's fields are guarded by clock.mu. Its channel holds at most the one value of its last firing.
type fakeTimer struct {
	clock    *Fake
	c        chan time.Time
	deadline time.Duration
}

func (t *fakeTimer) C() <-chan time.Time { return t.c }

func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.halt()
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	running := t.halt()
	t.clock.start(t, d)
	return running
}

func (t *fakeTimer) halt() bool {
	running := t.clock.remove(t)
	select {
	case <-t.c:
	default:
	}
	return running
}
