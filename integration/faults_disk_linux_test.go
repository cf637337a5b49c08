package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFleetLeaderDiskFull takes the leader's disk all its room. Another one leads then, and clients of the others go
// on; when there is room again the node catches up.
func TestFleetLeaderDiskFull(t *testing.T) {
	rng := random(t)
	f := newFleet(t, 3, false, "--disk-reserve", "1MiB", "--checkpoint-after", "4MiB")
	disks := map[*node]string{}
	for _, n := range f.nodes {
		disks[n] = smallDisk(t, 512<<20)
		n.dir = filepath.Join(disks[n], "data")
	}
	f.start()
	lead := f.leader()
	full, others := f.nodes[lead], f.except(lead)
	c := startCrowd(t, f, "w", rng, others...)
	c.await(100)
	remove := ballast(t, disks[full], 0)
	w, value := others[0].wire(t), strings.Repeat("v", 1<<20)
	moved := 0
	eventually(t, 60*time.Second, "another node leads", func() bool {
		a := w.do(t, "SET", fmt.Sprint("large:", moved%8), value)
		c.judge(a, nil)
		moved++
		for _, n := range others {
			if s, err := n.state(); err == nil && s.leads {
				return true
			}
		}
		return false
	})
	t.Logf("another leads after %d MiB", moved)
	c.await(200)
	if a := others[0].wire(t).do(t, "SET", "k", "v"); a.raw != "+OK\r\n" {
		t.Errorf("while one disk of three is full, SET is answered by %q", a.raw)
	}
	if !strings.Contains(full.current().log.String(), "the disk of this leader does not keep up") {
		t.Error("the old leader has not said why it gave the leadership away")
	}
	remove()
	f.serves(startTimeout, f.nodes...)
	c.visit(f.nodes)
	c.await(100)
	c.settle(f.nodes...)
}
