package main

import (
	"context"
	"sync"
	"time"
)

// writes is a client that makes one write after the other, and notes how long none is acknowledged.
type writes struct {
	write func(context.Context) error
	stop  context.CancelFunc
	work  sync.WaitGroup

	mu           sync.Mutex
	acknowledged int           // guarded by mu
	failed       int           // since begin; guarded by mu
	last         time.Time     // when the latest was acknowledged; guarded by mu
	gap          time.Duration // longest since begin; guarded by mu
}

// writeAgain keeps a client whose writes fail at once from keeping the machine busy.
const writeAgain = time.Millisecond

func watchWrites(write func(context.Context) error) *writes {
	ctx, stop := context.WithCancel(context.Background())
	w := &writes{write: write, stop: stop, last: time.Now()}
	w.work.Go(func() {
		for ctx.Err() == nil {
			if err := write(ctx); err != nil {
				w.miss()
				time.Sleep(writeAgain)
				continue
			}
			w.acknowledge(time.Now())
		}
	})
	return w
}

func (w *writes) acknowledge(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = max(w.gap, now.Sub(w.last))
	w.last = now
	w.acknowledged++
}

func (w *writes) miss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed++
}

// acknowledges waits until so many more writes are acknowledged.
func (w *writes) acknowledges(more int) error {
	done := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.acknowledged
	}
	goal := done() + more
	return eventually("acknowledged writes", func() bool { return done() >= goal })
}

// begin forgets what was before.
func (w *writes) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap, w.failed = 0, 0
}

// end ends the client and tells what it has seen since begin.
func (w *writes) end() (gap time.Duration, failed int) {
	w.mu.Lock()
	gap, failed = w.gap, w.failed
	w.mu.Unlock()
	w.stop()
	w.work.Wait()
	return gap, failed
}
