package wal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/internal/vfs"
)

// findings runs a check and returns what it reported, one finding per line.
func findings(mem *vfs.Mem) (string, error) {
	var lines []string
	_, err := Check(mem, "wal", func(f Finding) { lines = append(lines, f.String()) })
	return strings.Join(lines, "\n"), err
}

func TestCheckOfSoundLogs(t *testing.T) {
	mem := vfs.NewMem(3)
	must(t, mem.MkdirAll("wal"))
	if report, err := findings(mem); err != nil || !strings.Contains(report, "there is no log") {
		t.Fatalf("an empty directory: %v\n%s", err, report)
	}
	l, _ := mustOpen(t, testOptions(mem))
	must(t, l.Append(record(1, 1, 1, 5, 3000)))
	must(t, l.Sync())
	if _, err := findings(mem); err == nil {
		t.Fatal("checked a log that is open")
	}
	must(t, l.Append(record(1, 1, 6, 1, 3000)))
	must(t, l.flush())
	for range 50 {
		left := mem.Crash()
		report, err := findings(left)
		if err != nil || strings.Contains(report, "DAMAGED") {
			t.Fatalf("after a crash: %v\n%s", err, report)
		}
		_, rec := mustOpen(t, testOptions(left))
		if torn := strings.Contains(report, "never finished"); torn != (rec.TornTail != nil) {
			t.Fatalf("start cut %+v, check says\n%s", rec.TornTail, report)
		}
	}
	must(t, l.Close())
	if report, err := findings(mem); err != nil || strings.Contains(report, "DAMAGED") {
		t.Fatalf("after closing: %v\n%s", err, report)
	}
}

func TestCheckTellsContents(t *testing.T) {
	mem := vfs.NewMem(5)
	if found, err := Exists(mem, "wal"); found || err != nil {
		t.Fatalf("Exists without a directory = %v, %v", found, err)
	}
	l, _ := mustOpen(t, testOptions(mem))
	first := record(1, 1, 1, 5, 300)
	first.HardState.Commit = 4
	must(t, l.Append(first))
	must(t, l.Append(record(7, 2, 1, 3, 300)))
	must(t, l.Release(1, 2))
	must(t, l.Close())
	contents, err := Check(mem, "wal", func(Finding) {})
	must(t, err)
	_, rec := mustOpen(t, testOptions(mem))
	if diff := cmp.Diff(rec.Groups, contents.Groups); diff != "" || contents.ID == [16]byte{} {
		t.Errorf("the log has id %x and, after a start, other groups:\n%s", contents.ID, diff)
	}
	for _, tt := range []struct {
		group       GroupID
		index, term uint64
		ok          bool
	}{
		{1, 5, 1, true}, {1, 6, 0, false}, {7, 3, 2, true}, {2, 1, 0, false},
	} {
		if term, ok := contents.Term(tt.group, tt.index); term != tt.term || ok != tt.ok {
			t.Errorf("Term(%d, %d) = %d, %v", tt.group, tt.index, term, ok)
		}
	}
	if _, ok := (Contents{}).Term(1, 1); ok {
		t.Error("an empty log tells a term")
	}
	if found, err := Exists(mem, "wal"); !found || err != nil {
		t.Errorf("Exists = %v, %v", found, err)
	}
}

func TestCheckGoesOnBehindDamage(t *testing.T) {
	mem, _, segs, _ := damageLog(t, true)
	for _, seg := range segs {
		must(t, mem.FlipBit(seg.name, headerBytes+200, 1))
	}
	report, err := findings(mem)
	sound := len(segs) + 1 // and the spare
	if err == nil || strings.Count(report, "DAMAGED") != 2 || strings.Count(report, "ok ") != sound {
		t.Fatalf("%v\n%s", err, report)
	}
}
