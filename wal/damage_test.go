package wal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// damageLog makes a log of a few segments and returns its file system, its model and its segments.
func damageLog(t *testing.T, sealed bool) (*vfs.Mem, *history, []*segment, int64) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	h := &history{acked: model{}}
	for i, size := range []int{10, 600, 0, 100, 1500, 30, 8500, 1200, 700, 1} {
		data := make([]byte, size) // zeros: what a lazy check takes for sectors that were not written
		rec := &Record{Group: GroupID(1 + i%2), HardState: HardState{Term: 1}}
		rec.Entries = []Entry{{Term: 1, Index: 1 + uint64(i/2), Data: data}}
		must(t, l.Append(rec))
		h.acked.append(rec)
		must(t, l.Sync())
	}
	if sealed {
		must(t, l.Seal())
	}
	if len(l.segs) != 2 {
		t.Fatalf("%d segments", len(l.segs))
	}
	return mem.Crash(), h, l.segs, l.end
}

func contents(t testing.TB, mem *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := mem.OpenRead(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	must(t, readFull(f, p, 0))
	return p
}

// frameOf returns where the frame that an offset lies in starts, or 0 for the header.
func frameOf(t *testing.T, seg *segment, offset int64) int64 {
	r := newFrameReader(vfs.SectorBytes)
	r.reset(seg, nil)
	at := int64(0)
	for next := int64(headerBytes); next <= offset; {
		at = next
		size, v, _, err := r.size(at)
		must(t, err)
		if v != whole {
			break
		}
		next = at + int64(size)
	}
	return at
}

// TestFlippedBits flips a bit in bytes that were written, all of them if it shall be deep, and in some that
// were not. Below the last sync each must be reported where it is, and nothing be changed; behind it each
// must be harmless.
func TestFlippedBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(testSeed(t), 0))
	for _, sealed := range []bool{false, true} {
		mem, h, segs, end := damageLog(t, sealed)
		for i, seg := range segs {
			limit := end
			if i < len(segs)-1 {
				limit = frameOf(t, seg, seg.size)
			}
			step := stride(9)
			for offset := int64(rng.IntN(step)); offset < seg.size; offset += int64(step) {
				if used := offset < 576 || offset >= headerBytes && offset < limit; !used && offset%53 != 0 {
					continue
				}
				if !sealed && offset < end-1000 { // the seal makes no difference there
					continue
				}
				left := mem.Crash()
				must(t, left.FlipBit(seg.name, offset, uint(rng.IntN(8))))
				damaged := contents(t, left, seg.name)
				l, rec, err := Open(testOptions(left))
				var damage *CorruptError
				switch {
				case err == nil && offset >= limit:
					must(t, h.check(l, rec))
					must(t, l.Close())
				case !errors.As(err, &damage):
					t.Fatalf("bit flipped in %s at %d (sealed %v): %v", seg.name, offset, sealed, err)
				case damage.File != seg.name || damage.Offset > offset || damage.Offset < frameOf(t, seg, offset):
					t.Fatalf("bit flipped in %s at %d (sealed %v): reported as %v", seg.name, offset, sealed, err)
				case !bytes.Equal(damaged, contents(t, left, seg.name)):
					t.Fatalf("bit flipped in %s at %d: the file was changed", seg.name, offset)
				}
				if err != nil && offset%41 == 0 {
					checkReports(t, left, damage)
				}
			}
		}
	}
}

// checkReports says that an offline check finds the same damage and changes nothing.
func checkReports(t *testing.T, mem *vfs.Mem, want *CorruptError) {
	t.Helper()
	before := contents(t, mem, want.File)
	var found []Finding
	_, err := Check(mem, "wal", func(f Finding) {
		if f.Damage {
			found = append(found, f)
		}
	})
	var damage *CorruptError
	if !errors.As(err, &damage) || *damage != *want || len(found) == 0 || found[0].Offset != want.Offset {
		t.Fatalf("check says %v and %v, start says %v", err, found, want)
	}
	if !bytes.Equal(before, contents(t, mem, want.File)) {
		t.Fatal("check changed the log")
	}
}

// TestZeroedSectors wipes one sector after the other, as a disk that loses a write does. That looks like a
// crash, so it takes a later frame, segment or seal to prove the damage; with one none may be cut.
func TestZeroedSectors(t *testing.T) {
	mem, _, segs, end := damageLog(t, true)
	for i, seg := range segs {
		limit := frameOf(t, seg, seg.size)
		if i == len(segs)-1 {
			limit = frameOf(t, seg, frameOf(t, seg, end-1)-1) // the two seals, which nothing proves
		}
		for offset := int64(0); offset < limit; offset += vfs.SectorBytes {
			if offset >= 2*vfs.SectorBytes && offset < headerBytes {
				continue // zeros already
			}
			left := mem.Crash()
			f, err := left.OpenWrite(seg.name)
			must(t, err)
			_, err = f.WriteAt(make([]byte, vfs.SectorBytes), offset)
			must(t, err)
			must(t, f.Sync())
			_, _, err = Open(testOptions(left))
			var damage *CorruptError
			if !errors.As(err, &damage) || damage.File != seg.name || damage.Offset > offset+vfs.SectorBytes {
				t.Fatalf("sector wiped in %s at %d: %v", seg.name, offset, err)
			}
		}
	}
}

