package store

import (
	"context"

	"github.com/primatomic/primatomic/internal/clock"
)

// patience is how long one submission may wait in all, however many of its calls have to. It begins to
// run out with the first wait, so that what waits for nothing does not even look at the clock.
type patience struct {
	ctx   context.Context
	store *Store
	timer clock.Timer // nil before the first wait
	over  bool
}

func (s *Store) patience(ctx context.Context) patience { return patience{ctx: ctx, store: s} }

// wait waits for a value from done or its end; false means that the time is up, or that nobody wants to
// know any more.
func (p *patience) wait(done <-chan struct{}) bool {
	if p.over {
		return false
	}
	if p.timer == nil {
		p.timer = p.store.startTimer()
	}
	select {
	case <-done:
		return true
	case <-p.ctx.Done():
	case <-p.timer.C():
	}
	p.over = true
	return false
}

// end gives the timer back.
func (p *patience) end() {
	if p.timer != nil {
		p.timer.Stop()
		p.store.timers.Put(p.timer)
	}
}

// startTimer starts a timer that was used before, or a new one, which costs three allocations.
func (s *Store) startTimer() clock.Timer {
	t, again := s.timers.Get().(clock.Timer)
	if !again {
		return s.source.NewTimer(s.limits.Deadline)
	}
	t.Reset(s.limits.Deadline)
	return t
}
