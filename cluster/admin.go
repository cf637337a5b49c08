package cluster

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// adminChange is a change of the members that an administrator asks for.
type adminChange struct {
	Verb  string `json:"verb"`
	Node  uint64 `json:"node,omitempty"` // transfer: 0 is the one that lags least
	New   uint64 `json:"new,omitempty"`  // of replace
	Force bool   `json:"force,omitempty"`
	// Lease in ms, of reads: 0 is reads by quorum.
	Lease int64 `json:"lease,omitempty"`
}

// The verbs.
const (
	verbPromote  = "promote"
	verbRemove   = "remove"
	verbTransfer = "transfer"
	verbReplace  = "replace"
	verbReads    = "reads"
)

// How long a change may take at the most, if the caller's context does not end before.
const (
	changeTimeout  = 15 * time.Second
	replaceTimeout = 30 * time.Minute
	// changePause is how long a change that could not be made waits until it is tried again.
	changePause = 200 * time.Millisecond
)

// Add invites the node that waits at a peer address, and returns when it is a learner. It becomes a voter when it
// has caught up. The error of this and the following methods is a *Refusal.
func (n *Node) Add(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	if err := CheckAddr(addr); err != nil {
		return refuse(Refused, "%v", err)
	}
	m, err := n.invite(ctx, addr, 0)
	if err != nil {
		return asError(verdictOf(err))
	}
	return n.await(ctx, "it has not joined yet", func(s *raft.Status) bool {
		return inConfiguration(s, raft.ReplicaID(m.Node))
	})
}

// Promote makes a learner that has caught up a voter.
func (n *Node) Promote(ctx context.Context, node string) error {
	id, _, err := n.resolve(node)
	if err != nil {
		return err
	}
	return n.change(ctx, changeTimeout, adminChange{Verb: verbPromote, Node: id})
}

// Remove ends a membership for good. A removal that would lose the majority is refused, unless it is forced.
func (n *Node) Remove(ctx context.Context, node string, force bool) error {
	id, _, err := n.resolve(node)
	if err != nil {
		return err
	}
	return n.change(ctx, changeTimeout, adminChange{Verb: verbRemove, Node: id, Force: force})
}

// Transfer gives the leadership to a voter, or with "" to the one that lags least.
func (n *Node) Transfer(ctx context.Context, node string) error {
	id := uint64(0)
	if node != "" {
		var err error
		if id, _, err = n.resolve(node); err != nil {
			return err
		}
	}
	return n.change(ctx, changeTimeout, adminChange{Verb: verbTransfer, Node: id})
}

// SetReads says how the cluster's leaders serve reads: under a lease of whole milliseconds within raft.LeaseMin and
// raft.LeaseMax, or with 0 by asking a majority each time.
func (n *Node) SetReads(ctx context.Context, lease time.Duration) error {
	if lease < 0 || lease > raft.LeaseMax || lease%time.Millisecond != 0 || 0 < lease && lease < raft.LeaseMin {
		return refuse(Refused, "a lease lasts whole milliseconds, from %v to %v", raft.LeaseMin, raft.LeaseMax)
	}
	return n.change(ctx, changeTimeout, adminChange{Verb: verbReads, Lease: lease.Milliseconds()})
}

// Replace lets a new node take the place of an old one: a member, or one that waits at an address to be invited. It
// returns when the new one has caught up and the old one is no member any more; without a voter more or less at any
// time. If ctx ends before, it goes on, and to call it off the new one is to be removed.
func (n *Node) Replace(ctx context.Context, old, successor string) error {
	ctx, cancel := context.WithTimeout(ctx, replaceTimeout)
	defer cancel()
	oldID, _, err := n.resolve(old)
	if err != nil {
		return err
	}
	newID, at, err := n.resolve(successor)
	if at == "" && err != nil {
		return err
	}
	if at != "" {
		m, err := n.invite(ctx, at, oldID)
		if err != nil {
			return asError(verdictOf(err))
		}
		newID = m.Node
		err = n.await(ctx, "it has not joined yet", func(s *raft.Status) bool {
			return inConfiguration(s, raft.ReplicaID(newID))
		})
		if err != nil {
			return err
		}
	}
	return n.change(ctx, replaceTimeout, adminChange{Verb: verbReplace, Node: oldID, New: newID})
}

