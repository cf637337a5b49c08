package wal

import (
	"strings"
	"testing"

	"github.com/primatomic/primatomic/internal/vfs"
)

// findings runs a check and returns what it reported, one finding per line.
func findings(mem *vfs.Mem) (string, error) {
	var lines []string
	err := Check(mem, "wal", func(f Finding) { lines = append(lines, f.String()) })
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

func TestCheckGoesOnBehindDamage(t *testing.T) {
	mem, _, segs, _ := damageLog(t, true)
	for _, seg := range segs {
		must(t, mem.FlipBit(seg.name, headerBytes+200, 1))
	}
	report, err := findings(mem)
	if err == nil || strings.Count(report, "DAMAGED") != 2 || strings.Count(report, "ok ") != len(segs)+1 { // and the spare
		t.Fatalf("%v\n%s", err, report)
	}
}
