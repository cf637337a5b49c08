package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// content is what a test writes and expects to read.
type content struct {
	Meta     Meta
	Sections []contentSection
}

type contentSection struct {
	ID     uint64
	Header []byte
	Items  []contentItem
}

type contentItem struct{ Key, Value []byte }

// write commits c to dir.
func (c content) write(dir string, f files) (Info, error) {
	w, err := f.create(dir, c.Meta)
	if err != nil {
		return Info{}, err
	}
	if err := c.fill(w); err != nil {
		w.Abort()
		return Info{}, err
	}
	return w.Commit(context.Background())
}

func (c content) fill(w *Writer) error {
	for _, s := range c.Sections {
		if err := w.Section(s.ID, s.Header); err != nil {
			return err
		}
		for _, it := range s.Items {
			if err := w.Put(it.Key, it.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// read opens a checkpoint and returns what it holds.
func read(path string) (content, error) {
	r, err := Open(path)
	if err != nil {
		return content{}, err
	}
	defer r.Close()
	c := content{Meta: r.Meta()}
	err = r.Sections(func(id uint64, header []byte) error {
		c.Sections = append(c.Sections, contentSection{ID: id, Header: bytes.Clone(header)})
		return nil
	}, func(key, value []byte) error {
		s := &c.Sections[len(c.Sections)-1]
		s.Items = append(s.Items, contentItem{bytes.Clone(key), bytes.Clone(value)})
		return nil
	})
	return c, err
}

func requireContent(t interface {
	Helper()
	Fatalf(string, ...any)
}, path string, want content) {
	t.Helper()
	got, err := read(path)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	if diff := difference(want, got); diff != "" {
		t.Fatalf("read %s: %s", path, diff)
	}
}

// difference says where two contents differ first. Nil and empty are the same.
func difference(want, got content) string {
	w, g := want.Meta, got.Meta
	if w.Group != g.Group || w.Term != g.Term || w.Index != g.Index || w.LogTime != g.LogTime ||
		!bytes.Equal(w.ConfState, g.ConfState) || !bytes.Equal(w.State, g.State) {
		return fmt.Sprintf("meta is %.200v, want %.200v", g, w)
	}
	if len(want.Sections) != len(got.Sections) {
		return fmt.Sprintf("%d sections, want %d", len(got.Sections), len(want.Sections))
	}
	for i, s := range want.Sections {
		g := got.Sections[i]
		if s.ID != g.ID || !bytes.Equal(s.Header, g.Header) || len(s.Items) != len(g.Items) {
			return fmt.Sprintf("section %d %q with %d keys, want %d %q with %d",
				g.ID, g.Header, len(g.Items), s.ID, s.Header, len(s.Items))
		}
		for j, it := range s.Items {
			if !bytes.Equal(it.Key, g.Items[j].Key) || !bytes.Equal(it.Value, g.Items[j].Value) {
				return fmt.Sprintf("section %d: %.40q %.40q, want %.40q %.40q",
					s.ID, g.Items[j].Key, g.Items[j].Value, it.Key, it.Value)
			}
		}
	}
	return ""
}

// sample is a small checkpoint with everything in it: an empty section, an empty key, empty and long values.
func sample(index uint64) content {
	return content{
		Meta: Meta{
			Group: 1, Term: 3, Index: index, LogTime: 1700000000123,
			ConfState: []byte{1, 2}, State: []byte("st"),
		},
		Sections: []contentSection{
			{ID: 0, Items: []contentItem{{nil, []byte("value of the empty key")}, {[]byte("a"), nil}}},
			{ID: 7, Header: []byte("empty")},
			{ID: 9, Header: []byte("long"), Items: []contentItem{
				{[]byte("at"), bytes.Repeat([]byte("x"), chunkBytes)},
				{[]byte("beyond"), bytes.Repeat([]byte("yz"), chunkBytes)},
				{bytes.Repeat([]byte("k"), 1024), []byte{0}},
			}},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		want := drawContent(t)
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		info, err := want.write(dir, files{})
		if err != nil {
			t.Fatal(err)
		}
		requireContent(t, info.Path, want)
		infos, err := List(dir)
		if err != nil || len(infos) != 1 || infos[0] != info {
			t.Fatalf("List = %v, %v; committed was %v", infos, err, info)
		}
	})
}

func drawContent(t *rapid.T) content {
	short := rapid.SliceOfN(rapid.Byte(), 0, 20)
	long := rapid.Map(rapid.IntRange(0, 5*chunkBytes), func(n int) []byte {
		return bytes.Repeat([]byte{byte(n)}, n)
	})
	c := content{Meta: Meta{
		Group: rapid.Uint64().Draw(t, "group"), Term: rapid.Uint64().Draw(t, "term"),
		Index: rapid.Uint64().Draw(t, "index"), LogTime: rapid.Int64().Draw(t, "log time"),
		ConfState: short.Draw(t, "conf state"), State: long.Draw(t, "state"),
	}}
	id := rapid.Uint64Range(0, 1<<40).Draw(t, "id")
	for range rapid.IntRange(0, 4).Draw(t, "sections") {
		s := contentSection{ID: id, Header: short.Draw(t, "header")}
		keys := rapid.MapOfN(rapid.StringN(0, 6, 12), rapid.OneOf(short, long), 0, 8).Draw(t, "keys")
		for _, key := range sortedKeys(keys) {
			s.Items = append(s.Items, contentItem{[]byte(key), keys[key]})
		}
		c.Sections = append(c.Sections, s)
		id += rapid.Uint64Range(1, 1<<40).Draw(t, "step")
	}
	return c
}

// TestLarge crosses the bounds of transactions in every way: many keys, long values, values of 16 MiB.
func TestLarge(t *testing.T) {
	c := sample(5)
	many := contentSection{ID: 10}
	for i := range 60000 {
		key := []byte{byte(i >> 16), byte(i >> 8), byte(i)}
		many.Items = append(many.Items, contentItem{key, bytes.Repeat(key, i%20)})
	}
	long := contentSection{ID: 11}
	for i := range 3 {
		value := bytes.Repeat([]byte{byte(i), 1, 2, 3}, 4<<20)
		long.Items = append(long.Items, contentItem{[]byte{byte(i)}, value})
	}
	c.Sections = append(c.Sections, many, long)
	dir := t.TempDir()
	paced := 0
	w, err := Create(dir, c.Meta)
	if err != nil {
		t.Fatal(err)
	}
	w.Pace = func(n int) {
		if paced += n; n > 2*txBytesMax {
			t.Errorf("%d bytes without a pause", n)
		}
	}
	if err := c.fill(w); err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	requireContent(t, info.Path, c)
	if paced < 2*48<<20 {
		t.Errorf("paced %d bytes: less than 48 MiB written and read back", paced)
	}
	if stored := int64(48<<20 + 60000*40); info.Bytes > stored*105/100 {
		t.Errorf("the files take %d bytes for about %d", info.Bytes, stored)
	}
}

func TestWriterRefuses(t *testing.T) {
	long := make([]byte, KeyBytesMax+1)
	tests := []struct {
		name string
		do   func(w *Writer) error
		want error // nil: any
	}{
		{"key before section", func(w *Writer) error { return w.Put(nil, nil) }, errOrder},
		{"same section twice", func(w *Writer) error {
			return errors.Join(w.Section(4, nil), w.Section(4, nil))
		}, errOrder},
		{"section descends", func(w *Writer) error {
			return errors.Join(w.Section(4, nil), w.Section(3, nil))
		}, errOrder},
		{"same key twice", func(w *Writer) error {
			return errors.Join(w.Section(4, nil), w.Put(nil, nil), w.Put(nil, nil))
		}, errOrder},
		{"key descends", func(w *Writer) error {
			return errors.Join(w.Section(4, nil), w.Put([]byte("b"), nil), w.Put([]byte("a"), nil))
		}, errOrder},
		{"long key", func(w *Writer) error { return errors.Join(w.Section(4, nil), w.Put(long, nil)) }, nil},
		{"long header", func(w *Writer) error { return w.Section(1, make([]byte, HeaderBytesMax+1)) }, nil},
		{"after abort", func(w *Writer) error { w.Abort(); return w.Section(1, nil) }, errFinished},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := Create(dir, Meta{Index: 1})
			if err != nil {
				t.Fatal(err)
			}
			err = tt.do(w)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if _, err := w.Commit(context.Background()); err == nil {
				t.Fatal("Commit after an error succeeds")
			}
			requireEmpty(t, dir)
		})
	}
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Fatalf("the directory holds %v (%v), want nothing", entries, err)
	}
}

func TestCancel(t *testing.T) {
	for _, pieces := range []int{0, 1, 2} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w, err := Create(dir, Meta{Index: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := sample(1).fill(w); err != nil {
			t.Fatal(err)
		}
		paced := 0
		w.Pace = func(int) {
			if paced++; paced >= pieces {
				cancel()
			}
		}
		if _, err := w.Commit(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("Commit = %v, want cancelled", err)
		}
		requireEmpty(t, dir)
	}
}

func TestCreateKeepsCommitted(t *testing.T) {
	dir := t.TempDir()
	info, err := sample(5).write(dir, files{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sample(5).write(dir, files{}); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second Create = %v, want ErrExist", err)
	}
	requireContent(t, info.Path, sample(5))
}

func TestListOrder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"1-2-9.db", "1-2-10.db", "2-1-1.db", "1-3-10.db", // listed
		"01-2-3.db", "1-2.db", "1-2-3.db.tmp", "1-2-3.crc", "x.db", "1-2-3-4.db", "-1-2-3.db", "1-2-3.db.bak",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	infos, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, info := range infos {
		got = append(got, filepath.Base(info.Path))
	}
	if diff := cmp.Diff([]string{"1-3-10.db", "1-2-10.db", "1-2-9.db", "2-1-1.db"}, got); diff != "" {
		t.Fatal(diff)
	}
	removed, err := Clean(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1-2-3.crc", "1-2-3.db.tmp"}, removed); diff != "" {
		t.Fatal(diff)
	}
	if infos, err := List(filepath.Join(dir, "missing")); err != nil || len(infos) != 0 {
		t.Fatalf("List of a missing directory = %v, %v", infos, err)
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	info, err := sample(5).write(dir, files{})
	if err != nil {
		t.Fatal(err)
	}
	if err := Remove(info); err != nil {
		t.Fatal(err)
	}
	requireEmpty(t, dir)
}

func TestCheck(t *testing.T) {
	info, err := sample(5).write(t.TempDir(), files{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Check(info.Path)
	want := Summary{
		Meta: sample(5).Meta, Sections: 3, Keys: 5,
		KeyBytes: 1 + 2 + 6 + 1024, ValueBytes: 22 + 3*chunkBytes + 1,
	}
	if err != nil || !cmp.Equal(want, got) {
		t.Fatalf("Check = %+v, %v; want %+v", got, err, want)
	}
}
