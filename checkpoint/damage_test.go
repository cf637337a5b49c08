package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// pair is the content of the two files of a checkpoint.
type pair struct{ data, side []byte }

const (
	pairPath = "1-3-5.db"
	sidePath = "1-3-5.crc"
)

// soundPair is a checkpoint of more than 2 MiB.
func soundPair(t testing.TB) pair {
	c := sample(5)
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	c.Sections = append(c.Sections, contentSection{ID: 20, Items: []contentItem{{[]byte("long"), long}}})
	info, err := c.write(t.TempDir(), files{})
	if err != nil {
		t.Fatal(err)
	}
	return readPair(t, info.Path)
}

func readPair(t testing.TB, path string) pair {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.ReadFile(sumsPath(path))
	if err != nil {
		t.Fatal(err)
	}
	return pair{data, side}
}

// put writes the files to a directory; a nil content is a missing file. It returns the path for Open.
func (p pair) put(t testing.TB, dir string) string {
	for name, content := range map[string][]byte{pairPath: p.data, sidePath: p.side} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if content == nil {
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, pairPath)
}

func flip(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 0x10
	return c
}

func TestDamageIsRefused(t *testing.T) {
	sound := soundPair(t)
	n, m := len(sound.data), len(sound.side)
	if n < 2*sumBytes+2 {
		t.Fatalf("the sample has only %d bytes", n)
	}
	tail := int64((n - 1) / sumBytes * sumBytes)
	type damage struct {
		name   string
		pair   pair
		file   string
		offset int64
	}
	tests := []damage{
		{"first byte", pair{flip(sound.data, 0), sound.side}, pairPath, 0},
		{"first meta page", pair{flip(sound.data, 40), sound.side}, pairPath, 0},
		{"second meta page", pair{flip(sound.data, pageBytes+40), sound.side}, pairPath, 0},
		{"last byte of a MiB", pair{flip(sound.data, sumBytes-1), sound.side}, pairPath, 0},
		{"first byte of a MiB", pair{flip(sound.data, sumBytes), sound.side}, pairPath, sumBytes},
		{"middle", pair{flip(sound.data, sumBytes+sumBytes/2), sound.side}, pairPath, sumBytes},
		{"last byte", pair{flip(sound.data, n-1), sound.side}, pairPath, tail},
		{"one byte short", pair{sound.data[:n-1], sound.side}, pairPath, int64(n - 1)},
		{"a MiB short", pair{sound.data[:sumBytes], sound.side}, pairPath, sumBytes},
		{"empty", pair{[]byte{}, sound.side}, pairPath, 0},
		{"one byte long", pair{append(bytes.Clone(sound.data), 0), sound.side}, pairPath, int64(n)},
		{"a page long", pair{slices.Concat(sound.data, make([]byte, pageBytes)), sound.side}, pairPath, int64(n)},
		{"two pages exchanged", pair{exchange(sound.data, 2*pageBytes, 3*pageBytes), sound.side}, pairPath, 0},
		{"zeroed page", pair{zeroed(sound.data, sumBytes, pageBytes), sound.side}, pairPath, sumBytes},
		{"side file missing", pair{sound.data, nil}, sidePath, 0},
		{"side file empty", pair{sound.data, []byte{}}, sidePath, 0},
		{"side file cut in its header", pair{sound.data, sound.side[:10]}, sidePath, 10},
		{"side file cut", pair{sound.data, sound.side[:m-4]}, sidePath, int64(m - 8)},
		{"side file long", pair{sound.data, append(bytes.Clone(sound.side), 0)}, sidePath, int64(m - 3)},
		{"side file of another kind", pair{sound.data, resealed(flip(sound.side, 0))}, sidePath, 0},
		{"side file of another length", pair{sound.data, resealed(flip(sound.side, 12))}, sidePath, 12},
	}
	for at := range m {
		tests = append(tests, damage{
			fmt.Sprintf("side file byte %d", at), pair{sound.data, flip(sound.side, at)}, sidePath, int64(m - 4),
		})
	}
	dir := t.TempDir()
	for _, tt := range tests {
		requireDamage(t, tt.name, tt.pair.put(t, dir), tt.file, tt.offset)
	}
}

// requireDamage expects Open and Check to name the damaged file and offset.
func requireDamage(t *testing.T, name, path, file string, offset int64) {
	t.Helper()
	_, err := Check(path)
	var damage *CorruptError
	if !errors.As(err, &damage) {
		t.Errorf("%s: Check = %v, want a CorruptError", name, err)
		return
	}
	if filepath.Base(damage.File) != file || damage.Offset != offset {
		t.Errorf("%s: reported at %s byte %d, want %s byte %d", name, damage.File, damage.Offset, file, offset)
	}
	for _, word := range []string{damage.File, fmt.Sprint(offset), "remove this node", "backup"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: the message lacks %q: %v", name, word, err)
		}
	}
}

func exchange(b []byte, i, j int) []byte {
	c := bytes.Clone(b)
	copy(c[i:i+pageBytes], b[j:j+pageBytes])
	copy(c[j:j+pageBytes], b[i:i+pageBytes])
	return c
}

func zeroed(b []byte, at, n int) []byte {
	c := bytes.Clone(b)
	clear(c[at : at+n])
	return c
}

// resealed gives a changed side file a trailer that matches.
func resealed(side []byte) []byte {
	body := side[:len(side)-4]
	return binary.BigEndian.AppendUint32(bytes.Clone(body), checksum(body))
}

