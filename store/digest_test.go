package store

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

const testInterval = time.Second

// digesting runs a test on three nodes that compare their states every testInterval.
func digesting(t *testing.T, seed uint64, fn func(t *testing.T, c *trio)) {
	t.Helper()
	inTrio(t, seed, func(t *testing.T, c *trio) {
		for _, n := range c.nodes {
			n.limits.DigestInterval = testInterval
			n.store.digests.interval = testInterval
			expect(t, c.do(n, "GET a"), "$-1 ") // what reads has replayed its log
		}
		fn(t, c)
	})
}

// corrupt plants a fault: the node's memory changes behind the back of the log.
func (n *node) corrupt() {
	s := n.store.state()
	b := s.Begin(s.LogTime(), 0)
	tx, err := b.Tx("default", engine.Ref{})
	n.must(err)
	tx.Set([]byte("planted"), []byte("fault"), 0)
	tx.Commit()
	b.End()
}

// compared lets nodes compare their states until each of them has agreed at an index above its last one.
func (c *trio) compared(nodes ...*node) {
	c.t.Helper()
	before := map[*node]raft.Index{}
	for _, n := range nodes {
		before[n] = n.store.DigestStatus().Agreed
	}
	expect(c.t, c.do(nodes[0], "SET changed x"), "+OK ")
	for range 100 {
		c.advance(testInterval / 10)
		if !slices.ContainsFunc(nodes, func(n *node) bool { return n.store.DigestStatus().Agreed == before[n] }) {
			return
		}
	}
	c.t.Fatal("the nodes have not compared")
}

func (c *trio) sound(nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		status := n.store.DigestStatus()
		reason, yes := n.store.Quarantined()
		if yes || len(status.Wrong) > 0 || status.Disputed != 0 {
			c.t.Fatalf("node %d: a false alarm: %+v %q", n.id, status, reason)
		}
	}
}

func TestNodesCompareTheirStates(t *testing.T) {
	digesting(t, 1, func(t *testing.T, c *trio) {
		for range 3 {
			c.compared(c.nodes...)
			c.sound(c.nodes...)
		}
		at := c.nodes[0].store.DigestStatus()
		for _, n := range c.nodes {
			if got := n.store.DigestStatus(); got.Made != at.Made || got.Sum != at.Sum || got.Skipped != 0 {
				t.Errorf("node %d: %+v, node 1: %+v", n.id, got, at)
			}
		}
		applied := c.nodes[0].store.applied.Index
		c.advance(10 * testInterval)
		if now := c.nodes[0].store.applied.Index; now != applied {
			t.Errorf("a state that does not change was hashed again: entries %d to %d", applied, now)
		}
	})
}

func TestPlantedFault(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			digesting(t, 2, func(t *testing.T, c *trio) {
				bad := c.leader()
				if role == "follower" {
					bad = c.followers()[0]
				}
				good := slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return n == bad })
				c.compared(c.nodes...)
				bad.corrupt()
				expect(t, c.do(good[0], "SET a 1"), "+OK ")
				c.advance(2 * testInterval)
				c.detected(bad, good)
				c.goesOn(bad, good)
				c.staysQuarantined(bad, good)
			})
		})
	}
}

// detected requires that bad has found itself wrong, and the others bad.
func (c *trio) detected(bad *node, good []*node) {
	c.t.Helper()
	if reason, yes := bad.store.Quarantined(); !yes || !strings.Contains(reason, "differs") {
		c.t.Fatalf("the fault is not found: %q, %v", reason, yes)
	}
	for _, n := range good {
		if _, yes := n.store.Quarantined(); yes {
			c.t.Errorf("node %d is in quarantine", n.id)
		}
		if wrong := n.store.DigestStatus().Wrong; !slices.Equal(wrong, []uint64{uint64(bad.id)}) {
			c.t.Errorf("node %d holds %d for wrong", n.id, wrong)
		}
	}
}

// goesOn requires that bad serves nothing and does not lead, and that the others serve.
func (c *trio) goesOn(bad *node, good []*node) {
	c.t.Helper()
	if c.elect() == bad {
		c.advance(2 * time.Second)
	}
	if leader := c.elect(); leader == bad {
		c.t.Fatal("the node in quarantine leads")
	}
	for i, n := range good {
		expect(c.t, c.do(n, fmt.Sprintf("SET b %d", i), "GET b", "GET a"), fmt.Sprintf("+OK $1 %d $1 1 ", i))
	}
	refused := "-TRYAGAIN " + errQuarantined.Text + " "
	expect(c.t, c.do(bad, "GET a", "SET a 2", "PING", "WATCH a"), refused+refused+"+PONG "+refused)
	expect(c.t, c.do(bad, "MULTI", "SET a 3"), "+OK "+refused)
	expect(c.t, c.do(bad, "CLIENT CONSISTENCY STALE", "GET a"), "+OK "+refused)
	expect(c.t, c.do(good[0], "GET a"), "$1 1 ")
}

