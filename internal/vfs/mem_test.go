package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// outcomes crashes often and counts the different results that look finds.
func outcomes(m *Mem, look func(*Mem) string) map[string]int {
	seen := map[string]int{}
	for range 200 {
		seen[look(m.Crash())]++
	}
	return seen
}

func wantOutcomes(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got[w] == 0 {
			t.Errorf("crash never left %q", w)
		}
		delete(got, w)
	}
	for g := range got {
		t.Errorf("crash left %q", g)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m := NewMem(1)
	f := create(t, m, "a", "old")
	must(t, f.Sync())
	must(t, m.SyncDir("."))
	_, err := f.WriteAt([]byte("new"), 0)
	must(t, err)
	wantOutcomes(t, outcomes(m, func(m *Mem) string { return string(content(t, m, "a")) }), "old", "new")
	must(t, f.Sync())
	wantOutcomes(t, outcomes(m, func(m *Mem) string { return string(content(t, m, "a")) }), "new")
}

func TestCrashLosesNamesThatWereNotSynced(t *testing.T) {
	m := NewMem(1)
	list := func(m *Mem) string {
		names, _ := m.List("d")
		return strings.Join(names, " ")
	}
	must(t, m.MkdirAll("d"))
	f := create(t, m, "d/a", "1")
	must(t, f.Sync())
	must(t, m.SyncDir("d"))
	wantOutcomes(t, outcomes(m, list), "", "a") // the directory itself is not durable
	must(t, m.SyncDir("."))
	wantOutcomes(t, outcomes(m, list), "a")
	must(t, m.Rename("d/a", "d/b"))
	create(t, m, "d/c", "")
	wantOutcomes(t, outcomes(m, list), "a", "a c", "b", "b c")
	must(t, m.SyncDir("d"))
	must(t, m.Remove("d/b"))
	wantOutcomes(t, outcomes(m, list), "b c", "c")
}

func TestCrashTearsAtSectors(t *testing.T) {
	m := NewMem(7)
	f := create(t, m, "a", "")
	must(t, f.Truncate(3*SectorBytes))
	must(t, f.Sync())
	must(t, m.SyncDir("."))
	_, err := f.WriteAt(bytes.Repeat([]byte{1}, 2*SectorBytes), SectorBytes/2)
	must(t, err)
	seen := outcomes(m, func(m *Mem) string {
		p := content(t, m, "a")
		return fmt.Sprint(p[SectorBytes/2], p[SectorBytes-1], p[SectorBytes], p[2*SectorBytes-1],
			p[2*SectorBytes], p[2*SectorBytes+SectorBytes/2-1])
	})
	wantOutcomes(t, seen, "0 0 0 0 0 0", "1 1 0 0 0 0", "0 0 1 1 0 0", "1 1 1 1 0 0",
		"0 0 0 0 1 1", "1 1 0 0 1 1", "0 0 1 1 1 1", "1 1 1 1 1 1")
}

func TestCrashIsRepeatable(t *testing.T) {
	run := func() string {
		m := NewMem(42)
		for i := range 20 {
			create(t, m, fmt.Sprint(i), "content")
		}
		return m.Crash().String() + m.Crash().Crash().String()
	}
	if a, b := run(), run(); a != b {
		t.Fatalf("one seed, two results:\n%s\n%s", a, b)
	}
}

func TestHook(t *testing.T) {
	m := NewMem(1)
	f := create(t, m, "a", "abc")
	boom := errors.New("boom")
	var seen []string
	m.SetHook(func(op Op) error {
		seen = append(seen, op.String())
		switch op.Kind {
		case OpSync:
			return boom
		case OpWrite:
			return ShortWrite{N: 2}
		}
		return nil
	})
	wantError(t, f.Sync(), boom)
	if n, err := f.WriteAt([]byte("xyz"), 0); n != 2 || !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("short write: %d %v", n, err)
	}
	if got := content(t, m, "a"); string(got) != "xyc" {
		t.Fatalf("content %q", got)
	}
	want := []string{"sync a", "write a [0,3)", "open a", "read a [0,3)"}
	if !slices.Equal(seen, want) {
		t.Fatalf("hook saw %q", seen)
	}
}

func TestTraceShowsResults(t *testing.T) {
	m := NewMem(1)
	var lines []string
	m.SetTrace(func(op Op, err error) { lines = append(lines, fmt.Sprint(op, " ", err == nil)) })
	f := create(t, m, "a", "abc")
	must(t, f.Sync())
	must(t, m.Rename("a", "b"))
	_, _ = m.OpenRead("a")
	want := []string{"create a true", "write a [0,3) true", "sync a true", "rename a to b true", "open a false"}
	if !slices.Equal(lines, want) {
		t.Fatalf("trace %q", lines)
	}
}

func TestSpace(t *testing.T) {
	m := NewMem(1)
	m.SetFree(2 * blockBytes)
	f := create(t, m, "a", "x") // takes one block
	n, err := f.WriteAt(make([]byte, 2*blockBytes+5), 10)
	if n != 2*blockBytes-10 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if _, err := f.WriteAt(make([]byte, 2*blockBytes), 0); err != nil {
		t.Fatalf("overwriting takes no space: %v", err)
	}
	must(t, f.Truncate(blockBytes))
	if free, _ := m.Free("."); free != blockBytes {
		t.Fatalf("free after truncation: %d", free)
	}
	must(t, m.Remove("a"))
	if free, _ := m.Free("."); free != 2*blockBytes {
		t.Fatalf("free after removal: %d", free)
	}
}

func TestFlipBit(t *testing.T) {
	m := NewMem(1)
	f := create(t, m, "a", "a")
	must(t, m.SyncDir("."))
	must(t, m.FlipBit("a", 0, 1))
	must(t, f.Sync())
	if got := content(t, m.Crash(), "a"); string(got) != "c" {
		t.Fatalf("content %q", got)
	}
	if m.FlipBit("a", 1, 0) == nil || m.FlipBit("b", 0, 0) == nil {
		t.Fatal("flipped a bit outside of a file")
	}
}
