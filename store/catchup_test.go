package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
)

// shortLogs makes nodes keep little log, so that one that was away needs a checkpoint.
func shortLogs(n *node) {
	n.limits.CheckpointBytesMin = 100 << 10
	n.tails = raft.Limits{RingBytes: 8 << 10, TailBytes: 8 << 10}
}

// load writes keys through a node, of 2 KiB each.
func (c *trio) load(n *node, from, to int) {
	c.t.Helper()
	for i := from; i < to; i += 20 {
		var lines []string
		for j := i; j < min(i+20, to); j++ {
			lines = append(lines, fmt.Sprintf("SET key:%d %d:%s", j, j, strings.Repeat("v", 2<<10)))
		}
		if got := c.do(n, lines...); strings.Count(got, "+OK") != len(lines) {
			c.t.Fatalf("writes: %.200s", got)
		}
	}
}

// trimmed waits until the leader's log begins above an index.
func (c *trio) trimmed(above raft.Index) {
	c.t.Helper()
	c.until("the leader lets go of its log", func() bool {
		return c.leader() != nil && c.leader().group.Status().First > above
	})
}

func (c *trio) until(what string, ok func() bool) {
	c.t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		c.advance(25 * time.Millisecond)
	}
	c.t.Fatalf("never: %s", what)
}

// same waits until all nodes have applied the same, and checks that their states are alike.
func (c *trio) same() {
	c.t.Helper()
	c.until("all nodes have applied the same", func() bool {
		first := c.nodes[0].group.Status().Applied
		for _, n := range c.nodes {
			if s := n.group.Status(); s.Applied != first || s.Commit != first {
				return false
			}
		}
		return true
	})
	want, err := c.nodes[0].store.Verify()
	c.nodes[0].must(err)
	for _, n := range c.nodes[1:] {
		got, err := n.store.Verify()
		n.must(err)
		if got != want {
			c.t.Fatalf("the state of node %d differs", n.id)
		}
	}
}

func TestFollowerCatchesUpByCheckpoint(t *testing.T) {
	inTrio(t, 1, func(t *testing.T, c *trio) {
		away := c.followers()[0]
		c.load(c.leader(), 0, 20)
		c.same()
		behind := away.group.Status().Applied
		c.isolate(away)
		c.load(c.leader(), 20, 300)
		expect(t, c.do(c.leader(), "SET fleeting x PX 500", "SET kept y EX 1000", "DEL key:3"), "+OK +OK :1 ")
		c.load(c.leader(), 300, 400)
		c.trimmed(behind + 1)
		c.advance(time.Second)
		c.heal()
		read := away.session().start("GET fleeting", "TTL kept", "EXISTS key:3 key:4", "STRLEN key:399")
		c.await(read)
		expect(t, read.answers(t), "$-1 :999 :1 :2052 ")
		c.same()
		if s := away.group.Status(); s.First <= behind+1 {
			t.Fatalf("it got the log: %+v", s)
		}
		info := away.store.LastCheckpoint()
		c.until("it is among the checkpoints", func() bool {
			info = away.store.LastCheckpoint()
			return info.Index > uint64(behind) && filepath.Dir(info.Path) == away.dir
		})
		if left, _ := os.ReadDir(stream.Incoming(away.dir)); len(left) != 0 {
			t.Fatalf("left in incoming: %v", left)
		}
		c.load(away, 400, 420) // forwards, and applies
		c.same()
		away.crash()
		c.same()
	}, shortLogs)
}

// join adds a node that knows nothing to the wire.
func (c *trio) join(id raft.ReplicaID) *node {
	n := &node{
		t: c.t, clock: clock.NewFake(epoch), dir: c.t.TempDir(), limits: DefaultLimits(), id: id, wire: c.wire,
		voters: []raft.ReplicaID{},
	}
	shortLogs(n)
	n.clock.Advance(c.nodes[0].clock.Boot())
	n.open()
	c.nodes = append(c.nodes, n)
	return n
}

// A node that joins gets a checkpoint that is made for it, and can then lead.
func TestJoinerCatchesUp(t *testing.T) {
	inTrio(t, 2, func(t *testing.T, c *trio) {
		leader := c.leader()
		c.load(leader, 0, 30)
		if leader.store.LastCheckpoint().Index != 0 {
			t.Fatal("there is a checkpoint before anybody needs one")
		}
		n := c.join(4)
		p := leader.group.StartConfChange(raft.Change{Kind: raft.AddLearner, Replica: 4})
		c.until("added", func() bool { return closed(p.Done()) })
		leader.must(p.Err())
		c.same()
		if leader.store.LastCheckpoint().Index == 0 || n.store.LastCheckpoint().Index == 0 {
			t.Fatal("no checkpoint was made for the joiner")
		}
		p = leader.group.StartConfChange(raft.Change{Kind: raft.AddVoter, Replica: 4})
		c.until("promoted", func() bool { return closed(p.Done()) })
		leader.must(p.Err())
		c.advance(time.Second)
		p = c.leader().group.StartTransfer(4)
		c.until("transferred", func() bool { return closed(p.Done()) && c.leader() == n })
		c.load(n, 30, 60)
		expect(t, c.do(n, "STRLEN key:0", "STRLEN key:59"), ":2050 :2051 ")
		c.same()
	}, shortLogs)
}

