package store

import (
	"slices"
	"sync"

	"github.com/primatomic/primatomic/command"
)

// ticks wakes readers that wait for log time to pass a deadline.
type ticks struct {
	mu      sync.Mutex
	waiting []tickWait // guarded by mu
}

type tickWait struct {
	due     int64 // log time in ms
	reached chan struct{}
}

// wait returns a channel that is closed when log time reaches due.
func (t *ticks) wait(due int64) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := tickWait{due, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	return w.reached
}

// leave takes back a wait that was given up. Otherwise, while no tick comes, those would pile up.
func (t *ticks) leave(reached <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = slices.DeleteFunc(t.waiting, func(w tickWait) bool { return w.reached == reached })
}

// reach wakes those who wait for now or earlier.
func (t *ticks) reach(now int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	still := t.waiting[:0]
	for _, w := range t.waiting {
		if w.due <= now {
			close(w.reached)
		} else {
			still = append(still, w)
		}
	}
	clear(t.waiting[len(still):])
	t.waiting = still
}

// tick commits an entry of log time due or later and waits until it is applied: a read has met a key
// whose deadline has passed by the clock but not by the log, and must not show it either way before the
// log says so.
func (s *Store) tick(p *patience, due int64) *command.Error {
	reached := s.ticks.wait(due)
	if s.state().LogTime() >= due {
		s.ticks.leave(reached)
		return nil
	}
	s.batcher.wantTick(due)
	if !p.wait(reached) {
		s.ticks.leave(reached)
		return errNotApplied
	}
	return nil
}
