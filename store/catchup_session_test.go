package store

import (
	"testing"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// A checkpoint that is installed under a connection changes nothing of what WATCH promises: a key that has changed
// meanwhile makes EXEC abort, also one that was made and removed, and one that has not changed does not.
func TestWatchAcrossACheckpoint(t *testing.T) {
	inTrio(t, 7, func(t *testing.T, c *trio) {
		away := c.followers()[0]
		expect(t, c.do(away, "SET still 1", "SET changes 1"), "+OK +OK ")
		c.same()
		watching := map[string]*session{}
		for _, key := range []string{"still", "changes", "passing", "missing"} {
			watching[key] = away.session()
			p := watching[key].start("WATCH " + key)
			c.await(p)
			expect(t, p.answers(t), "+OK ")
		}
		behind := away.group.Status().Applied
		c.isolate(away)
		c.load(c.leader(), 0, 150)
		expect(t, c.do(c.leader(), "SET changes 2", "SET changes 1", "SET passing 1", "DEL passing"), "+OK +OK +OK :1 ")
		c.load(c.leader(), 150, 300)
		c.trimmed(behind + 1)
		c.heal()
		c.until("caught up by a checkpoint", func() bool { return away.group.Status().First > behind+1 })
		for key, want := range map[string]string{
			"still": "+OK +QUEUED *1 $1 1 ", "missing": "+OK +QUEUED *1 $-1 ",
			"changes": "+OK +QUEUED *-1 ", "passing": "+OK +QUEUED *-1 ",
		} {
			p := watching[key].start("MULTI", "GETSET "+key+" mine", "EXEC")
			c.await(p)
			if got := p.answers(t); got != want {
				t.Errorf("WATCH %s: got %q, want %q", key, got, want)
			}
		}
		c.same()
	}, shortLogs)
}

// While a checkpoint is on its way, reads of the node wait for it, or are refused when their time is up; who asked for
// stale ones gets the old state, and from the installation on the new one. No read goes back.
func TestReadsDuringACatchUp(t *testing.T) {
	inTrio(t, 8, func(t *testing.T, c *trio) {
		away := c.followers()[0]
		expect(t, c.do(away, "SET k old"), "+OK ")
		c.same()
		behind := away.group.Status().Applied
		c.isolate(away)
		expect(t, c.do(c.leader(), "SET k new"), "+OK ")
		c.load(c.leader(), 0, 300)
		c.trimmed(behind + 1)

		stale := away.session()
		stale.Stale = true
		look := func() string {
			p := stale.start("GET k")
			c.nudge()
			return p.answers(t)
		}
		expect(t, look(), "$3 old ")
		away.store.limits.Deadline = time.Minute
		waiting := away.session().start("GET k")
		c.heal()
		seen := look()
		for i := 0; !waiting.ended; i++ {
			if i == 20000 {
				t.Fatal("never answered")
			}
			installed := away.group.Status().Applied > behind+1
			now := look()
			if now != seen && now != "$3 new " {
				t.Fatalf("a stale read went from %q to %q", seen, now)
			}
			if seen = now; seen == "$3 old " && installed {
				t.Fatal("the checkpoint is installed and the old state is read")
			}
		}
		expect(t, waiting.answers(t), "$3 new ")
		expect(t, look(), "$3 new ")
		if away.group.Status().First <= behind+1 {
			t.Fatal("it got the log")
		}
		c.same()
	}, shortLogs)
}

// The log behind a checkpoint is bounded in bytes, at the leader and at those who follow, whatever the load and
// however long a node has been away.
func TestTailIsBounded(t *testing.T) {
	inTrio(t, 9, func(t *testing.T, c *trio) {
		away := c.followers()[0]
		c.isolate(away)
		for from := 0; from < 900; from += 300 {
			c.load(c.leader(), from, from+300)
			c.advance(time.Second)
			for _, n := range c.nodes {
				if n == away {
					continue
				}
				s, last := n.group.Status(), raft.Index(n.store.LastCheckpoint().Index)
				if last == 0 {
					t.Fatalf("node %d has no checkpoint", n.id)
				}
				// Entries are of 40 KiB: the tail of 8 KiB is a part of one, and goes with the segment it is in.
				if s.First+2 < last {
					t.Errorf("node %d keeps its log from %d on, its checkpoint is as of %d", n.id, s.First, last)
				}
				// Checkpoints are due at the size of the last one.
				if kept, most := n.log.Bytes(), 3*n.store.LastCheckpoint().Bytes; kept > most {
					t.Errorf("node %d keeps %d bytes of log, want at most %d", n.id, kept, most)
				}
			}
		}
		c.heal()
		c.same()
	}, shortLogs)
}