// staysQuarantined restarts bad, in order and by a crash, and makes it a leader.
func (c *trio) staysQuarantined(bad *node, good []*node) {
	c.t.Helper()
	before, err := checkpoint.List(bad.dir)
	bad.must(err)
	for _, restart := range []func(){func() { bad.stop(); bad.open() }, bad.crash} {
		restart()
		c.advance(2 * time.Second)
		if _, yes := bad.store.Quarantined(); !yes {
			c.t.Fatal("a restart has ended the quarantine")
		}
		c.goesOn(bad, good)
	}
	after, err := checkpoint.List(bad.dir)
	bad.must(err)
	if len(before) != len(after) {
		c.t.Errorf("a checkpoint was made of what is wrong: %v", after)
	}
	c.elect()
	transfer := c.leader().group.StartTransfer(bad.id)
	c.advance(3 * time.Second)
	if err := transfer.Err(); err != nil {
		c.t.Fatalf("the node in quarantine was not made leader, which was to be tried: %v", err)
	}
	c.goesOn(bad, good)
}

func TestAllDiffer(t *testing.T) {
	digesting(t, 3, func(t *testing.T, c *trio) {
		c.nodes[0].corrupt()
		c.nodes[1].corrupt()
		c.nodes[1].corrupt()
		expect(t, c.do(c.nodes[2], "SET a 1"), "+OK ")
		c.advance(2 * testInterval)
		for _, n := range c.nodes {
			if _, yes := n.store.Quarantined(); yes || n.store.DigestStatus().Disputed == 0 {
				t.Errorf("node %d: quarantined %v, %+v", n.id, yes, n.store.DigestStatus())
			}
			expect(t, c.do(n, "GET a"), "$1 1 ")
		}
	})
}

var digestSeed = flag.Uint64("digestseed", 0, "seed of the random load beside digests, 0: a fixed few")

// Under a random load, with keys that expire, namespaces that come and go, checkpoints, restarts, crashes and
// changes of the leader, nodes never hold each other for wrong.
func TestNoFalseAlarm(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if *digestSeed != 0 {
		seeds = []uint64{*digestSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("digestseed=%d", seed), func(t *testing.T) {
			digesting(t, seed, func(t *testing.T, c *trio) {
				l := &mayhem{trio: c, rng: rand.New(rand.NewPCG(seed, 1))}
				for _, n := range c.nodes {
					n.limits.DigestInterval, n.limits.CheckpointBytesMin = 50*time.Millisecond, 8<<10
					n.restart()
				}
				c.elect()
				for range 300 {
					l.step()
				}
				c.elect()
				c.sound(c.nodes...)
				if l.compared < 50 {
					t.Errorf("the load has seen only %d digests agreed on", l.compared)
				}
				for _, n := range c.nodes {
					n.limits.DigestInterval = testInterval
				}
				c.nodes[2].corrupt() // and yet a fault is found
				expect(t, c.do(c.nodes[0], "SET a 1"), "+OK ")
				c.advance(2 * testInterval)
				c.detected(c.nodes[2], c.nodes[:2])
			})
		})
	}
}

// mayhem is what clients and operators do at random.
type mayhem struct {
	*trio
	rng      *rand.Rand
	compared int
}

func (n *node) restart() {
	n.stop()
	n.open()
}

func (l *mayhem) step() {
	n := l.nodes[l.rng.IntN(3)]
	before := n.store.DigestStatus().Agreed
	switch l.rng.IntN(40) {
	case 0:
		n.restart()
		l.elect()
	case 1:
		n.crash()
		l.elect()
	case 2:
		l.elect().group.StartTransfer(n.id)
	case 3:
		l.isolate(n)
		l.advance(time.Duration(l.rng.IntN(1500)) * time.Millisecond)
		l.heal()
	}
	p := n.session().start(l.lines()...)
	l.advance(time.Duration(l.rng.IntN(60)) * time.Millisecond)
	p.cancel()
	synctest.Wait()
	l.sound(l.nodes...)
	if n.store.DigestStatus().Agreed > before {
		l.compared++
	}
}