// resolve finds the member that people mean. What looks like an address and is no member's is returned as one.
func (n *Node) resolve(node string) (id uint64, addr string, err error) {
	group := n.joined()
	if group == nil {
		return 0, "", refuse(TryAgain, "this node does not belong to a cluster yet")
	}
	s := group.Status()
	seats := n.Roster(s)
	if seat := find(seats, node); seat != nil {
		return seat.Node, "", nil
	}
	if id, ok := parseID(strings.ToLower(node)); ok && s.Charter.HasRemoved(raft.ReplicaID(id)) {
		return id, "", nil
	}
	for i := range seats {
		if seats[i].Peer == node {
			return seats[i].Node, "", nil
		}
	}
	if CheckAddr(node) == nil {
		return 0, node, refuse(Refused, "no member has the address %s", node)
	}
	return 0, "", refuse(Refused, "no member has the name or id %.*q", nameBytesMax, node)
}

// change asks the leader for a change, again and again until it is made or refused. Changes can be asked for twice:
// what has happened already is made.
func (n *Node) change(ctx context.Context, bound time.Duration, c adminChange) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	verdict := TryAgain
	for {
		_, err := n.askLeader(ctx, question{Change: &c})
		if err == nil {
			return nil
		}
		if errors.Is(err, transport.ErrRemoved) {
			return n.changedAway(&c)
		}
		var r *Refusal
		if !errors.As(err, &r) {
			// The question or its answer may be lost on the way.
			r = refuse(Uncertain, "the leader does not answer: %v", err)
		}
		switch {
		case r.Verdict == Refused && verdict == Uncertain: // of another attempt
			return refuse(Uncertain, "%s; what was asked for before may have happened, or still happen", r.Reason)
		case r.Verdict == Refused:
			return r
		case r.Verdict == Uncertain && c.Verb == verbTransfer && c.Node == 0:
			return r // asked twice it would go on to the next
		case r.Verdict == Uncertain:
			verdict = Uncertain
		}
		n.pause(ctx, changePause)
		if ctx.Err() != nil {
			return refuse(verdict, "%s", r.Reason)
		}
	}
}

// changedAway is the result of a change that was asked for by a node that is no member any more: made, if the node
// was to go by that change.
func (n *Node) changedAway(c *adminChange) error {
	n.leaveForGood()
	if c.Node == n.self.Node && (c.Verb == verbRemove || c.Verb == verbReplace) {
		return nil
	}
	return refuse(Refused, "%v", ErrRemoved)
}

// await waits until something holds in the applied configuration.
func (n *Node) await(ctx context.Context, not string, holds func(s *raft.Status) bool) error {
	for {
		s := n.joined().Status()
		if holds(&s) {
			return nil
		}
		if ctx.Err() != nil {
			return refuse(Uncertain, "%s", not)
		}
		n.pause(ctx, keepInterval)
	}
}

// carryOut makes a change, as the leader. One that has just been elected does not know yet whom it hears of, and
// refuses nothing for good.
func (n *Node) carryOut(ctx context.Context, group Group, c *adminChange) error {
	s := group.Status()
	err := n.make(ctx, group, &s, c)
	if refused(err) && n.fresh(&s) {
		return refuse(TryAgain, "%v", err)
	}
	return err
}

// freshFor is how long a leader needs to hear of everybody who is there.
const freshFor = time.Second

// fresh reports whether this leader was elected a moment ago.
func (n *Node) fresh(s *raft.Status) bool {
	now := n.clock.Boot()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ledTerm != s.Term {
		n.ledTerm, n.ledFrom = s.Term, now
	}
	return now-n.ledFrom < freshFor
}

func (n *Node) make(ctx context.Context, group Group, s *raft.Status, c *adminChange) error {
	r := raft.ReplicaID(c.Node)
	switch c.Verb {
	case verbPromote:
		return n.promote(ctx, group, s, r)
	case verbRemove:
		return n.remove(ctx, group, s, r, c.Force)
	case verbTransfer:
		return n.transfer(ctx, group, s, r)
	case verbReplace:
		return n.replace(ctx, group, s, r, raft.ReplicaID(c.New))
	case verbReads:
		return setReads(ctx, group, s, time.Duration(c.Lease)*time.Millisecond)
	}
	return refuse(Refused, "this version does not know the change %.*q", nameBytesMax, c.Verb)
}

// setReads changes how reads are served, as the leader. By quorum the length of the lease stays, for later.
func setReads(ctx context.Context, group Group, s *raft.Status, lease time.Duration) error {
	reads := s.Charter.Reads
	reads.Mode = raft.ReadByQuorum
	if lease > 0 {
		reads = raft.Reads{Mode: raft.ReadByLease, Lease: lease}
	}
	if reads == s.Charter.Reads {
		return nil
	}
	return asError(verdictOf(group.ProposeReads(ctx, reads)))
}

