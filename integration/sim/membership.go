package sim

import (
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// nodesMax bounds the nodes of a run, those that are gone included.
const nodesMax = 12

// change is a change of the members that was asked for.
type change struct{ pending *raft.Pending }

// open reports whether nothing is known yet of what becomes of it.
func (c change) open() bool {
	if c.pending == nil {
		return false
	}
	select {
	case <-c.pending.Done():
		return false
	default:
		return true
	}
}

// leader returns the node that leads the highest term, as far as it knows; nil if none does.
func (w *world) leader() *node {
	var leader *node
	var term raft.Term
	for _, n := range w.nodes {
		if s := n.group.Status(); s.Role == raft.RoleLeader && s.Term > term {
			leader, term = n, s.Term
		}
	}
	return leader
}

// thinksItLeads returns a node that leads as far as it knows, any one if none does.
func (w *world) thinksItLeads() *node {
	first := w.rng.IntN(len(w.nodes))
	for i := range w.nodes {
		if n := w.nodes[(first+i)%len(w.nodes)]; n.group.Status().Role == raft.RoleLeader {
			return n
		}
	}
	return w.nodes[first]
}

// members returns the nodes that the leader has in its configuration; none if there is no leader or a change is under
// way.
func (w *world) members() []*node {
	leader := w.leader()
	if leader == nil {
		return nil
	}
	s := leader.group.Status()
	if len(s.Outgoing) > 0 {
		return nil
	}
	var members []*node
	for _, r := range slices.Concat(s.Voters, s.Learners) {
		if n := w.node(r); n != nil {
			members = append(members, n)
		}
	}
	return members
}

// changeMembers asks the leader for a step that an administrator, or a node that has caught up, may ask for. What it
// came to shows by itself.
func (w *world) changeMembers() error {
	leader := w.leader()
	if leader == nil || w.change.open() {
		return nil
	}
	s := leader.group.Status()
	others := slices.Concat(s.Voters, s.Learners)
	others = slices.DeleteFunc(others, func(r raft.ReplicaID) bool { return r == s.Replica })
	victim := others[w.rng.IntN(len(others))]
	learner := caughtUp(&s)
	switch at := w.rng.IntN(11); {
	case at == 10:
		w.change.pending = leader.group.StartReads(w.drawReads())
	case at < 2:
		w.change.pending = leader.group.StartTransfer(victim)
	case at < 6 && learner != 0:
		changes := []raft.Change{{Kind: raft.AddVoter, Replica: learner}}
		if victim != learner && w.rng.IntN(2) == 0 {
			changes = append(changes, raft.Change{Kind: raft.RemoveReplica, Replica: victim})
		}
		w.change.pending = leader.group.StartConfChange(changes...)
	case at < 8 && w.made < nodesMax && len(w.nodes) < w.options.nodes+2:
		n := w.newNode(nil)
		if err := w.start(n); err != nil {
			return err
		}
		w.change.pending = leader.group.StartConfChange(raft.Change{Kind: raft.AddLearner, Replica: n.replica()})
	case at < 9 && (len(s.Voters) > 2 || !slices.Contains(s.Voters, victim)):
		w.change.pending = leader.group.StartConfChange(raft.Change{Kind: raft.RemoveReplica, Replica: victim})
	}
	return nil
}

// setReads has the first leader that serves set how reads are served, if they are to be in another way than usual.
func (w *world) setReads() {
	if !w.options.reads {
		return
	}
	if leader := w.leader(); leader != nil {
		if s := leader.group.Status(); s.Charter.Serving == s.Term {
			w.options.reads = false
			leader.group.StartReads(w.drawReads())
		}
	}
}

// drawReads returns a way to serve reads. Leases that last longer than an election timeout are what makes new leaders
// wait.
func (w *world) drawReads() raft.Reads {
	lease := time.Duration(10+w.rng.IntN(300<<(4*w.rng.IntN(2)))) * time.Millisecond
	if w.rng.IntN(6) == 0 {
		return raft.Reads{Mode: raft.ReadByQuorum, Lease: lease}
	}
	return raft.Reads{Mode: raft.ReadByLease, Lease: lease}
}

// caughtUp returns a learner that lacks little of the leader's log; 0 if there is none.
func caughtUp(leader *raft.Status) raft.ReplicaID {
	for _, p := range leader.Peers {
		if p.Learner && p.Active && p.State == raft.PeerReplicating && leader.Last-min(leader.Last, p.Match) < 1000 {
			return p.Replica
		}
	}
	return 0
}

// removed returns a node that was removed from the group; nil if none was.
func (w *world) removed() *node {
	for _, n := range w.nodes {
		s := n.group.Status()
		for _, r := range s.Charter.Removed {
			if gone := w.node(r); gone != nil {
				return gone
			}
		}
	}
	return nil
}

// retire ends a node for good.
func (w *world) retire(n *node) error {
	w.trace.note("node %d is gone", n.id)
	w.gone++
	err := w.abandon(n)
	n.die()
	w.network.breaks(n.replica())
	w.nodes = slices.DeleteFunc(w.nodes, func(o *node) bool { return o == n })
	return err
}

// dismiss retires the nodes that are no members once all is mended: removed ones, and those whose joining has come to
// nothing.
func (w *world) dismiss() error {
	if err := w.rest(); err != nil {
		return err
	}
	members := w.members()
	for _, n := range slices.Clone(w.nodes) {
		if slices.Contains(members, n) {
			continue
		}
		if err := w.retire(n); err != nil {
			return err
		}
	}
	return nil
}
