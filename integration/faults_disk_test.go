package integration

import (
	"fmt"
	"strings"
	"testing"
)

// diskFlags are for nodes on small disks.
var diskFlags = []string{"--disk-reserve", "1MiB", "--checkpoint-after", "4MiB"}

// TestFleetLeaderDiskFull takes the leader's disk all its room. Another one leads then, and clients of the others go
// on; when there is room again the node catches up.
func TestFleetLeaderDiskFull(t *testing.T) {
	rng := random(t)
	f := newFleet(t, 3, false, diskFlags...)
	for _, n := range f.nodes {
		n.shrink()
	}
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.await(100)
	lead := f.leader()
	f.fillDisk(c, lead)
	if !strings.Contains(f.nodes[lead].current().log.String(), "the disk of this leader does not keep up") {
		t.Error("the old leader has not said why it gave the leadership away")
	}
	c.settle(f.nodes...)
}

// fillMax is how many values are written at most to a node whose disk is full, by four: two segments of the log and
// more.
const fillMax = 512

// fillDisk takes the disk of a node all its room, and writes until the node does not get on and does not lead. Then it
// gives the room back.
func (f *fleet) fillDisk(c *crowd, place int) {
	f.t.Helper()
	full, others := f.nodes[place], f.except(place)
	c.full.Store(true)
	remove := ballast(f.t, full.disk, 0)
	w, value := others[0].wire(f.t), strings.Repeat("v", floodBytes)
	defer w.Close()
	moved, stuck, applied := 0, 0, uint64(0)
	for stuck < 3 && moved < fillMax {
		ballast(f.t, full.disk, 0) // what it deletes makes room for nobody
		const together = 4
		var frames strings.Builder
		for i := range together {
			frames.WriteString(frame("SET", fmt.Sprint("flood:", (moved+i)%floodKeys), value))
		}
		w.send(f.t, frames.String())
		for range together {
			a, err := w.get()
			if err != nil {
				f.t.Fatal(err)
			}
			c.judge(a, nil)
		}
		moved += together
		if s, err := full.state(); err == nil && s.applied == applied && !s.leads {
			stuck++
		} else {
			stuck, applied = 0, s.applied
		}
	}
	f.t.Logf("%s does not get on, %v, after %d MiB", full.name, stuck >= 3, moved)
	f.serves(startTimeout, others...)
	c.await(200)
	eventually(f.t, startTimeout, "while one disk of three is full, others take writes that grow", func() bool {
		a, err := others[0].ask("SET", "k", "v")
		return err == nil && a.raw == "+OK\r\n"
	})
	remove()
	f.serves(startTimeout, f.nodes...)
	eventually(f.t, startTimeout, "the node whose disk was full takes writes that grow", func() bool {
		a, err := full.ask("SET", "k", "v")
		return err == nil && a.raw == "+OK\r\n"
	})
	c.await(50)
}

// TestFleetLeaderDiskFails lets the leader's disk fail: every write of it is answered with EIO. The node ends at once
// and says why, and comes back when the disk works again.
func TestFleetLeaderDiskFails(t *testing.T) {
	longProof(t)
	rng := random(t)
	f := newFleet(t, 3, false, diskFlags...)
	for _, n := range f.nodes {
		n.shrink()
	}
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.await(100)
	f.failDisk(c, f.leader())
	c.settle(f.nodes...)
}

// failDisk lets the disk of a node fail until the node has ended, and mends it when the crowd has gone on without.
func (f *fleet) failDisk(c *crowd, place int) {
	f.t.Helper()
	n := f.nodes[place]
	if n.brittle == nil {
		f.t.Log("no disk can be made to fail here")
		return
	}
	n.brittle.fail()
	status := n.current().wait()
	if log := n.current().log.String(); status == 0 || !strings.Contains(log, "the process must end") {
		f.t.Errorf("a node whose disk has failed has ended with status %d:\n%s", status, excerpt(log))
	}
	c.await(50)
	n.brittle.mend()
	n.restart()
	f.serves(startTimeout, f.nodes...)
	c.await(50)
}
