package server

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Bounds of the buckets of a histogram: 8 us, 16 us, 32 us ... 4.2 s, and what is above.
const (
	bucketShift = 3
	bucketCount = 20
)

// histogram counts durations. Any goroutine may use it. Its size is a multiple of a cache line.
type histogram struct {
	counts [bucketCount + 1]atomic.Uint64
	sum    atomic.Uint64 // ns
	_      [2]uint64
}

// observe counts a duration n times.
func (h *histogram) observe(d time.Duration, n uint64) {
	d = max(d, 0)
	at := max(bits.Len64(uint64(d/time.Microsecond))-bucketShift, 0)
	h.counts[min(at, bucketCount)].Add(n)
	h.sum.Add(uint64(d) * n)
}

// tally is what a histogram has counted, or several.
type tally struct {
	counts [bucketCount + 1]uint64
	sum    uint64
}

func (t *tally) add(h *histogram) {
	for i := range h.counts {
		t.counts[i] += h.counts[i].Load()
	}
	t.sum += h.sum.Load()
}

// total returns how many durations were counted.
func (t *tally) total() (n uint64) {
	for _, count := range t.counts {
		n += count
	}
	return n
}

// cumulative returns the counts as Prometheus wants them: by the upper bound in seconds, each with those below.
func (t *tally) cumulative() map[float64]uint64 {
	buckets := make(map[float64]uint64, bucketCount)
	below := uint64(0)
	for i := range bucketCount {
		below += t.counts[i]
		bound := time.Microsecond << (bucketShift + i)
		buckets[bound.Seconds()] = below
	}
	return buckets
}

func (t *tally) seconds() float64 { return time.Duration(t.sum).Seconds() }
