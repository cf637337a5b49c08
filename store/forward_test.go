package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/raft"
)

const (
	tryAgain  = "-TRYAGAIN "
	uncertain = "-UNCERTAIN "
)

func TestAnyNodeTakesAnyCommand(t *testing.T) {
	inTrio(t, 1, func(t *testing.T, c *trio) {
		for i, n := range c.nodes {
			key := string(rune('a' + i))
			expect(t, c.do(n, "SET "+key+" 1", "GET "+key, "INCR "+key, "GET "+key), "+OK $1 1 :2 $1 2 ")
			for _, other := range c.nodes {
				expect(t, c.do(other, "GET "+key), "$1 2 ")
			}
		}
		f := c.followers()[0]
		expect(t, c.do(f, "MULTI", "SET x 1", "GET x", "EXEC"), "+OK +QUEUED +QUEUED *2 +OK $1 1 ")
		expect(t, c.do(f, "MGET a b c", "DBSIZE"), "*3 $1 2 $1 2 $1 2 :4 ")
		expect(t, c.do(f, "CAS x 1 2", "CAS x 1 3", "GET x"), ":1 :0 $1 2 ")
	})
}

// A command larger than an entry goes as a packet of its own, between smaller ones, in order.
func TestForwardsKeepOrder(t *testing.T) {
	inTrio(t, 2, func(t *testing.T, c *trio) {
		f := c.followers()[1]
		big := strings.Repeat("x", 2*entryBytesMax)
		got := c.do(f, "APPEND k a", "APPEND k "+big, "APPEND k b", "STRLEN k", "GETRANGE k 0 1", "GETRANGE k -2 -1")
		expect(t, got, ":1 :524289 :524290 :524290 $2 ax $2 xb ")
		if c.wire.packets < 3 {
			t.Errorf("%d packets, want 3", c.wire.packets)
		}
	})
}

// What was on its way to a leader that is lost is proposed to its successor, once that is proven not applied.
func TestForwardFindsTheNextLeader(t *testing.T) {
	inTrio(t, 3, func(t *testing.T, c *trio) {
		old := c.leader()
		f := c.followers()[0]
		c.isolate(old)
		expect(t, c.do(f, "INCR n", "INCR n", "GET n"), ":1 :2 $1 2 ")
		c.heal()
		c.advance(time.Second)
		expect(t, c.do(old, "GET n"), "$1 2 ")
	})
}

// A leader's own writes that a successor has passed over are forwarded to it.
func TestDeposedLeaderForwards(t *testing.T) {
	inTrio(t, 4, func(t *testing.T, c *trio) {
		old := c.leader()
		old.limits.Deadline = time.Minute
		old.store.limits.Deadline = time.Minute
		c.isolate(old)
		p := old.session().start("INCR n", "GET n")
		c.elect()
		c.heal()
		c.await(p)
		expect(t, p.answers(t), ":1 $1 1 ")
	})
}

// A planned transfer makes nobody's call fail.
func TestTransferFailsNoCall(t *testing.T) {
	inTrio(t, 5, func(t *testing.T, c *trio) {
		want := 0
		for range 6 {
			leader := c.leader()
			var all []*pendingDo
			for _, n := range c.nodes {
				all = append(all, n.session().start("INCR n", "INCR n"))
			}
			transfer := leader.group.StartTransfer(c.followers()[c.rng.IntN(2)].id)
			for _, n := range c.nodes {
				all = append(all, n.session().start("INCR n", "INCR n"))
			}
			for _, p := range all {
				if c.await(p); strings.Contains(p.answers(t), "-") {
					t.Fatalf("a call failed: %s", p.answers(t))
				}
			}
			want += 2 * len(all)
			if err := transfer.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			c.elect()
		}
		if got := c.do(c.nodes[0], "INCRBY n 0"); got != fmt.Sprintf(":%d ", want) {
			t.Errorf("%s, want %d", got, want)
		}
	})
}

// Without a leader nothing is sent, so at the deadline calls are refused; what was sent and got no answer is
// unknown.
func TestOutcomesWithoutAnswer(t *testing.T) {
	inTrio(t, 6, func(t *testing.T, c *trio) {
		f := c.followers()[0]
		c.wire.down[[2]raft.ReplicaID{f.id, c.leader().id}] = true
		refused := f.session().start("SET a 1", "GET a")
		c.advance(f.limits.Deadline / 2)
		if refused.ended {
			t.Fatalf("answered too early: %s", refused.answers(t))
		}
		c.heal()
		c.await(refused)
		expect(t, refused.answers(t), "+OK $1 1 ")

		c.isolate(f)
		sent := f.session().start("SET a 2", "GET a")
		c.advance(f.limits.Deadline + 10*time.Millisecond)
		if got := sent.answers(t); !strings.HasPrefix(got, uncertain) {
			t.Errorf("sent and lost: %s", got)
		}
		c.advance(3 * time.Second) // it has lost its leader
		kept := f.session().start("SET a 3", "GET a")
		c.advance(f.limits.Deadline + 10*time.Millisecond)
		if got := kept.answers(t); !strings.HasPrefix(got, tryAgain) {
			t.Errorf("never sent: %s", got)
		}
		c.heal()
		c.advance(time.Second)
		expect(t, c.do(f, "GET a"), "$1 1 ")
	})
}

