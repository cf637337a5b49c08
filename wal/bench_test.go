package wal

import (
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// benchLog opens a log on the file system of the machine and releases everything as it goes.
func benchLog(b *testing.B) *Log {
	l, _ := mustOpen(b, Options{FS: vfs.OS, Dir: b.TempDir()})
	b.Cleanup(func() { must(b, l.Close()) })
	return l
}

func benchAppend(b *testing.B, size, perSync int) {
	l := benchLog(b)
	data := make([]byte, size)
	rec := &Record{Group: 1, HardState: HardState{Term: 1}, Entries: []Entry{{Term: 1, Data: data}}}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		rec.Entries[0].Index, rec.HardState.Commit = n, n-1
		must(b, l.Append(rec))
		if n%uint64(perSync) == 0 {
			if n > 1 {
				must(b, l.Release(1, n-1))
			}
			must(b, l.Sync())
		}
	}
}

func BenchmarkAppendSync256(b *testing.B)  { benchAppend(b, 256, 1) }
func BenchmarkAppendSync256K(b *testing.B) { benchAppend(b, 256<<10, 1) }
func BenchmarkAppend256(b *testing.B)      { benchAppend(b, 256, 10000) }
func BenchmarkAppend16M(b *testing.B)      { benchAppend(b, 16<<20, 8) }

func BenchmarkEntries(b *testing.B) {
	l := benchLog(b)
	const count = 10000
	for i := uint64(1); i <= count; i++ {
		must(b, l.Append(record(1, 1, i, 1, 256)))
	}
	must(b, l.Sync())
	var buf []Entry
	b.SetBytes(256 * 1000)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = l.Entries(1, 4000, 5000, 1<<30, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen64M(b *testing.B) {
	o := Options{FS: vfs.OS, Dir: b.TempDir()}
	l, _ := mustOpen(b, o)
	for i := uint64(1); i <= 60000; i++ {
		must(b, l.Append(record(1, 1, i, 1, 900)))
	}
	must(b, l.Close())
	b.SetBytes(60000 * 1000)
	for b.Loop() {
		l, _ := mustOpen(b, o)
		must(b, l.Close())
	}
}
