package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
)

// TestFileSystems runs the same steps over both file systems: Mem must behave as the machine's does.
func TestFileSystems(t *testing.T) {
	systems := map[string]func(t *testing.T) (FS, string){
		"os":  func(t *testing.T) (FS, string) { return OS, t.TempDir() },
		"mem": func(*testing.T) (FS, string) { return NewMem(1), "." },
		"hooked": func(t *testing.T) (FS, string) {
			return Hooked(OS, func(Op) error { return nil }), t.TempDir()
		},
	}
	for name, system := range systems {
		t.Run(name, func(t *testing.T) {
			t.Run("files", func(t *testing.T) { testFiles(t, system) })
			t.Run("directories", func(t *testing.T) { testDirectories(t, system) })
			t.Run("lock", func(t *testing.T) { testLock(t, system) })
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func create(t *testing.T, fsys FS, name, content string) File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	if content != "" {
		_, err = f.WriteAt([]byte(content), 0)
		must(t, err)
	}
	return f
}

func content(t *testing.T, fsys FS, name string) []byte {
	t.Helper()
	f, err := fsys.OpenRead(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n < len(p) {
		t.Fatal(err)
	}
	return p
}

func testFiles(t *testing.T, system func(t *testing.T) (FS, string)) {
	fsys, dir := system(t)
	name := filepath.Join(dir, "a")
	_, err := fsys.OpenRead(name)
	wantError(t, err, fs.ErrNotExist)
	_, err = fsys.OpenWrite(name)
	wantError(t, err, fs.ErrNotExist)
	wantError(t, fsys.Remove(name), fs.ErrNotExist)
	_, err = fsys.Stat(name)
	wantError(t, err, fs.ErrNotExist)

	f := create(t, fsys, name, "hello")
	_, err = f.WriteAt([]byte("world"), 8)
	must(t, err)
	must(t, f.Sync())
	if got := content(t, fsys, name); string(got) != "hello\x00\x00\x00world" {
		t.Fatalf("content %q", got)
	}
	p := make([]byte, 8)
	if n, err := f.ReadAt(p, 10); n != 3 || err != io.EOF || string(p[:n]) != "rld" {
		t.Fatalf("read over the end: %d %v %q", n, err, p)
	}
	must(t, f.Truncate(3))
	must(t, f.Truncate(5))
	if got := content(t, fsys, name); string(got) != "hel\x00\x00" {
		t.Fatalf("after truncation: %q", got)
	}
	must(t, f.Close())
	if f.Sync() == nil {
		t.Fatal("synced a closed file")
	}

	must(t, create(t, fsys, name, "").Close())
	if size, err := fsys.Stat(name); size != 0 || err != nil {
		t.Fatalf("Create left %d bytes, %v", size, err)
	}
	r, err := fsys.OpenRead(name)
	must(t, err)
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Fatal("wrote a file open for reading")
	}
	must(t, r.Close())
	free, err := fsys.Free(dir)
	if err != nil || free == 0 {
		t.Fatalf("free %d, %v", free, err)
	}
}

func testDirectories(t *testing.T, system func(t *testing.T) (FS, string)) {
	fsys, dir := system(t)
	deep := filepath.Join(dir, "x", "y")
	_, err := fsys.Create(filepath.Join(deep, "a"))
	wantError(t, err, fs.ErrNotExist)
	_, err = fsys.List(deep)
	wantError(t, err, fs.ErrNotExist)
	must(t, fsys.MkdirAll(deep))
	must(t, fsys.MkdirAll(deep))
	for _, name := range []string{"c", "a", "b"} {
		must(t, create(t, fsys, filepath.Join(deep, name), name).Close())
	}
	must(t, fsys.Rename(filepath.Join(deep, "c"), filepath.Join(deep, "a")))
	must(t, fsys.Rename(filepath.Join(deep, "b"), filepath.Join(dir, "b")))
	wantError(t, fsys.Rename(filepath.Join(deep, "b"), filepath.Join(dir, "z")), fs.ErrNotExist)
	must(t, fsys.SyncDir(deep))
	for at, want := range map[string][]string{deep: {"a"}, dir: {"b", "x"}} {
		if names, err := fsys.List(at); err != nil || !slices.Equal(names, want) {
			t.Fatalf("list of %s: %q %v", at, names, err)
		}
	}
	if got := content(t, fsys, filepath.Join(deep, "a")); !bytes.Equal(got, []byte("c")) {
		t.Fatalf("renamed over: %q", got)
	}
	must(t, fsys.Remove(filepath.Join(deep, "a")))
	if names, err := fsys.List(deep); err != nil || len(names) != 0 {
		t.Fatalf("after removal: %q %v", names, err)
	}
}

func testLock(t *testing.T, system func(t *testing.T) (FS, string)) {
	fsys, dir := system(t)
	name := filepath.Join(dir, "lock")
	first, err := fsys.Lock(name)
	must(t, err)
	_, err = fsys.Lock(name)
	wantError(t, err, ErrLocked)
	must(t, first.Close())
	second, err := fsys.Lock(name)
	must(t, err)
	must(t, second.Close())
}

// TestHooked: what the hook refuses is not done, and all that changes something is asked for.
func TestHooked(t *testing.T) {
	var seen []string
	refuse := false
	dir := t.TempDir()
	fsys := Hooked(OS, func(op Op) error {
		if seen = append(seen, op.Kind.String()); refuse {
			return errors.ErrUnsupported
		}
		return nil
	})
	name := filepath.Join(dir, "a")
	f := create(t, fsys, name, "hello")
	steps := []func() error{
		func() error { return f.Sync() },
		func() error { return f.Truncate(2) },
		func() error { return fsys.MkdirAll(filepath.Join(dir, "d")) },
		func() error { return fsys.Rename(name, filepath.Join(dir, "b")) },
		func() error { return fsys.Remove(filepath.Join(dir, "b")) },
		func() error { return fsys.SyncDir(dir) },
	}
	for i := range steps {
		before, err := fsys.List(dir)
		must(t, err)
		refuse = true
		wantError(t, steps[i](), errors.ErrUnsupported)
		refuse = false
		after, err := fsys.List(dir)
		must(t, err)
		if size, err := f.Size(); err != nil || !slices.Equal(before, after) || i == 1 && size != 5 {
			t.Fatalf("step %d was refused, and done: %q, then %q, %d bytes", i, before, after, size)
		}
		must(t, steps[i]())
	}
	want := []string{"create", "write", "sync", "sync", "truncate", "truncate", "mkdir", "mkdir", "rename", "rename",
		"remove", "remove", "syncdir", "syncdir"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen: %q", seen)
	}
	must(t, f.Close())
}
