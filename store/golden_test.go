package store

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
)

var update = flag.Bool("update", false, "write the traces in testdata/trace anew")

// traced runs nodes whose every step is noted. With fewer than two there is no network.
func traced(t *testing.T, nodes int, fn func(c *trio, tr *trace), set ...func(n *node)) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	synctest.Test(t, func(t *testing.T) {
		tr := &trace{there: map[string]bool{}, nodes: map[raft.ReplicaID]*node{}}
		c := &trio{t: t, rng: rand.New(rand.NewPCG(1, 3)), wire: &wire{
			cut: map[[2]raft.ReplicaID]bool{}, down: map[[2]raft.ReplicaID]bool{}, slow: map[[2]raft.ReplicaID]bool{},
			trace: tr,
		}}
		var voters []raft.ReplicaID
		for i := range nodes {
			voters = append(voters, raft.ReplicaID(i+1))
		}
		for _, id := range voters {
			n := &node{
				t: t, clock: clock.NewFake(epoch), dir: t.TempDir(), limits: DefaultLimits(), id: id, voters: voters,
				trace: tr,
			}
			if nodes > 1 {
				n.wire = c.wire
			}
			for _, s := range set {
				s(n)
			}
			n.open()
			c.nodes = append(c.nodes, n)
		}
		defer func() {
			for _, n := range c.nodes {
				n.kill()
			}
		}()
		fn(c, tr)
	})
}

// scenario is something that nodes do, from a point on.
type scenario struct {
	name  string
	nodes int
	set   func(n *node)
	run   func(c *trio, begin func())
}

// ask submits calls at a node and lets time pass until they are answered.
func (c *trio) ask(n *node, lines ...string) {
	c.t.Helper()
	p := n.session().start(lines...)
	c.passUntil("answered", func() bool { return p.ended })
}

// serving waits for the node that leads and serves.
func (c *trio) serving() *node {
	c.t.Helper()
	c.passUntil("a leader", func() bool { return c.leader() != nil })
	c.pass(50 * time.Millisecond)
	return c.leader()
}

// keys are writes of so many kilobytes.
func keys(prefix string, count, kilobytes int) (lines []string) {
	for i := range count {
		lines = append(lines, "SET "+prefix+string(rune('a'+i))+" "+strings.Repeat("v", kilobytes<<10))
	}
	return lines
}

var scenarios = []scenario{
	{name: "first start", nodes: 1, run: func(c *trio, _ func()) { c.ask(c.nodes[0], "SET a 1") }},
	{name: "founders elect", nodes: 3, run: func(c *trio, begin func()) {
		begin()
		c.passUntil("a leader", func() bool { return c.leader() != nil })
	}},
	{name: "write alone", nodes: 1, run: func(c *trio, begin func()) {
		n := c.serving()
		begin()
		c.ask(n, "SET a 1")
	}},
	{name: "batch", nodes: 1, run: func(c *trio, begin func()) {
		n := c.serving()
		begin()
		first, second := n.session().start("SET a 1", "GET a"), n.session().start("SET b 1", "GET b")
		c.passUntil("answered", func() bool { return first.ended && second.ended })
	}},
	{name: "write of three", nodes: 3, run: func(c *trio, begin func()) {
		n := c.serving()
		begin()
		c.ask(n, "SET a 1")
		c.ask(c.followers()[0], "SET b 2") // goes through the leader
	}},
	{name: "segment roll", nodes: 1, run: func(c *trio, begin func()) {
		n := c.serving()
		c.ask(n, keys("first:", 1, 45)...)
		begin()
		c.ask(n, keys("second:", 1, 20)...)
	}},
	{name: "checkpoint", nodes: 1, set: shortLogs, run: func(c *trio, begin func()) {
		n := c.serving()
		c.ask(n, keys("first:", 2, 40)...)
		begin()
		c.ask(n, keys("second:", 1, 40)...)
		c.passUntil("a checkpoint", func() bool { return n.store.LastCheckpoint().Index > 0 })
		c.ask(n, "SET a 1")
		c.ask(n, "SET b 2")
	}},
	{name: "tail cut at start", nodes: 1, set: tear, run: func(c *trio, begin func()) {
		n := c.serving()
		c.ask(n, "SET a 1")
		p := n.session().start(keys("torn:", 1, 3)...)
		n.turn(theLoop)
		n.fs.SetHook(func(op vfs.Op) error { // written, not synced: the power fails
			if op.Kind == vfs.OpSync {
				return errPower
			}
			return nil
		})
		n.turn(theWriter)
		n.kill()
		p.cancel()
		synctest.Wait()
		n.fs, n.fatal = n.fs.Crash(), nil
		begin()
		n.open()
		c.serving()
		c.ask(n, "GET a", "SET b 2")
	}},
	{name: "member comes", nodes: 3, set: shortLogs, run: func(c *trio, begin func()) {
		n := c.serving()
		c.ask(n, keys("k:", 3, 1)...)
		c.nodes = append(c.nodes, &node{
			t: c.t, clock: clock.NewFake(epoch), dir: c.t.TempDir(), limits: DefaultLimits(), id: 4, wire: c.wire,
			voters: []raft.ReplicaID{}, trace: n.trace,
		})
		c.nodes[3].clock.Advance(n.clock.Boot())
		begin()
		c.nodes[3].open()
		p := n.group.StartConfChange(raft.Change{Kind: raft.AddLearner, Replica: 4})
		c.passUntil("the learner is there", func() bool { return closed(p.Done()) })
		n.must(p.Err())
		n.trace.tell(n, "says that node 4 is a learner")
		c.passUntil("it has caught up", func() bool {
			return c.nodes[3].group.Status().Applied == n.group.Status().Applied
		})
	}},
}

