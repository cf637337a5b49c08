package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// kills is how many kills TestKillLoop makes.
func kills(t *testing.T) int {
	text := os.Getenv("KILLS")
	if text == "" {
		return 6
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("KILLS: %v", err)
	}
	return n
}

// TestKillLoop kills the node under load, again and again, and while it starts, and while it writes
// checkpoints. After each restart all that was acknowledged is there, and nothing half.
func TestKillLoop(t *testing.T) {
	rng := random(t)
	n := startNode(t, "--checkpoint-after", "1MiB")
	l := newLedger()
	rounds := kills(t)
	for round := range rounds {
		g := startLoad(t, n, l, round)
		enough := 100 + rng.Int64N(2500)
		g.await(enough)
		// Early rounds let a checkpoint end, which later ones would wait long for: a checkpoint is paced.
		// So the next start loads one, and the log behind it.
		if round%6 == 2 && round < 12 {
			n.awaitCheckpoint()
		}
		n.kill()
		g.wait()
		if rng.IntN(3) == 0 {
			n.killStarting(time.Duration(rng.Int64N(int64(150 * time.Millisecond))))
		}
		n.restart()
		l.audit(t, n.wire(t), round%10 == 9 || round == rounds-1)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d kills, %d checkpoints now: %v", rounds, len(n.files("checkpoint", "*.db")), l)
}

// TestKillAtAcknowledgement kills the node in the moment in which a write is acknowledged, when nothing else
// comes that would carry it to the disk.
func TestKillAtAcknowledgement(t *testing.T) {
	n := startNode(t)
	rng := random(t)
	last := map[string]string{}
	for round := range 8 {
		w := n.wire(t)
		for i := range 1 + rng.IntN(4) {
			key, value := fmt.Sprint("key", rng.IntN(3)), fmt.Sprint(round, ":", i)
			if a := w.do(t, "SET", key, value); a.raw != "+OK\r\n" {
				t.Fatalf("SET: %q", a.raw)
			}
			last[key] = value
		}
		n.kill()
		n.restart()
		for key, value := range last {
			if a := n.wire(t).do(t, "GET", key); a.text != value {
				t.Errorf("round %d: %s was acknowledged as %q and is %q", round, key, value, a.raw)
			}
		}
	}
}

// killStarting starts the node and kills it after a while, wherever it is.
func (n *node) killStarting(after time.Duration) {
	n.t.Helper()
	p := n.launch()
	select {
	case <-time.After(after):
	case <-p.exited:
		n.t.Errorf("the node has ended with status %d while it started", p.cmd.ProcessState.ExitCode())
	}
	p.kill()
}

// awaitCheckpoint waits until another checkpoint is complete.
func (n *node) awaitCheckpoint() {
	n.t.Helper()
	before := n.files("checkpoint", "*.db")
	eventually(n.t, time.Minute, "a checkpoint is written", func() bool {
		now := n.files("checkpoint", "*.db")
		return len(now) > 0 && !slices.Equal(now, before)
	})
}