// TestTornTailIsCut shows that the tests above do not pass because nothing is ever cut.
func TestTornTailIsCut(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(record(1, 1, 1, 1, 100)))
	must(t, l.Sync())
	end := l.end
	must(t, l.Append(record(1, 1, 2, 1, 3000)))
	must(t, l.flush())
	cuts, whole := 0, 0
	for range 200 {
		left := mem.Crash()
		l, rec := mustOpen(t, testOptions(left))
		wantEntries(t, l, 1, entries(1, 1, 1, 100))
		switch torn := rec.TornTail; {
		case torn != nil:
			cuts++
			if l.batch < 4 { // the one that was cut had 2, the seal has taken one
				t.Fatalf("batch %d may be one that was seen", l.batch)
			}
			if torn.Offset != end || torn.File != segmentName("wal", 1) || torn.Reason == "" {
				t.Fatalf("torn tail %+v, want it at %d", torn, end)
			}
			if size, err := left.Stat(torn.Copy); err != nil || size != torn.Bytes || size > 3200 {
				t.Fatalf("the copy has %d bytes, %v", size, err)
			}
		case rec.Groups[1].Last == 2:
			whole++
			wantEntries(t, l, 1, entries(1, 2, 1, 3000))
		}
		must(t, l.Append(record(1, 2, rec.Groups[1].Last+1, 1, 10)))
		must(t, l.Close())
		mustOpen(t, testOptions(left))
	}
	if cuts == 0 || whole == 0 {
		t.Fatalf("%d torn, %d whole: the crashes show nothing", cuts, whole)
	}
}

// TestReadDetectsDamage flips bits while the log is open: a follower must never be sent what rotted.
func TestReadDetectsDamage(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(record(1, 1, 1, 3, 200)))
	must(t, l.Sync())
	for offset := int64(headerBytes); offset < l.end; offset += 3 {
		must(t, mem.FlipBit(l.current().name, offset, uint(offset%8)))
		got, err := l.Entries(1, 1, 4, 1<<20, nil)
		var damage *CorruptError
		if !errors.As(err, &damage) && (offset < l.end-align || err != nil) { // the last word may be padding
			t.Fatalf("bit flipped at %d: %d entries, %v", offset, len(got), err)
		}
		must(t, mem.FlipBit(l.current().name, offset, uint(offset%8)))
	}
	wantEntries(t, l, 1, entries(1, 1, 3, 200))
}

func TestMissingSegment(t *testing.T) {
	for _, missing := range []uint64{1, 2, 3} {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		for i := uint64(1); i <= 40; i++ {
			must(t, l.Append(record(1, 1, i, 1, 1000)))
		}
		must(t, l.Close())
		must(t, mem.Remove(segmentName("wal", missing)))
		_, _, err := Open(testOptions(mem))
		var damage *CorruptError
		if !errors.As(err, &damage) {
			t.Fatalf("without segment %d: %v", missing, err)
		}
	}
}

// TestMissingVote loses a segment that holds nothing but a vote, which nobody would miss but for the floor.
func TestMissingVote(t *testing.T) {
	mem := vfs.NewMem(1)
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(&Record{Group: 2, HardState: HardState{Term: 9, Vote: 2}}))
	must(t, l.Append(record(1, 1, 1, 1, testSegmentBytes)))
	must(t, l.syncCurrent()) // Sync would state the vote again and remove the segment itself
	left := mem.Crash()
	must(t, left.Remove(segmentName("wal", 1)))
	_, _, err := Open(testOptions(left))
	var damage *CorruptError
	if !errors.As(err, &damage) {
		t.Fatalf("without the vote: %v", err)
	}
}

// TestDamagedEndOfSegment damages the last frame of a segment in ways that look like a write that never
// finished, and leaves of the next one more or less.
func TestDamagedEndOfSegment(t *testing.T) {
	wipe := func(mem *vfs.Mem, name string, from, to int64) {
		f, err := mem.OpenWrite(name)
		must(t, err)
		_, err = f.WriteAt(make([]byte, to-from), from)
		must(t, err)
	}
	mem, _, segs, _ := damageLog(t, true)
	end := frameOf(t, segs[0], segs[0].size)
	last := frameOf(t, segs[0], end-1)
	cases := map[string]func(*vfs.Mem){
		"without its size": func(m *vfs.Mem) {
			wipe(m, segs[0].name, last, last+wordBytes)
			wipe(m, segs[1].name, headerBytes, segs[1].size)
		},
		"gone": func(m *vfs.Mem) { wipe(m, segs[0].name, last, end) },
		"torn": func(m *vfs.Mem) { wipe(m, segs[0].name, last, sectorEnd(last)) },
		"torn, and the next one too": func(m *vfs.Mem) {
			wipe(m, segs[0].name, last, sectorEnd(last))
			wipe(m, segs[1].name, headerBytes+vfs.SectorBytes, segs[1].size)
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			left := mem.Crash()
			damage(left)
			_, _, err := Open(testOptions(left))
			var got *CorruptError
			if !errors.As(err, &got) || got.File != segs[0].name || got.Offset != last {
				t.Fatalf("damage at %d is reported as %v", last, err)
			}
		})
	}
}

func TestForeignLog(t *testing.T) {
	mem := vfs.NewMem(1)
	o := testOptions(mem)
	o.ID = [16]byte{1}
	l, _ := mustOpen(t, o)
	_, _, err := Open(o)
	wantError(t, err, vfs.ErrLocked)
	must(t, l.Close())
	o.ID = [16]byte{2}
	_, _, err = Open(o)
	wantError(t, err, ErrForeign)
	o.ID = [16]byte{}
	l, _ = mustOpen(t, o)
	must(t, l.Close())
}