// TestWrongContent has files whose checksums match: only what is inside is wrong.
func TestWrongContent(t *testing.T) {
	long := []byte{tagChunks, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0}
	type bucket = *bolt.Bucket
	tests := []struct {
		name   string
		bucket []byte
		edit   func(b bucket) error
	}{
		{"a key less", bucketData, func(b bucket) error { return b.Delete([]byte{0, 0, 0, 0, 'a'}) }},
		{"a key more", bucketData, func(b bucket) error { return b.Put([]byte{0, 0, 0, 1, 'a'}, []byte{0}) }},
		{"a key of no section", bucketData, func(b bucket) error { return b.Put([]byte{0, 0, 1, 0}, []byte{0}) }},
		{"a key of a short prefix", bucketData, func(b bucket) error { return b.Put([]byte{0}, []byte{0}) }},
		{"a section less", bucketSections, func(b bucket) error { return b.Delete([]byte{0, 0, 0, 1}) }},
		{"a short section", bucketSections, func(b bucket) error { return b.Put([]byte{0, 0, 0, 1}, nil) }},
		{"a chunk less", bucketLarge, func(b bucket) error { return b.Delete([]byte{0, 0, 0, 0, 0, 0, 0, 1}) }},
		{"a chunk more", bucketLarge, func(b bucket) error { return b.Put(long[:8], nil) }},
		{"an unknown form", bucketData, func(b bucket) error { return b.Put([]byte{0, 0, 0, 0, 'a'}, []byte{2}) }},
		{"no form", bucketData, func(b bucket) error { return b.Put([]byte{0, 0, 0, 0, 'a'}, nil) }},
		{"chunks elsewhere", bucketData, func(b bucket) error { return b.Put([]byte{0, 0, 0, 0, 'a'}, long) }},
		{"no data", bucketData, func(b bucket) error { return b.Tx().DeleteBucket(bucketData) }},
		{"no format", bucketMeta, func(b bucket) error { return b.Delete([]byte("format")) }},
		{"another index", bucketMeta, func(b bucket) error { return b.Put([]byte("index"), []byte("12345678")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := edited(t, func(tx *bolt.Tx) error { return tt.edit(tx.Bucket(tt.bucket)) })
			requireDamage(t, tt.name, path, pairPath, 0)
		})
	}
	t.Run("no bbolt file", func(t *testing.T) {
		path := pair{data: bytes.Repeat([]byte("no bbolt file "), 5000)}.put(t, t.TempDir())
		reseal(t, path)
		requireDamage(t, "no bbolt file", path, pairPath, 0)
	})
}

func TestNewerFormat(t *testing.T) {
	inside := edited(t, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put([]byte("format"), []byte{0, 0, 0, 0, 0, 0, 0, format + 1})
	})
	beside := soundPair(t)
	beside.side[11]++
	beside.side = resealed(beside.side)
	for _, path := range []string{inside, beside.put(t, t.TempDir())} {
		if _, err := Open(path); !errors.Is(err, ErrNewerFormat) {
			t.Errorf("Open = %v, want ErrNewerFormat", err)
		}
	}
}

// edited returns the path of a checkpoint that was changed through bbolt and given matching checksums.
func edited(t *testing.T, edit func(tx *bolt.Tx) error) string {
	info, err := sample(5).write(t.TempDir(), files{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(info.Path, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(edit); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	reseal(t, info.Path)
	return info.Path
}

func reseal(t *testing.T, path string) {
	s, err := computeSums(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sumsPath(path), s.encode(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzOpen changes a sound checkpoint: Open refuses every change as damage, and accepts the unchanged files.
func FuzzOpen(f *testing.F) {
	sound := soundPair(f)
	f.Add(false, uint32(0), uint32(0), []byte{})
	f.Add(false, uint32(4096), uint32(3), []byte{1, 2, 3})
	f.Add(false, uint32(1<<20), uint32(1<<31), []byte{})
	f.Add(true, uint32(8), uint32(4), []byte{0, 0, 0, 2})
	f.Add(true, uint32(0), uint32(1<<31), []byte("PATOMCRC"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, side bool, at, cut uint32, insert []byte) {
		changed := sound
		if side {
			changed.side = splice(sound.side, at, cut, insert)
		} else {
			changed.data = splice(sound.data, at, cut, insert)
		}
		r, err := Open(changed.put(t, dir))
		if err == nil {
			r.Close()
		}
		same := bytes.Equal(changed.data, sound.data) && bytes.Equal(changed.side, sound.side)
		var damage *CorruptError
		if same != (err == nil) || err != nil && !errors.As(err, &damage) && !errors.Is(err, ErrNewerFormat) {
			t.Fatalf("unchanged is %v, Open = %v", same, err)
		}
	})
}

// splice replaces the cut bytes from at on.
func splice(b []byte, at, cut uint32, insert []byte) []byte {
	start := min(int(at), len(b))
	end := min(start+int(cut), len(b))
	return append(append(bytes.Clone(b[:start]), insert...), b[end:]...)
}

// FuzzSums decodes arbitrary side files: never a panic, and what is accepted encodes to the same bytes.
func FuzzSums(f *testing.F) {
	f.Add(sums{}.encode())
	f.Add(sums{length: sumBytes + 1, crcs: []uint32{1, 2}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			b = resealed(b)
		}
		s, err := decodeSums("x.crc", b)
		if err == nil && !bytes.Equal(s.encode(), b) {
			t.Fatalf("decoded %v, which encodes to %x, not %x", s, s.encode(), b)
		}
	})
}
