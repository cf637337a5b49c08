package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

const (
	// keepInterval is how often the node looks whether its peers are those of the configuration, and a leader whether
	// a learner has caught up.
	keepInterval = 50 * time.Millisecond
	// keepPause is how long it waits before it tries again to keep what could not be kept.
	keepPause = time.Second
	// speakInterval is how often it looks whether the others know it as it is.
	speakInterval = 250 * time.Millisecond
	// lostAfter is how long no leader must be known before the node asks whether it still is a member.
	lostAfter = 3 * time.Second
)

// ErrRemoved says that the node was removed from its cluster.
var ErrRemoved = errors.New("this node was removed from its cluster and its id never comes back: to use the machine " +
	"again, empty the data directory and let it join as a new node")

// keepPeers keeps the transport's peers, and what node.db knows of them, as the log says.
func (n *Node) keepPeers() {
	for n.ctx.Err() == nil {
		s := n.joined().Status()
		if s.Charter.HasRemoved(s.Replica) {
			n.leaveForGood()
			return
		}
		if err := n.syncPeers(&s); err != nil {
			n.complain("the peers cannot be kept", err)
			n.pause(n.ctx, keepPause)
		}
		n.pause(n.ctx, keepInterval)
	}
}

// promoteLearners makes learners voters as soon as they have caught up, while this node leads.
func (n *Node) promoteLearners() {
	for n.ctx.Err() == nil {
		n.promoteOne()
		n.pause(n.ctx, keepInterval)
	}
}

// promoteOne promotes one learner, if there is one that may be.
func (n *Node) promoteOne() {
	group := n.joined()
	s := group.Status()
	if s.Role == raft.RoleLeader {
		n.fresh(&s) // the time counts from here
	}
	if s.Role != raft.RoleLeader || len(s.Learners) == 0 || !n.changing.TryLock() {
		return
	}
	defer n.changing.Unlock()
	ctx, cancel := context.WithTimeout(n.ctx, serveTimeout)
	defer cancel()
	for _, r := range s.Learners {
		if caughtUp(&s, r) != nil {
			continue
		}
		m := n.known(&s)[uint64(r)]
		err := n.seat(ctx, group, &s, r, raft.ReplicaID(m.Replaces))
		if err == nil {
			n.logger.Info("a node has caught up and votes",
				slog.String("name", m.Name), slog.String("node", ID(m.Node)))
			return
		}
		if refused(err) {
			n.complain("a node has caught up and cannot be made a voter", fmt.Errorf("%s: %w", m.Name, err))
		}
	}
}

// seat makes a learner a voter, in the place of a member if it is to replace one.
func (n *Node) seat(ctx context.Context, group Group, s *raft.Status, r, old raft.ReplicaID) error {
	if old == 0 || !inConfiguration(s, old) {
		return n.promote(ctx, group, s, r)
	}
	if n.wrong(r) {
		return errWrong
	}
	b := newBallot(s)
	err := b.mayReplace(old, r)
	if !containsReplica(b.voters, old) { // a learner: there will be a voter more
		err = b.mayPromote()
	}
	if err != nil {
		return err
	}
	if old == s.Replica {
		return n.stepAside(ctx, group, s)
	}
	return asError(verdictOf(group.ProposeConfChange(ctx,
		raft.Change{Kind: raft.AddVoter, Replica: r}, raft.Change{Kind: raft.RemoveReplica, Replica: old})))
}

// speak makes the node known to the others as it is, and asks whether it is still one of them when no leader has
// been heard of for a while.
func (n *Node) speak() {
	led := n.clock.Boot()
	for n.ctx.Err() == nil {
		s := n.joined().Status()
		if s.Leader != 0 {
			led = n.clock.Boot()
		}
		self := n.advertised(&s)
		switch {
		case self != nil && s.Leader != 0:
			_, err := n.askLeader(n.ctx, question{Announce: self})
			n.heard(err)
		case self != nil || n.clock.Boot()-led >= lostAfter:
			n.askAround(&s, self)
		}
		n.pause(n.ctx, speakInterval)
	}
}

// heard takes the answer to what the node has said of itself.
func (n *Node) heard(err error) {
	switch {
	case errors.Is(err, transport.ErrRemoved):
		n.leaveForGood()
	case refused(err):
		n.complain("the cluster does not take note of this node", err)
	}
}

// askAround tells each of the others who this node is, or just says hello: one that knows the node as removed refuses
// the connection, and says so.
func (n *Node) askAround(s *raft.Status, self *Member) {
	known := n.known(s)
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if id == n.self.Node || n.ctx.Err() != nil {
			continue
		}
		q := question{Hello: &struct{}{}}
		if self != nil {
			q = question{Announce: self}
		}
		_, _, err := n.ask(n.ctx, known[id].Peer, q)
		n.heard(err)
	}
}

// advertised is this node as the others are to know it; nil if they do, or if it is none of them.
func (n *Node) advertised(s *raft.Status) *Member {
	n.mu.Lock()
	m := n.selfLocked()
	n.mu.Unlock()
	if m.RESP == "" || len(s.Voters) == 0 || !inConfiguration(s, s.Replica) {
		return nil
	}
	for _, entry := range s.Charter.Members {
		if settled, err := readMember(entry); err == nil && settled.Node == m.Node {
			m.Replaces = settled.Replaces
			if settled == m {
				return nil
			}
		}
	}
	return &m
}

// complain logs what goes wrong, and what goes on to go wrong once a minute.
func (n *Node) complain(what string, err error) {
	if n.complaints.news(n.clock.Boot(), what+err.Error()) {
		n.logger.Warn(what, slog.Any("error", err))
	}
}

// leaveForGood notes that the node was removed, and tells whoever runs it.
func (n *Node) leaveForGood() {
	n.mu.Lock()
	told := n.record.Removed
	var err error
	if !told {
		next := n.record
		next.Removed = true
		err = n.keep(next, 0)
	}
	n.mu.Unlock()
	if err != nil {
		n.complain("it cannot be kept that this node was removed", err)
	}
	if !told && n.options.Removed != nil {
		n.options.Removed(ErrRemoved)
	}
}

// Leave gives the leadership away, if this node has it, and returns when another one leads, or cannot be found.
func (n *Node) Leave(ctx context.Context) {
	group := n.joined()
	if group == nil {
		return
	}
	s := group.Status()
	if s.Role != raft.RoleLeader || len(voters(&s)) == 1 {
		return
	}
	for ctx.Err() == nil {
		s = group.Status()
		if s.Role != raft.RoleLeader || n.successor(&s) == 0 {
			return
		}
		if err := n.transfer(ctx, group, &s, 0); err != nil {
			n.complain("the leadership cannot be given away", err)
			n.pause(ctx, changePause)
		}
	}
}
