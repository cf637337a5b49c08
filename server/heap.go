package server

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The collector runs when the heap has grown by a part of what was live after its last run. Go's own
// default, the whole of it, would have a store of small items hold twice its data. heapGrowth keeps it to
// less where there is much data, and lets a small heap grow by heapSpareMin, so that a node with little
// data does not collect all the time.
const (
	heapGrowth   = 35 // percent
	heapSpareMin = 48 << 20
	heapInterval = 200 * time.Millisecond
)

// heapTuner sets the collector's pace by the live heap. GOGC in the environment switches it off.
type heapTuner struct {
	live    []metrics.Sample
	percent int
}

func newHeapTuner() *heapTuner {
	return &heapTuner{live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// tune sets the pace anew. It costs some microseconds.
func (t *heapTuner) tune() {
	if os.Getenv("GOGC") != "" {
		return
	}
	metrics.Read(t.live)
	live := max(t.live[0].Value.Uint64(), 1<<20)
	percent := max(heapGrowth, int(heapSpareMin*100/live))
	if percent != t.percent {
		t.percent = percent
		debug.SetGCPercent(percent)
	}
}
