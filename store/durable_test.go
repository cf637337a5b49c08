package store

import (
	"fmt"
	"path"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
)

// promise is what a node's log says of it.
type promise struct {
	term, vote, last uint64
}

// ledger is what a trace proves to be durable at a node.
type ledger struct {
	appended, durable promise
	written           string // the segment that was written last since something was appended; "": none was
	unsynced          map[string]bool
	checkpoint        uint64 // index of the newest that is complete
	released          bool   // the log may go, but that is not durable
	torn              string // copy of a cut tail, until it is durable
}

// durableFirst checks a trace against the one rule: whatever is told, to a client or to another node, was made durable
// before, where it must be. It returns all violations.
func durableFirst(events []event) []string {
	nodes := map[raft.ReplicaID]*ledger{}
	var wrong []string
	for i := range events {
		e := &events[i]
		n := nodes[e.node]
		if n == nil {
			n = &ledger{unsynced: map[string]bool{}}
			nodes[e.node] = n
		}
		for _, text := range n.follow(e, nodes) {
			wrong = append(wrong, fmt.Sprintf("line %d, %v: %s", i+1, e, text))
		}
	}
	return wrong
}

// follow takes an event into the ledger and returns what is wrong with it.
func (n *ledger) follow(e *event, nodes map[raft.ReplicaID]*ledger) (wrong []string) {
	switch {
	case e.begun:
		n.appended, n.written = n.durable, ""
		clear(n.unsynced)
	case e.opened != nil:
		n.appended, n.durable = *e.opened, *e.opened
		if len(n.unsynced) > 0 {
			wrong = append(wrong, fmt.Sprintf("not durable: %v", n.unsynced))
		}
	case e.op != nil:
		wrong = n.operate(e.op)
	case e.record != nil:
		if s := e.record.Snapshot; s != nil {
			if s.Index > 1 && n.checkpoint < s.Index {
				wrong = append(wrong, "there is no such checkpoint")
			}
			n.appended.last = s.Index
		}
		n.appended.term, n.appended.vote = e.record.HardState.Term, e.record.HardState.Vote
		if k := len(e.record.Entries); k > 0 {
			n.appended.last = e.record.Entries[k-1].Index
		}
		n.written = ""
	case e.release != 0:
		if n.released = true; e.release > n.checkpoint {
			wrong = append(wrong, fmt.Sprintf("the newest checkpoint is of %d", n.checkpoint))
		}
	case e.there != "":
		n.checkpoint = max(n.checkpoint, e.found)
	case e.message != nil:
		wrong = n.send(e, nodes)
	case e.told != "":
		wrong = heldByMajorities(e, uint64(e.applied), nodes)
	}
	return wrong
}

// operate follows the disk. A segment is named .wal when it is complete.
func (n *ledger) operate(op *vfs.Op) (wrong []string) {
	segment := path.Ext(op.Name) == ".wal"
	switch op.Kind {
	case vfs.OpWrite:
		if segment && n.torn != "" {
			wrong = append(wrong, "the copy of what is cut is not durable: "+n.torn)
		}
		n.unsynced[op.Name] = true
		if segment && op.Offset > 0 {
			n.written = op.Name
		}
	case vfs.OpCreate:
		if strings.HasPrefix(path.Base(op.Name), "torn-") {
			n.torn = op.Name
		}
	case vfs.OpSync:
		delete(n.unsynced, op.Name)
		if n.written == op.Name { // a log writes all that was appended before it syncs
			n.durable, n.released = n.appended, false
		}
	case vfs.OpSyncDir:
		if !n.unsynced[n.torn] {
			n.torn = ""
		}
	case vfs.OpRename:
		if n.unsynced[op.Name] {
			wrong = append(wrong, "its content is not durable")
		}
	case vfs.OpRemove:
		if segment && n.released {
			wrong = append(wrong, "it is not durable that the segment is not needed")
		}
		delete(n.unsynced, op.Name)
	}
	return wrong
}

// send checks a message. What a candidate asks for binds nobody, and its own vote counts only when it is durable.
func (n *ledger) send(e *event, nodes map[raft.ReplicaID]*ledger) (wrong []string) {
	m := e.message
	switch m.GetType() {
	case pb.MsgVoteResp:
		if !m.GetReject() && n.durable.vote != m.GetTo() {
			wrong = append(wrong, fmt.Sprintf("the durable vote is %d", n.durable.vote))
		}
		wrong = append(wrong, n.reached(m.GetTerm())...)
	case pb.MsgAppResp:
		if !m.GetReject() && n.durable.last < m.GetIndex() {
			wrong = append(wrong, fmt.Sprintf("the log is durable up to %d", n.durable.last))
		}
		wrong = append(wrong, n.reached(m.GetTerm())...)
	case pb.MsgApp, pb.MsgHeartbeat:
		wrong = heldByMajorities(e, m.GetCommit(), nodes)
		for _, voters := range e.voters {
			votes := count(voters, nodes, func(l *ledger) bool {
				return l.durable.term > m.GetTerm() || l.durable.term == m.GetTerm() && l.durable.vote == uint64(e.node)
			})
			if votes <= len(voters)/2 {
				wrong = append(wrong, fmt.Sprintf("it leads with %d durable votes of %d", votes, len(voters)))
			}
		}
	}
	return wrong
}

func (n *ledger) reached(term uint64) []string {
	if n.durable.term >= term {
		return nil
	}
	return []string{fmt.Sprintf("the durable term is %d", n.durable.term)}
}

// heldByMajorities checks that all up to an index is durable at a majority of those who vote.
func heldByMajorities(e *event, index uint64, nodes map[raft.ReplicaID]*ledger) (wrong []string) {
	for _, voters := range e.voters {
		held := count(voters, nodes, func(l *ledger) bool { return l.durable.last >= index })
		if held <= len(voters)/2 {
			wrong = append(wrong, fmt.Sprintf("entry %d is durable at %d of %d voters", index, held, len(voters)))
		}
	}
	return wrong
}

func count(voters []raft.ReplicaID, nodes map[raft.ReplicaID]*ledger, holds func(*ledger) bool) int {
	held := 0
	for _, v := range voters {
		if n := nodes[v]; n != nil && holds(n) {
			held++
		}
	}
	return held
}