func (n *Node) promote(ctx context.Context, group Group, s *raft.Status, r raft.ReplicaID) error {
	if !inConfiguration(s, r) {
		return refuse(Refused, "node %s is no member", ID(uint64(r)))
	}
	b := newBallot(s)
	if containsReplica(b.voters, r) {
		return nil
	}
	if err := caughtUp(s, r); err != nil {
		return err
	}
	if n.wrong(r) {
		return errWrong
	}
	if err := b.mayPromote(); err != nil {
		return err
	}
	return asError(verdictOf(group.ProposeConfChange(ctx, raft.Change{Kind: raft.AddVoter, Replica: r})))
}

// remove removes a member. A leader that is to be removed gives the leadership away first, and whoever leads then
// is asked again.
func (n *Node) remove(ctx context.Context, group Group, s *raft.Status, r raft.ReplicaID, force bool) error {
	switch {
	case s.Charter.HasRemoved(r):
		return nil
	case !inConfiguration(s, r):
		return refuse(Refused, "node %s is no member", ID(uint64(r)))
	}
	b := newBallot(s)
	if err := b.majority(); err != nil {
		return err
	}
	if containsReplica(b.voters, r) {
		if err := b.mayRemove(r); err != nil && (!force || len(b.voters) == 1) {
			return err
		}
	}
	if r == s.Replica {
		return n.stepAside(ctx, group, s)
	}
	return asError(verdictOf(group.ProposeConfChange(ctx, raft.Change{Kind: raft.RemoveReplica, Replica: r})))
}

// stepAside gives the leadership to another one, who is to make the change.
func (n *Node) stepAside(ctx context.Context, group Group, s *raft.Status) error {
	if err := n.transfer(ctx, group, s, 0); err != nil {
		return err
	}
	return refuse(TryAgain, "the leadership was given away, for its holder to be removed")
}

// transfer gives the leadership to a voter; 0 is the one that lags least.
func (n *Node) transfer(ctx context.Context, group Group, s *raft.Status, to raft.ReplicaID) error {
	if to == 0 {
		if to = n.successor(s); to == 0 {
			return refuse(Refused, "there is no other voter that the leader hears of")
		}
	}
	switch {
	case to == s.Replica:
		return nil
	case !containsReplica(s.Voters, to):
		return refuse(Refused, "node %s has no vote and cannot lead", ID(uint64(to)))
	case n.wrong(to):
		return refuse(Refused, "node %s is in quarantine and must not lead", ID(uint64(to)))
	}
	return asError(verdictOf(group.Transfer(ctx, to)))
}

// wrong reports whether the data of a member is known to be wrong.
func (n *Node) wrong(r raft.ReplicaID) bool {
	return n.options.Wrong != nil && n.options.Wrong(uint64(r))
}

// errWrong is why a learner does not become a voter though it has the whole log.
var errWrong = refuse(Refused, "it is in quarantine, because its data is wrong: remove it, and let it join with an "+
	"empty data directory")

// successor is the voter beside the leader that the leader hears of, that may lead, and that lags least; 0: there is
// none.
func (n *Node) successor(s *raft.Status) raft.ReplicaID {
	best := raft.ReplicaID(0)
	match := raft.Index(0)
	for i := range s.Peers {
		p := &s.Peers[i]
		if p.Active && containsReplica(s.Voters, p.Replica) && !n.wrong(p.Replica) && (best == 0 || p.Match > match) {
			best, match = p.Replica, p.Match
		}
	}
	return best
}

// replace notes that a learner is to take the place of a member: it does as soon as it has caught up. Of a voter the
// other one is just removed.
func (n *Node) replace(ctx context.Context, group Group, s *raft.Status, old, successor raft.ReplicaID) error {
	b := newBallot(s)
	switch {
	case old == successor:
		return refuse(Refused, "a node cannot take its own place")
	case !inConfiguration(s, successor):
		return refuse(Refused, "node %s is no member", ID(uint64(successor)))
	case containsReplica(b.voters, successor):
		return n.remove(ctx, group, s, old, false)
	case !inConfiguration(s, old):
		return refuse(Refused, "node %s is no member", ID(uint64(old)))
	}
	m, ok := n.known(s)[uint64(successor)]
	if !ok {
		return refuse(TryAgain, "node %s has not said who it is", ID(uint64(successor)))
	}
	if m.Replaces != uint64(old) {
		m.Replaces = uint64(old)
		if err := n.settle(ctx, group, m.disk(), m); err != nil {
			return err
		}
	}
	if err := caughtUp(s, successor); err != nil {
		return refuse(Uncertain, "%s takes the place as soon as it has caught up: %v", m.Name, err)
	}
	if err := n.seat(ctx, group, s, successor, old); err != nil {
		return refuse(Uncertain, "%s takes the place as soon as that can be: %v", m.Name, err)
	}
	return nil
}