// tear gives a node a file system of which the power loss above leaves a part of the record.
func tear(n *node) { n.fs = vfs.NewMem(3) }

// TestTraces shows what nodes do to their disks and what leaves them, in order, and checks that nothing was told before
// it was durable. Regenerate with -update and read the diff: a line that moved is a promise that moved.
func TestTraces(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			events, from := s.trace(t)
			for _, wrong := range durableFirst(events) {
				t.Error(wrong)
			}
			var text strings.Builder
			for i := range events[from:] {
				if e := &events[from+i]; !e.quiet() {
					text.WriteString(e.String() + "\n")
				}
			}
			name := filepath.Join("testdata", "trace", strings.ReplaceAll(s.name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text.String(), "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

// trace runs the scenario and returns all of it, and where it begins.
func (s *scenario) trace(t *testing.T, set ...func(n *node)) (events []event, from int) {
	t.Helper()
	if s.set != nil {
		set = append(set, s.set)
	}
	traced(t, s.nodes, func(c *trio, tr *trace) {
		s.run(c, func() { from = len(tr.events) })
		events = tr.events
	}, set...)
	return events, from
}

// TestRuleNoticesWhatIsMissing takes single steps out of traces: each was there for what was told later.
func TestRuleNoticesWhatIsMissing(t *testing.T) {
	tests := []struct{ scenario, step, before, want string }{
		{"write alone", "sync wal/0000000000000001.wal", "answers +OK", "durable at 0 of 1 voters"},
		{"batch", "sync wal/0000000000000001.wal", "answers +OK", "durable at 0 of 1 voters"},
		{"write of three", "sync wal/0000000000000001.wal", "-> 1 MsgAppResp", "the log is durable up to"},
		{"founders elect", "sync wal/0000000000000001.wal", "-> 1 MsgVoteResp", "the durable vote is 0"},
		{"founders elect", "sync wal/0000000000000001.wal", "-> 1 MsgVoteResp", "the durable term is 1"},
		{"first start", "sync wal/0000000000000001.tmp", "rename wal/0000000000000001.tmp", "content is not durable"},
		{"first start", "sync wal/0000000000000001.wal", "is open", "not durable"},
		{"checkpoint", "has the checkpoint", "lets go of the log", "the newest checkpoint is of 0"},
		{"checkpoint", "sync wal/0000000000000003.wal", "remove wal/0000000000000001.wal", "not needed"},
		{"tail cut at start", "sync wal/torn-", "write wal/0000000000000001.wal", "the copy of what is cut"},
		{"tail cut at start", "sync wal/0000000000000001.wal", "is open", "not durable"},
		{"member comes", "has the checkpoint", "appends term 2, vote 0, commit 6, checkpoint 6", "no such checkpoint"},
		{"member comes", "sync wal/0000000000000001.wal", "says that", "durable at 0 of 3 voters"},
	}
	for _, tt := range tests {
		t.Run(tt.scenario+" without "+tt.step, func(t *testing.T) {
			i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == tt.scenario })
			events, from := scenarios[i].trace(t)
			has := func(e *event, text string) bool { return strings.Contains(e.String(), text) }
			told := from + slices.IndexFunc(events[from:], func(e event) bool { return has(&e, tt.before) })
			var left []event
			for at := range events {
				if at < from || at >= told || !has(&events[at], tt.step) {
					left = append(left, events[at])
				}
			}
			if len(left) == len(events) {
				t.Fatal("there is no such step")
			}
			wrong := strings.Join(durableFirst(left), "\n")
			if !strings.Contains(wrong, tt.want) {
				t.Errorf("found wrong:\n%s", wrong)
			}
		})
	}
}

// TestRuleNoticesALazyLog runs nodes whose logs say that they have synced and have not.
func TestRuleNoticesALazyLog(t *testing.T) {
	for _, s := range scenarios {
		if s.name == "tail cut at start" {
			continue // nothing would be left
		}
		t.Run(s.name, func(t *testing.T) {
			events, _ := s.trace(t, func(n *node) { n.lazy = true })
			if len(durableFirst(events)) == 0 {
				t.Error("nothing is found wrong")
			}
		})
	}
}
