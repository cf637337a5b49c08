package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// TestExpiryAcrossRestarts: a deadline neither moves nor starts again, and what has expired stays away,
// whether the node was killed or stopped.
func TestExpiryAcrossRestarts(t *testing.T) {
	n := startNode(t)
	w, kv := n.wire(t), n.keyValue(t, "")
	w.do(t, "SET", "far", "v", "EX", "100000")
	w.do(t, "SET", "exact", "v", "PXAT", "4102444800123")
	w.do(t, "SET", "freed", "v", "PX", "100000")
	w.do(t, "PERSIST", "freed")
	if _, err := kv.PutKey(t.Context(), &pb.PutKeyRequest{
		Namespace: "0", Key: "rpc", Value: []byte("v"), TtlMs: proto.Uint64(5_000_000),
	}); err != nil {
		t.Fatal(err)
	}
	deadlines := map[string]string{}
	for _, key := range []string{"far", "exact", "freed", "rpc"} {
		a := w.do(t, "PEXPIRETIME", key)
		deadlines[key] = a.raw
	}
	for round, end := range []func(){n.kill, n.stop, n.kill} {
		w := n.wire(t)
		gone := fmt.Sprint("gone:", round)
		w.do(t, "SET", gone, "v", "PX", "40")
		eventually(t, 10*time.Second, "the key has expired", func() bool {
			a := w.do(t, "GET", gone)
			return a.null
		})
		missed := fmt.Sprint("missed:", round) // expires while the node is down
		w.do(t, "SET", missed, "v", "PX", "150")
		due := time.Now().Add(150 * time.Millisecond)
		end()
		if round != 2 { // in the last round the node may be back before
			<-time.After(time.Until(due))
		}
		n.restart()
		w = n.wire(t)
		if a := w.do(t, "GET", gone); !a.null {
			t.Errorf("round %d: a key that had expired is back: %q", round, a.raw)
		}
		<-time.After(time.Until(due.Add(5 * time.Millisecond))) // the node's clock is this one
		for _, line := range []string{"GET " + missed, "KEYS missed:*", "LISTKEYS gone:"} {
			if a := w.do(t, strings.Fields(line)...); !a.null && len(a.elems)+len(a.text) > 0 {
				t.Errorf("round %d: %s is answered by %q after the deadline", round, line, a.raw)
			}
		}
		for key, deadline := range deadlines {
			if a := w.do(t, "PEXPIRETIME", key); a.raw != deadline {
				t.Errorf("round %d: the deadline of %s was %q and is %q", round, key, deadline, a.raw)
			}
		}
	}
}

// TestCheckpointUnderLoad writes checkpoints under load and starts from one and the log behind it.
func TestCheckpointUnderLoad(t *testing.T) {
	n := startNode(t, "--checkpoint-after", "256KiB")
	l := newLedger()
	g := startLoad(t, n, l, 0)
	for range 2 {
		n.awaitCheckpoint()
	}
	n.kill()
	g.wait()
	if found := n.files("checkpoint", "*.db"); len(found) == 0 {
		t.Error("there is no checkpoint to start from")
	}
	n.restart()
	l.audit(t, n.wire(t), true)
	t.Log(l)
}

// TestStopUnderLoad: SIGTERM under load ends with status 0 and a checkpoint, and loses nothing.
func TestStopUnderLoad(t *testing.T) {
	n := startNode(t)
	l := newLedger()
	for round := range 3 {
		g := startLoad(t, n, l, round)
		g.await(1000)
		before := n.files("checkpoint", "*.db")
		n.stop()
		g.wait()
		if after := n.files("checkpoint", "*.db"); len(after) != 1 || slices.Equal(before, after) {
			t.Errorf("checkpoints before the stop %v, after it %v", before, after)
		}
		n.restart()
		l.audit(t, n.wire(t), true)
	}
	t.Log(l)
}

// TestRevisionGrowsOn: the revision of a namespace never goes back.
func TestRevisionGrowsOn(t *testing.T) {
	n := startNode(t)
	revision := func() uint64 {
		about, err := n.keyValue(t, "").GetNamespace(t.Context(), &pb.GetNamespaceRequest{Namespace: "0"})
		if err != nil {
			t.Fatal(err)
		}
		return about.Revision
	}
	last := uint64(0)
	for _, end := range []func(){n.kill, n.stop, n.kill} {
		n.fill(t, 10, 10)
		now := revision()
		if now <= last {
			t.Errorf("the revision was %d and is %d after writes", last, now)
		}
		last = now
		end()
		n.restart()
		if now := revision(); now != last {
			t.Errorf("the revision was %d and is %d after a restart", last, now)
		}
	}
}
