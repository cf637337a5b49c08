package wal

import (
	"bytes"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// FuzzFrames replays a segment made of hostile frames that match all their checks and CRCs: what is inside
// must never cause a panic, nor lead readers to anything but entries and errors. Input: frames, each led by
// its length in two bytes; size, check, CRC and chain are put right.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{})
	seed := func(recs ...*Record) []byte {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(f, testOptions(mem))
		for _, rec := range recs {
			must(f, l.Append(rec))
		}
		must(f, l.Close())
		return plainFrames(f, l)
	}
	f.Add(seed(record(1, 1, 1, 2, 10)))
	f.Add(seed(record(1, 1, 1, 3, 0), record(2, 1, 1, 1, 5), record(1, 2, 3, 1, 9)))
	f.Add(seed(record(1, 1, 1, 3, 0), &Record{Group: 1, HardState: HardState{Term: 2, Commit: 9},
		Snapshot: &SnapshotMark{9, 2}, Entries: entries(2, 10, 2, 3)}))
	f.Fuzz(func(t *testing.T, in []byte) {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		writePlain(t, l, in)
		l, _, err := Open(testOptions(mem.Crash()))
		if err != nil {
			return
		}
		for id, g := range l.groups {
			first, last := g.base.Index+1, g.last
			if got, err := l.Entries(id, first, last+1, 1<<20, nil); err == nil {
				for i := range got {
					if got[i].Index != first+uint64(i) {
						t.Fatalf("entry %d in the place of %d", got[i].Index, first+uint64(i))
					}
				}
			}
			_, _ = l.Term(id, last)
			_ = l.Rewrite(id)
			_ = l.Release(id, g.hard.Commit)
		}
		_ = l.Sync()
		_ = l.Close()
	})
}

// plainFrames returns the frames of a log's current segment in the form of the fuzz input.
func plainFrames(t testing.TB, l *Log) []byte {
	var out []byte
	seg := l.current()
	raw := make([]byte, seg.size)
	mem := l.fs.(*vfs.Mem)
	f, err := mem.OpenRead(seg.name)
	must(t, err)
	must(t, readFull(f, raw, 0))
	seg.xor(raw, raw, 0)
	for at := int64(headerBytes); at < l.end; {
		size := little.Uint32(raw[at:])
		out = append(out, byte(size), byte(size>>8))
		out = append(out, raw[at:at+int64(size)]...)
		at += int64(size)
	}
	return out
}

// writePlain writes frames in that form into the current segment.
func writePlain(t testing.TB, l *Log, in []byte) {
	seg, at, chain := l.current(), int64(headerBytes), uint32(0)
	for len(in) > 2 {
		size := int64(in[0]) | int64(in[1])<<8
		size = max(alignUp(size), sealBytes)
		frame := make([]byte, size)
		in = in[2+copy(frame, in[2:]):]
		if at+size > seg.size {
			return
		}
		putWord(frame, uint32(size), seg.check(at, uint32(size)))
		little.PutUint32(frame[12:], chain)
		body := frame[12:min(size, sealBytes)]
		if h := parseHead(frame); h.kind == kindState && size >= tableOffset {
			st := parseState(frame[headBytes:])
			body = frame[12:min(size, tableOffset+int64(st.count)*rowBytes)]
			fixRows(seg, frame, st)
		}
		chain = crc32.Update(seg.seed, castagnoli, body)
		little.PutUint32(frame[8:], chain)
		seg.xor(frame, frame, at)
		_, err := seg.file.WriteAt(frame, at)
		must(t, err)
		at += size
	}
}

// fixRows gives the entries of a frame the CRCs of what they claim as data.
func fixRows(seg *segment, frame []byte, st state) {
	at := tableOffset + int64(st.count)*rowBytes
	for i := range int64(st.count) {
		row := tableOffset + i*rowBytes
		if row+rowBytes > int64(len(frame)) {
			return
		}
		end := at + int64(parseRow(frame[row:]).size)
		if end > int64(len(frame)) {
			return
		}
		little.PutUint32(frame[row+12:], crc32.Update(seg.seed, castagnoli, frame[at:end]))
		at = end
	}
}

// FuzzMangledSegment changes bytes of a sound log: each three bytes of the input are an offset in steps of 4
// and a value to put there. The start must take it as it was, refuse it, or cut what nothing proved.
func FuzzMangledSegment(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 1})
	f.Add([]byte{4, 0, 0, 4, 2, 255})
	f.Add([]byte{4, 16, 0, 4, 17, 0, 4, 18, 0, 4, 19, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		mem := vfs.NewMem(1)
		l, _ := mustOpen(t, testOptions(mem))
		for i := uint64(1); i <= 5; i++ {
			must(t, l.Append(record(1, 1, i, 1, int(i)*50)))
		}
		must(t, l.Sync())
		name := l.current().name
		file, err := mem.OpenWrite(name)
		must(t, err)
		for ; len(in) >= 3; in = in[3:] {
			offset := (int64(in[0])<<8 | int64(in[1])) * 4
			if offset < testSegmentBytes {
				_, err := file.WriteAt(in[2:3], offset)
				must(t, err)
			}
		}
		must(t, file.Sync())
		left := mem.Crash()
		before := contents(t, left, name)
		l, rec, err := Open(testOptions(left))
		var damage *CorruptError
		switch {
		case err == nil && rec.Groups[1].Last > 0:
			wantEntries(t, l, 1, func() (want []Entry) {
				for i := uint64(1); i <= rec.Groups[1].Last; i++ {
					want = append(want, entries(1, i, 1, int(i)*50)...)
				}
				return want
			}())
		case err == nil:
		case !errors.As(err, &damage) && !errors.Is(err, ErrFormat):
			t.Fatal(err)
		case !bytes.Equal(before, contents(t, left, name)):
			t.Fatal("a refused log was changed")
		}
	})
}
