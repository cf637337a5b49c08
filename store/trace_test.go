package store

import (
	"fmt"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

// trace is what nodes do to their disks, and what leaves them, in one order. A nil one sees nothing.
type trace struct {
	mu     sync.Mutex
	events []event
	rested int             // up to which event turns are over
	there  map[string]bool // checkpoints that were seen
	nodes  map[raft.ReplicaID]*node
}

// event is one step of a trace: of its fields beside node one group is set.
type event struct {
	node    raft.ReplicaID
	op      *vfs.Op     // of the disk of the log
	record  *wal.Record // appended: in the buffer of the log, or in its file
	release uint64      // index up to which the log may go
	message *pb.Message // sent to another node
	there   string      // a checkpoint is complete
	found   uint64      // its index
	// told: someone outside was told, for which all up to applied must be safe with the voters.
	told    string
	applied raft.Index
	voters  [][]raft.ReplicaID
	begun   bool     // the process of the node begins
	opened  *promise // the log is open after a start and says this, and the node may answer
}

func (t *trace) add(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
}

// watch begins with a node's process.
func (t *trace) watch(n *node) {
	if t == nil {
		return
	}
	t.nodes[n.id] = n
	t.add(event{node: n.id, begun: true})
	n.fs.SetTrace(func(op vfs.Op, err error) {
		if err == nil && op.Kind.Changes() && op.Kind != vfs.OpLock {
			t.add(event{node: n.id, op: &op})
		}
	})
}

func (t *trace) opened(n *node, hard wal.HardState) {
	if t != nil {
		t.add(event{node: n.id, opened: &promise{hard.Term, hard.Vote, n.log.LastIndex(testGroup)}})
	}
}

// answered notes an answer to a client.
func (t *trace) answered(n *node, reply []byte) {
	if t != nil {
		t.tell(n, "answers "+strings.ReplaceAll(strings.TrimSuffix(string(reply), "\r\n"), "\r\n", " "))
	}
}

// tell notes that someone is told something that must not be lost.
func (t *trace) tell(n *node, what string) { t.add(event{node: n.id, told: what}) }

// rests is called when the turn in which something was told is over: now it shows what had been applied for it.
func (t *trace) rests() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.rested; i < len(t.events); i++ {
		if e := &t.events[i]; e.told != "" {
			s := t.nodes[e.node].group.Status()
			if e.applied, e.voters = s.Applied, [][]raft.ReplicaID{s.Voters}; len(s.Outgoing) > 0 {
				e.voters = append(e.voters, s.Outgoing)
			}
		}
	}
	t.rested = len(t.events)
}

// sent notes a message that leaves a node.
func (t *trace) sent(from raft.ReplicaID, m *pb.Message) {
	if t == nil {
		return
	}
	e := event{node: from, message: m}
	if n := t.nodes[from]; n.group != nil {
		s := n.group.Status()
		e.voters = [][]raft.ReplicaID{s.Voters}
	}
	t.add(e)
}

// log is a node's log, of which the trace sees what is appended and let go of.
func (t *trace) log(n *node, l *wal.Log) raft.Log {
	if t == nil {
		return l
	}
	return tracedLog{l, t, n}
}

type tracedLog struct {
	*wal.Log
	trace *trace
	node  *node
}

func (l tracedLog) Append(rec *wal.Record) error {
	if rec.Snapshot != nil {
		l.trace.checkpoints(l.node, stream.Incoming(l.node.dir))
	}
	err := l.Log.Append(rec)
	if err == nil {
		kept := *rec
		kept.Entries = append([]wal.Entry(nil), rec.Entries...)
		l.trace.add(event{node: l.node.id, record: &kept})
	}
	return err
}

func (l tracedLog) Sync() error {
	if l.node.lazy {
		return nil
	}
	return l.Log.Sync()
}

func (l tracedLog) Release(g raft.GroupID, index uint64) error {
	l.trace.checkpoints(l.node, l.node.dir)
	l.trace.add(event{node: l.node.id, release: index})
	return l.Log.Release(g, index)
}

