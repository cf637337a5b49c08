package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestCluster goes through everything that is measured of three nodes, with very little of it.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes")
	}
	binary := filepath.Join(t.TempDir(), "primatomic")
	build := exec.Command("go", "build", "-o", binary, "../cmd/primatomic")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options{binary: binary, dir: t.TempDir()}
	o.beQuick()
	var out bytes.Buffer
	r, err := o.measureCluster(&out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range r.Tables {
		names = append(names, table.Name)
		if len(table.Rows) == 0 {
			t.Errorf("table %s is empty", table.Name)
		}
	}
	if want := []string{"commands", "calls", "outage", "memory", "catchup"}; !slices.Equal(names, want) {
		t.Errorf("tables %q, want %q", names, want)
	}
}

// TestWrites: the longest time without an acknowledgement is that of the window looked at, failures count.
func TestWrites(t *testing.T) {
	gap := func(acks ...time.Duration) time.Duration {
		var w writes
		start := time.Now()
		w.last = start
		for _, at := range acks {
			w.acknowledge(start.Add(at))
		}
		return w.gap
	}
	if got := gap(1, 3, 10, 12); got != 7 {
		t.Errorf("gap = %d, want 7", got)
	}
}
