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

// watch reads the counters at each interval until ctx ends.
func (m *meter) watch(ctx context.Context, c clock.Clock, read func() counts) {
	for {
		timer := c.NewTimer(meterInterval)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
		now := read()
		m.mu.Lock()
		m.rate = counts{now.calls - m.last.calls, now.in - m.last.in, now.out - m.last.out}
		m.last = now
		m.mu.Unlock()
	}
}