// checkpoints notes those that are complete in a directory and were not before.
func (t *trace) checkpoints(n *node, dir string) {
	infos, err := checkpoint.List(dir)
	n.must(err)
	for i := len(infos) - 1; i >= 0; i-- {
		name := strings.TrimPrefix(infos[i].Path, n.dir+"/")
		t.mu.Lock()
		seen := t.there[fmt.Sprint(n.id, name)]
		t.there[fmt.Sprint(n.id, name)] = true
		t.mu.Unlock()
		if !seen {
			t.add(event{node: n.id, there: name, found: infos[i].Index})
		}
	}
}

// quiet reports whether an event only fills pages in a golden file: heartbeats and questions of readers.
func (e *event) quiet() bool {
	switch e.message.GetType() {
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgReadIndex, pb.MsgReadIndexResp:
		return true
	}
	return false
}

// String writes an event as a line of a golden file.
func (e *event) String() string {
	text := ""
	switch {
	case e.op != nil:
		text = e.op.String()
	case e.record != nil:
		text = "appends " + recordText(e.record)
	case e.release != 0:
		text = fmt.Sprintf("lets go of the log up to %d", e.release)
	case e.message != nil:
		text = messageText(e.message)
	case e.there != "":
		text = "has the checkpoint " + e.there
	case e.told != "":
		text = e.told
	case e.opened != nil:
		text = "is open"
	case e.begun:
		text = "begins"
	}
	return fmt.Sprintf("%d  %s", uint64(e.node), text)
}

func recordText(rec *wal.Record) string {
	text := fmt.Sprintf("term %d, vote %d, commit %d", rec.HardState.Term, rec.HardState.Vote, rec.HardState.Commit)
	if s := rec.Snapshot; s != nil {
		text += fmt.Sprintf(", checkpoint %d", s.Index)
	}
	if n := len(rec.Entries); n > 0 {
		text += fmt.Sprintf(", entries %d to %d", rec.Entries[0].Index, rec.Entries[n-1].Index)
	}
	return text
}

func messageText(m *pb.Message) string {
	text := fmt.Sprintf("-> %d %v, term %d", m.GetTo(), m.GetType(), m.GetTerm())
	switch m.GetType() {
	case pb.MsgHeartbeat:
		text += fmt.Sprintf(", commit %d", m.GetCommit())
	case pb.MsgApp:
		if n := len(m.GetEntries()); n > 0 {
			text += fmt.Sprintf(", entries %d to %d", m.GetEntries()[0].GetIndex(), m.GetEntries()[n-1].GetIndex())
		}
		text += fmt.Sprintf(", commit %d", m.GetCommit())
	case pb.MsgAppResp:
		text += fmt.Sprintf(", index %d", m.GetIndex())
	case pb.MsgSnap:
		text += fmt.Sprintf(", index %d", m.GetSnapshot().GetMetadata().GetIndex())
	}
	if m.GetReject() {
		text += ", refused"
	}
	return text
}

// rest gives turns one at a time, each to its end, until nobody has anything to do: so there is one order of all that
// happens.
func (c *trio) rest() {
	for worked := true; worked; {
		worked = c.deliver()
		synctest.Wait()
		for _, n := range c.nodes {
			for _, a := range n.host.Actors() {
				worked = a.Turn() || worked
				synctest.Wait()
				c.wire.trace.rests()
			}
		}
	}
}

// pass lets time pass in rest.
func (c *trio) pass(d time.Duration) {
	c.rest()
	for step := 5 * time.Millisecond; d > 0; d -= step {
		for _, n := range c.nodes {
			n.clock.Advance(min(d, step))
		}
		synctest.Wait()
		c.rest()
	}
}

// passUntil lets time pass until something holds.
func (c *trio) passUntil(what string, ok func() bool) {
	c.t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		c.pass(25 * time.Millisecond)
	}
	c.t.Fatalf("never: %s", what)
}
