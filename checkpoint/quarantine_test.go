package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestQuarantine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoint")
	want := func(group uint64, reason string, yes bool) {
		t.Helper()
		gotReason, got, err := Quarantined(dir, group)
		if err != nil || got != yes || gotReason != reason {
			t.Errorf("group %d: %q, %v, %v", group, gotReason, got, err)
		}
	}
	want(1, "", false)
	long := strings.Repeat("because ", 1000)
	for _, reason := range []string{"first", long} {
		if err := Quarantine(dir, 1, reason); err != nil {
			t.Fatal(err)
		}
	}
	want(1, long[:reasonBytesMax], true)
	want(2, "", false)
	want(11, "", false)
	for name, of := range map[string]uint64{
		filepath.Base(quarantinePath(dir, 1)): 1, "18446744073709551615.quarantined": 1<<64 - 1,
		"01.quarantined": 0, "1.quarantined.tmp": 0, ".quarantined": 0, "18446744073709551616.quarantined": 0,
	} {
		if group, ok := QuarantineOf(name); ok != (of != 0) || ok && group != of {
			t.Errorf("QuarantineOf(%q) = %d, %v", name, group, ok)
		}
	}
	if removed, err := Clean(dir); err != nil || len(removed) > 0 {
		t.Errorf("Clean removed %v, %v", removed, err)
	}
	if infos, err := List(dir); err != nil || len(infos) > 0 {
		t.Errorf("List = %v, %v", infos, err)
	}
	if err := os.Mkdir(quarantinePath(dir, 3), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Quarantined(dir, 3); err == nil {
		t.Error("what cannot be read is taken for no quarantine")
	}
}

// A quarantine is there before it is reported to be, and a crash on the way leaves it or does not, never an error.
func TestQuarantineIsDurable(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "checkpoint")
	var steps []string
	f := files{hook: func(op operation, name, _ string) error {
		rel, err := filepath.Rel(root, name)
		steps = append(steps, string(op)+" "+rel)
		return err
	}}
	if err := f.quarantine(dir, 1, "because"); err != nil {
		t.Fatal(err)
	}
	note := "checkpoint/1.quarantined"
	want := []string{"syncdir .", "create " + note, "sync " + note, "syncdir checkpoint"}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
	if err := os.Truncate(quarantinePath(dir, 1), 0); err != nil { // a torn one
		t.Fatal(err)
	}
	if _, yes, err := Quarantined(dir, 1); !yes || err != nil {
		t.Errorf("a torn note: %v, %v", yes, err)
	}
}
