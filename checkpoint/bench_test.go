package checkpoint

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// workload is a number of keys of 16 random bytes, in order, with values of the same length.
type workload struct {
	keys  []uint64
	value []byte
}

func newWorkload(keys, valueBytes int) workload {
	random := rand.New(rand.NewPCG(1, 2))
	w := workload{value: make([]byte, valueBytes)}
	for range keys {
		w.keys = append(w.keys, random.Uint64())
	}
	slices.Sort(w.keys)
	return w
}

func (l workload) write(b *testing.B, dir string, index uint64, pace func(int)) Info {
	w, err := Create(dir, Meta{Index: index})
	if err != nil {
		b.Fatal(err)
	}
	w.Pace = pace
	if err := w.Section(1, nil); err != nil {
		b.Fatal(err)
	}
	var key [16]byte
	for _, k := range l.keys {
		binary.BigEndian.PutUint64(key[:], k)
		binary.BigEndian.PutUint64(key[8:], k)
		if err := w.Put(key[:], l.value); err != nil {
			b.Fatal(err)
		}
	}
	info, err := w.Commit(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return info
}

var workloads = []struct{ keys, valueBytes int }{{1_000_000, 64}, {16_000, 8 << 10}, {160, 1 << 20}, {10, 16 << 20}}

func BenchmarkWrite(b *testing.B) {
	for _, l := range workloads {
		b.Run(fmt.Sprintf("keys=%d/value=%d", l.keys, l.valueBytes), func(b *testing.B) {
			load, dir := newWorkload(l.keys, l.valueBytes), b.TempDir()
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			base, peak := m.HeapInuse, uint64(0)
			pace := func(int) {
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
			var info Info
			for index := uint64(1); b.Loop(); index++ {
				info = load.write(b, dir, index, pace)
				b.StopTimer()
				if err := Remove(info); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(peak-base)/1e6, "peak-heap-MB")
			b.ReportMetric(float64(info.Bytes)/1e6, "file-MB")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, l := range workloads {
		b.Run(fmt.Sprintf("keys=%d/value=%d", l.keys, l.valueBytes), func(b *testing.B) {
			info := newWorkload(l.keys, l.valueBytes).write(b, b.TempDir(), 1, nil)
			var verifying time.Duration
			for b.Loop() {
				start := time.Now()
				r, err := Open(info.Path)
				if err != nil {
					b.Fatal(err)
				}
				verifying += time.Since(start)
				err = r.Sections(func(uint64, []byte) error { return nil }, func(_, _ []byte) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				r.Close()
			}
			b.ReportMetric(verifying.Seconds()*1000/float64(b.N), "verify-ms/op")
		})
	}
}