// Calls for a term that the receiver does not lead are refused, not passed on.
func TestForwardForAnotherTerm(t *testing.T) {
	inTrio(t, 7, func(t *testing.T, c *trio) {
		leader, f := c.leader(), c.followers()[0]
		term := leader.group.Status().Term
		e := envelope{}
		e.chunk(nil)
		e.add(origin{uint64(f.id), f.process, 77}, &calls("SET k v")[0])
		for _, tt := range []struct {
			to   *node
			term raft.Term
		}{{leader, term - 1}, {leader, term + 1}, {c.followers()[1], term}} {
			c.wire.letters = nil
			tt.to.store.Receive(uint64(f.id), append(newPacket(nil, packetForward, uint64(tt.term), 1, 77), e.buf...))
			if len(c.wire.letters) != 1 || packetKind(c.wire.letters[0].packet[0]) != packetRefusal {
				t.Errorf("term %d at node %d: %v", tt.term, tt.to.id, c.wire.letters)
			}
			c.settle()
		}
		expect(t, c.do(f, "GET k"), "$-1 ")
	})
}

// The time of a follower's answer is its leader's: what the leader's clock says has expired is gone, and a
// clock of its own that runs ahead makes nothing expire.
func TestFollowerReadsByTheLeadersClock(t *testing.T) {
	inTrio(t, 8, func(t *testing.T, c *trio) {
		leader, f := c.leader(), c.followers()[0]
		f.clock.Jump(time.Hour)
		expect(t, c.do(f, "SET k v PX 1000", "PTTL k"), "+OK :1000 ")
		c.advance(300 * time.Millisecond) // no entry comes meanwhile
		p := f.session().start("PTTL k")
		c.await(p)
		var left int
		for _, r := range strings.Trim(p.answers(t), ": ") {
			left = 10*left + int(r-'0')
		}
		if left < 600 || left > 700 {
			t.Errorf("PTTL on a follower: %d, want nearly 700", left)
		}
		leader.clock.Jump(700 * time.Millisecond)
		expect(t, c.do(f, "GET k", "EXISTS k"), "$-1 :0 ")
		expect(t, c.do(leader, "GET k"), "$-1 ")
	})
}

// A deadline that lies between the log time that a follower has applied and its leader's time is asked to be
// made part of the log.
func TestFollowerAsksForTick(t *testing.T) {
	inTrio(t, 9, func(t *testing.T, c *trio) {
		leader, f := c.leader(), c.followers()[0]
		expect(t, c.do(leader, "SET k v PX 50"), "+OK ")
		before := leader.store.state().LogTime()
		for _, n := range c.nodes { // nobody has a turn in between
			n.clock.Jump(60 * time.Millisecond)
		}
		p := f.session().start("GET k")
		c.settle()
		expect(t, p.answers(t), "$-1 ")
		if after := f.store.state().LogTime(); after < before+50 {
			t.Errorf("log time %d after %d: the follower answered by itself", after, before)
		}
	})
}

// A refusal of what a former process of the node has sent says nothing of this one's writes, though their sequences and
// their term are the same.
func TestRefusalOfAnotherProcess(t *testing.T) {
	inTrio(t, 10, func(t *testing.T, c *trio) {
		leader, f := c.leader(), c.followers()[0]
		f.stop()
		f.open()
		c.advance(200 * time.Millisecond)
		p := f.session().start("INCR n")
		synctest.Wait()
		for c.wire.packets == 0 {
			c.turn(f)
		}
		first, term := f.store.waiters.first, leader.group.Status().Term
		f.store.Receive(uint64(leader.id), newPacket(nil, packetRefusal, uint64(term), 1, first, f.process-1))
		c.await(p)
		expect(t, p.answers(t), ":1 ")
		c.advance(time.Second)
		expect(t, c.do(leader, "GET n"), "$1 1 ")
	})
}

// Writes that were sent and lost leave nothing behind when their clients have given up, however long the leader stays.
func TestLostForwardsAreForgotten(t *testing.T) {
	inTrio(t, 11, func(t *testing.T, c *trio) {
		leader, f := c.leader(), c.followers()[0]
		f.store.limits.Deadline = 100 * time.Millisecond
		term := leader.group.Status().Term
		c.wire.lossy = true
		for range 3 {
			p := f.session().start("SET a 1", "GET a", "SET b 2")
			c.await(p)
			if got := p.answers(t); !strings.HasPrefix(got, uncertain) {
				t.Fatalf("sent and lost: %s", got)
			}
		}
		c.wire.lossy = false
		if now := leader.group.Status().Term; now != term {
			t.Fatalf("term %d after %d: the test shows nothing", now, term)
		}
		if ws := f.store.waiters; ws.first != ws.next {
			t.Errorf("%d waiters are kept of calls that nobody waits for", ws.next-ws.first)
		}
		expect(t, c.do(f, "SET a 3", "GET a"), "+OK $1 3 ")
	})
}

func FuzzReceive(f *testing.F) {
	e := envelope{}
	e.chunk(nil)
	e.add(origin{2, 1, 1}, &calls("SET k v")[0])
	f.Add(append(newPacket(nil, packetForward, 2, 1, 1), e.buf...))
	f.Add(newPacket(nil, packetRefusal, 2, 1, 1, 1))
	f.Add(newPacket(nil, packetRefusal, 2, 1<<62, 1<<63, 1))
	f.Add(newPacket(nil, packetTick, 2, 1<<62))
	f.Add(newPacket(nil, packetQuarantine, 2))
	f.Add(append(newPacket(nil, packetDigest, 2, 1, digestVersion), make([]byte, 32)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packet []byte) {
		settled(t, func(t *testing.T, n *node) {
			n.session().do("SET a 1")
			n.store.Receive(2, packet)
			n.settle()
			if n.fatal != nil {
				t.Fatal(n.fatal)
			}
			expect(t, n.session().do("GET a"), "$1 1 ")
		})
	})
}
