package engine

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

const benchKeys = 1_000_000

// benchKey writes the i-th key, 16 bytes in no order, into buf.
func benchKey(buf []byte, i int) []byte {
	const digits = "0123456789abcdef"
	x := mix(uint64(i) + 1)
	for j := range 16 {
		buf[j] = digits[x>>(4*j)&15]
	}
	return buf[:16]
}

// filled returns a state with n keys of 16 + valueLen bytes.
func filled(b testing.TB, n, valueLen int) *State {
	s := newState()
	fill(b, s, n, valueLen)
	return s
}

func fill(b testing.TB, s *State, n, valueLen int) {
	key, value := make([]byte, 16), make([]byte, valueLen)
	for i := 0; i < n; {
		batch := s.Begin(1, 0)
		for range min(1000, n-i) {
			set(b, batch, benchKey(key, i), value)
			i++
		}
		batch.End()
	}
}

func set(b testing.TB, batch *Batch, key, value []byte) {
	tx, err := batch.Tx(tenant, db0)
	if err != nil {
		b.Fatal(err)
	}
	tx.Set(key, value, 0)
	tx.Commit()
}

// each runs op b.N times in batches of 100 calls.
func inBatches(b *testing.B, s *State, op func(batch *Batch, i int)) {
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		batch := s.Begin(1, 0)
		for range min(100, b.N-i) {
			op(batch, i)
			i++
		}
		batch.End()
	}
}

func BenchmarkSetExisting(b *testing.B) {
	s := filled(b, benchKeys, 64)
	key, value := make([]byte, 16), make([]byte, 64)
	inBatches(b, s, func(batch *Batch, i int) {
		set(b, batch, benchKey(key, i*7919%benchKeys), value)
	})
}

func BenchmarkSetNew(b *testing.B) {
	s := filled(b, benchKeys, 64)
	key, value := make([]byte, 16), make([]byte, 64)
	inBatches(b, s, func(batch *Batch, i int) { set(b, batch, benchKey(key, benchKeys+i), value) })
}

func BenchmarkSetNewInReplay(b *testing.B) {
	s := filled(b, benchKeys, 64)
	s.BeginReplay()
	key, value := make([]byte, 16), make([]byte, 64)
	inBatches(b, s, func(batch *Batch, i int) { set(b, batch, benchKey(key, benchKeys+i), value) })
}

func BenchmarkSetNewWithDeadline(b *testing.B) {
	s := filled(b, benchKeys, 64)
	key, value := make([]byte, 16), make([]byte, 64)
	inBatches(b, s, func(batch *Batch, i int) {
		tx, _ := batch.Tx(tenant, db0)
		tx.Set(benchKey(key, benchKeys+i), value, int64(1000+i))
		tx.Commit()
	})
}

func BenchmarkDelete(b *testing.B) {
	s := filled(b, benchKeys+b.N, 64)
	key := make([]byte, 16)
	inBatches(b, s, func(batch *Batch, i int) {
		tx, _ := batch.Tx(tenant, db0)
		tx.Delete(benchKey(key, i))
		tx.Commit()
	})
}

// BenchmarkSetDuringSnapshot overwrites keys of which the snapshot needs pre-images: its walk stands still.
func BenchmarkSetDuringSnapshot(b *testing.B) {
	s := filled(b, benchKeys, 64)
	p := s.Snapshot()
	defer p.Close()
	key, value := make([]byte, 16), make([]byte, 64)
	inBatches(b, s, func(batch *Batch, i int) {
		set(b, batch, benchKey(key, i*7919%benchKeys), value)
	})
}

func BenchmarkSnapshotWalk(b *testing.B) {
	s := filled(b, benchKeys, 64)
	b.ReportAllocs()
	for b.Loop() {
		p := s.Snapshot()
		for done := false; !done; {
			done, _ = p.Next(discard{})
		}
		p.Close()
	}
}

type discard struct{}

func (discard) Section(uint64, []byte) error { return nil }
func (discard) Put(_, _ []byte) error        { return nil }

func BenchmarkGet(b *testing.B) {
	s := filled(b, benchKeys, 64)
	key := make([]byte, 16)
	sum := 0
	read := func(v *View) {
		if it, ok := v.Lookup(key); ok {
			sum += it.Len()
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		benchKey(key, i*7919%benchKeys)
		if _, err := s.Read(tenant, db0, 1, read); err != nil {
			b.Fatal(err)
		}
	}
	if sum != 64*b.N {
		b.Fatal("keys are missing")
	}
}

// BenchmarkSetBySize overwrites values around the bound between the two representations.
func BenchmarkSetBySize(b *testing.B) {
	for _, size := range []int{256, 512, 1024, 1025, 2048, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := filled(b, 10_000, size)
			key, value := make([]byte, 16), make([]byte, size)
			inBatches(b, s, func(batch *Batch, i int) {
				set(b, batch, benchKey(key, i*7919%10_000), value)
			})
		})
	}
}

func BenchmarkEndReplay(b *testing.B) {
	s := filled(b, benchKeys, 64)
	for b.Loop() {
		s.BeginReplay()
		s.EndReplay()
	}
}

// BenchmarkMemory reports what a key of 16 + 64 bytes costs: filled in random order, then after every
// value has grown once.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := heapBytes()
		s := filled(b, benchKeys, 64)
		b.ReportMetric(float64(heapBytes()-before)/benchKeys, "B/key")
		b.ReportMetric(float64(residentBytes())/1e6, "MB-resident")
		s.BeginReplay()
		b.ReportMetric(float64(heapBytes()-before)/benchKeys, "B/key-unordered")
		s.EndReplay()
		b.ReportMetric(float64(heapBytes()-before)/benchKeys, "B/key-rebuilt")
		fill(b, s, benchKeys, 96)
		b.ReportMetric(float64(heapBytes()-before)/benchKeys-32, "B/key-grown-less-32")
		runtime.KeepAlive(s)
	}
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// residentBytes reads VmRSS of this process, 0 where there is none.
func residentBytes() (size int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscanf(rest, "%d kB", &size)
		}
	}
	return size * 1024
}

// BenchmarkHash is what each call pays for SipHash-2-4 of a 16-byte key.
func BenchmarkHash(b *testing.B) {
	x := newIndex([16]byte{1})
	key := make([]byte, 16)
	for i := 0; b.Loop(); i++ {
		binary.LittleEndian.PutUint64(key, uint64(i))
		x.hash(key)
	}
}
