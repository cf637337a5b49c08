package server

import (
	"context"
	"sync"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// meterInterval is the window of the rates that INFO tells.
const meterInterval = time.Second

// counts are the counters that rates are taken of.
type counts struct{ calls, in, out uint64 }

// meter turns counters into rates per second.
type meter struct {
	mu   sync.Mutex
	last counts // guarded by mu
	rate counts // guarded by mu
}

// rates returns the rates of the latest whole window.
func (m *meter) rates() counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rate
}

// sample takes the counters at the end of a window.
func (m *meter) sample(now counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate = counts{now.calls - m.last.calls, now.in - m.last.in, now.out - m.last.out}
	m.last = now
}

// every calls fn at each interval until ctx ends.
func every(ctx context.Context, c clock.Clock, interval time.Duration, fn func()) {
	for {
		timer := c.NewTimer(interval)
		select {
		case <-timer.C():
			fn()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