// lines makes a submission.
func (l *mayhem) lines() []string {
	commands := []func(key int) string{
		func(key int) string { return fmt.Sprintf("SET k%d v%d", key, l.rng.IntN(1000)) },
		func(key int) string {
			return fmt.Sprintf("SET k%d %s PX %d", key, strings.Repeat("x", l.rng.IntN(2000)+1), l.rng.IntN(300)+1)
		},
		func(key int) string { return fmt.Sprintf("APPEND k%d more", key) },
		func(key int) string { return fmt.Sprintf("DEL k%d k%d", key, key+1) },
		func(key int) string { return fmt.Sprintf("PEXPIRE k%d %d", key, l.rng.IntN(200)) },
		func(key int) string { return fmt.Sprintf("RENAME k%d k%d", key, key/2) },
		func(key int) string { return fmt.Sprintf("SELECT %d", key%3) },
		func(key int) string { return fmt.Sprintf("NAMESPACE CREATE n%d", key%5) },
		func(key int) string { return fmt.Sprintf("NAMESPACE DROP n%d", key%5) },
		func(key int) string { return fmt.Sprintf("SELECT n%d", key%5) },
		func(int) string { return []string{"FLUSHALL", "FLUSHDB", "GET k1", "RANDOMKEY"}[l.rng.IntN(4)] },
	}
	lines := make([]string, l.rng.IntN(12)+1)
	for i := range lines {
		lines[i] = commands[l.rng.IntN(len(commands))](l.rng.IntN(40))
	}
	return lines
}

// A node that is told of differing digests by fewer than a majority goes on, whatever they say and however often.
func TestHostileDigests(t *testing.T) {
	digesting(t, 4, func(t *testing.T, c *trio) {
		n := c.nodes[0]
		for i := range 100 {
			packet := newPacket(nil, packetDigest, 1, uint64(i), digestVersion)
			packet = append(packet, make([]byte, 32)...)
			n.store.Receive(2, packet)
			n.store.Receive(99, packet)
			n.store.Receive(2, packet[:len(packet)-1])
			n.store.Receive(2, append(packet, 0))
			n.store.Receive(2, newPacket(nil, packetDigest, 1<<63, 1<<63, digestVersion+1))
		}
		c.compared(c.nodes...)
		c.sound(c.nodes...)
	})
}

// Digests of another version are not compared: in a rolling upgrade they may well differ.
func TestDigestsOfOtherVersions(t *testing.T) {
	digesting(t, 5, func(t *testing.T, c *trio) {
		n := c.nodes[0]
		c.compared(c.nodes...)
		made := n.store.digests.made
		for _, from := range []uint64{2, 3} {
			packet := newPacket(nil, packetDigest, uint64(made.term), uint64(made.index), digestVersion+1)
			n.store.Receive(from, append(packet, make([]byte, 32)...))
		}
		c.sound(c.nodes...)
	})
}

// Who was started after a node came into quarantine hears of it from that node, until that is no member any more.
func TestQuarantineIsTold(t *testing.T) {
	digesting(t, 6, func(t *testing.T, c *trio) {
		bad, good := c.followers()[0], c.followers()[1]
		bad.corrupt()
		expect(t, c.do(good, "SET a 1"), "+OK ")
		c.advance(2 * testInterval)
		good.crash()
		c.elect()
		c.until("it is told", func() bool {
			return slices.Equal(good.store.DigestStatus().Wrong, []uint64{uint64(bad.id)})
		})
		c.compared(c.leader(), good) // what others agree on does not clear it
		c.detected(bad, []*node{c.leader(), good})
		good.store.Receive(99, newPacket(nil, packetQuarantine, 1)) // no member
		good.store.Receive(uint64(good.id), newPacket(nil, packetQuarantine, 1))
		c.detected(bad, []*node{good})
		p := c.leader().group.StartConfChange(raft.Change{Kind: raft.RemoveReplica, Replica: bad.id})
		c.until("removed", func() bool { return closed(p.Done()) })
		good.must(p.Err())
		c.advance(time.Second)
		if wrong := good.store.DigestStatus().Wrong; len(wrong) != 0 {
			t.Errorf("removed, and still told: %d", wrong)
		}
	})
}

// A quarantine that cannot be noted is tried again.
func TestQuarantineIsNoted(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		n.store.checkpoints.dir += "/absent\x00"
		n.store.quarantine(7)
		n.settle()
		n.store.checkpoints.dir = n.dir
		n.advance(2 * asideInterval)
		if reason, yes, err := checkpoint.Quarantined(n.dir, uint64(testGroup)); !yes || err != nil || reason == "" {
			t.Errorf("noted: %q, %v, %v", reason, yes, err)
		}
		if err := n.store.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if n.store.LastCheckpoint().Index != 0 {
			t.Error("a checkpoint was made")
		}
	})
}