// A checkpoint that has rotted on the leader's disk is no dead end: the leader makes another one from its memory.
func TestCatchUpFromRottenDisk(t *testing.T) {
	inTrio(t, 3, func(t *testing.T, c *trio) {
		leader, away := c.leader(), c.followers()[0]
		c.isolate(away)
		c.load(leader, 0, 300)
		c.trimmed(away.group.Status().Applied + 1)
		rotten := leader.store.LastCheckpoint()
		content, err := os.ReadFile(rotten.Path)
		leader.must(err)
		content[len(content)/2] ^= 4
		leader.must(os.WriteFile(rotten.Path, content, 0o600))
		c.heal()
		c.same()
		if away.store.LastCheckpoint().Index == 0 {
			t.Fatal("it got the log")
		}
		leader.crash() // and starts from the new one
		c.same()
	}, shortLogs)
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// nudge gives everybody a turn, without anything coming to rest.
func (c *trio) nudge() {
	for _, n := range c.nodes {
		n.clock.Advance(time.Millisecond)
		for _, a := range n.host.Actors() {
			a.Turn()
		}
	}
	c.deliver()
	synctest.Wait()
}

// A crash at any time of the catch-up is recovered from.
func TestCrashWhileCatchingUp(t *testing.T) {
	installed := 0
	const rounds = 16
	for after := range rounds {
		inTrio(t, 3, func(t *testing.T, c *trio) {
			away := c.followers()[0]
			c.load(c.leader(), 0, 20)
			c.same()
			behind := away.group.Status().Applied
			c.isolate(away)
			c.load(c.leader(), 20, 300)
			c.trimmed(behind + 1)
			c.heal()
			for i := 0; !away.store.fetching.Load(); i++ {
				if i == 10000 {
					t.Fatal("it does not fetch")
				}
				c.nudge()
			}
			for range after {
				c.nudge()
			}
			if away.group.Status().Applied > behind {
				installed++
			}
			away.crash()
			c.same()
			c.load(c.leader(), 300, 320)
			c.same()
		}, shortLogs)
	}
	if installed == 0 || installed == rounds {
		t.Errorf("%d of %d crashes after the installation: all the same", installed, rounds)
	}
}

// A crash between the mark in the log and the move of the file leads the next start to where the file is; without
// the file there is no start.
func TestLogGoesOnFromWhatWasFetched(t *testing.T) {
	inTrio(t, 4, func(t *testing.T, c *trio) {
		away := c.followers()[0]
		c.isolate(away)
		c.load(c.leader(), 0, 300)
		c.trimmed(2)
		c.heal()
		c.same()
		c.until("moved", func() bool { return away.store.LastCheckpoint().Index != 0 })
		info := away.store.LastCheckpoint()
		away.kill()
		away.fs = away.fs.Crash()
		incoming := stream.Incoming(away.dir)
		if _, err := checkpoint.Adopt(incoming, info); err != nil { // as if it had not moved yet
			t.Fatal(err)
		}
		away.open()
		if now := away.store.LastCheckpoint(); now.Index != info.Index || filepath.Dir(now.Path) != away.dir {
			t.Fatalf("started from %+v", now)
		}
		c.same()
	}, shortLogs)
}

// What was on its way when a checkpoint was installed is unknown: the log that tells is not here.
func TestOutcomeIsUnknownBehindACheckpoint(t *testing.T) {
	inTrio(t, 5, func(t *testing.T, c *trio) {
		old := c.leader()
		c.load(old, 0, 20)
		c.same()
		behind := old.group.Status().Last
		c.isolate(old)
		lost := old.session().start("INCR counter")
		c.settle()
		fresh := c.elect()
		c.load(fresh, 20, 300)
		c.trimmed(behind + 3)
		c.heal()
		c.until("caught up", func() bool { return old.group.Status().Applied > behind+3 })
		c.load(fresh, 300, 301)
		p := fresh.group.StartTransfer(uint64ID(c.followers()[0]))
		c.until("another term", func() bool { return closed(p.Done()) && c.leader() != nil })
		c.load(c.leader(), 301, 302)
		c.until("answered", func() bool { return lost.ended })
		if got := lost.answers(t); !strings.HasPrefix(got, "-UNCERTAIN") {
			t.Fatalf("answer %q", got)
		}
		expect(t, c.do(c.leader(), "GET counter"), "$-1 ")
		c.same()
	}, shortLogs, func(n *node) { n.limits.Deadline = 10 * time.Minute })
}

func uint64ID(n *node) raft.ReplicaID { return n.id }

// Nodes that follow write checkpoints and trim their logs, also while they replay one.
func TestFollowersTrimTheirLogs(t *testing.T) {
	inTrio(t, 6, func(t *testing.T, c *trio) {
		c.load(c.leader(), 0, 300)
		c.same()
		c.until("all have checkpoints", func() bool {
			for _, n := range c.nodes {
				if n.store.LastCheckpoint().Index < 8 || n.group.Status().First < 4 {
					return false
				}
			}
			return true
		})
		n := c.followers()[0]
		before := n.store.LastCheckpoint().Index
		c.load(c.leader(), 300, 320)
		c.same()
		n.crash()
		for i := 0; n.store.applied.Index <= raft.Index(before); i++ {
			if i == 1000 {
				t.Fatal("nothing is replayed")
			}
			n.turn(theWriter)
			n.turn(theLoop)
			n.turn(theApplier)
		}
		if !n.store.replaying {
			t.Fatal("the replay is over")
		}
		n.store.Want(n.store.applied.Index)
		c.load(c.leader(), 320, 340)
		c.until("a checkpoint of what was replayed", func() bool { return n.store.LastCheckpoint().Index > before })
		c.same()
		n.crash()
		c.same()
	}, shortLogs)
}
