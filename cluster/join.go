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

// invitation asks a node that waits to join a cluster.
type invitation struct {
	Join     []string `json:"join"` // addresses of members
	Replaces uint64   `json:"replaces,omitempty"`
}

// welcome is what a node that joins is told.
type welcome struct {
	Cluster uint64   `json:"cluster"`
	Members []Member `json:"members"`
}

const (
	joinPause    = 200 * time.Millisecond
	joinPauseMax = 2 * time.Second
	// joinAddrsMax bounds the addresses of members that an invitation names.
	joinAddrsMax = 32
)

// join waits until a cluster has taken this node in, however long that takes: the one it was told of, or the one that
// invites it. An error means that it will not be taken in.
func (n *Node) join(ctx context.Context) error {
	self, err := n.applicant()
	if err != nil {
		return err
	}
	addrs := n.options.Join
	n.logger.Info("joining a cluster", slog.String("name", self.Name), slog.String("addr", self.Peer),
		slog.Any("members", addrs))
	complaint, pause := "", joinPause
	for ctx.Err() == nil {
		for _, addr := range addrs {
			err := n.askIn(ctx, addr, self)
			switch {
			case err == nil || ctx.Err() != nil:
				return context.Cause(ctx)
			case refused(err) || isFinal(err):
				return fmt.Errorf("the cluster at %s does not take this node in: %w", addr, err)
			}
			if text := addr + ": " + err.Error(); text != complaint {
				complaint = text
				n.logger.Info("waiting to be taken in", slog.String("member", addr), slog.String("reason", err.Error()))
			}
		}
		timer := n.clock.NewTimer(pause)
		pause = min(2*pause, joinPauseMax)
		select {
		case i := <-n.invitations:
			addrs, self.Replaces, pause = i.Join, i.Replaces, joinPause
			n.logger.Info("invited into a cluster", slog.Any("members", addrs))
		case <-timer.C():
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return context.Cause(ctx)
}

// isFinal reports whether the transport's refusal stays: it is about who this node is.
func isFinal(err error) bool {
	for _, reason := range []error{
		transport.ErrSecret, transport.ErrCertificate, transport.ErrVersion, transport.ErrRemoved,
		transport.ErrIDUsed, transport.ErrSelf, transport.ErrTLS,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// applicant is this node as one that wants to be a member.
func (n *Node) applicant() (Member, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.selfLocked()
	return m, m.check()
}

// askIn asks a member to be taken in.
func (n *Node) askIn(ctx context.Context, addr string, self Member) error {
	remote, a, err := n.ask(ctx, addr, question{Join: &self})
	if err != nil {
		return err
	}
	w := a.Welcome
	if w == nil || w.Cluster == 0 || w.Cluster != remote.Cluster || len(w.Members) == 0 {
		return errQuestion
	}
	for i := range w.Members {
		if err := w.Members[i].check(); err != nil {
			return fmt.Errorf("%w: %w", errQuestion, err)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.record
	next.Joined, next.Members = true, w.Members
	return n.keep(next, w.Cluster)
}

// answerInvitation takes an invitation, if this node waits for one.
func (n *Node) answerInvitation(from transport.Remote, i *invitation) (answer, error) {
	if len(i.Join) == 0 || len(i.Join) > joinAddrsMax {
		return answer{}, refuse(Refused, "an invitation with %d addresses", len(i.Join))
	}
	for _, addr := range i.Join {
		if err := CheckAddr(addr); err != nil {
			return answer{}, refuse(Refused, "an invitation: %v", err)
		}
	}
	self, err := n.applicant()
	if err != nil {
		return answer{}, err
	}
	n.mu.Lock()
	waits := n.joining && !n.record.Joined
	ours := n.db.Identity().Cluster == from.Cluster
	n.mu.Unlock()
	switch {
	case ours:
		return answer{Invited: &self}, nil
	case !waits:
		return answer{}, refuse(Refused, "%s does not wait to be invited: it belongs to a cluster of its own, or is "+
			"to found one. Start it with an empty data directory and --invited", self.Name)
	}
	select {
	case <-n.invitations: // a former one
	default:
	}
	select {
	case n.invitations <- *i:
	default:
	}
	return answer{Invited: &self}, nil
}

// invite asks the node that waits at an address to join, and returns who it is.
func (n *Node) invite(ctx context.Context, addr string, replaces uint64) (Member, error) {
	group := n.joined()
	if group == nil || n.transport == nil {
		return Member{}, refuse(Refused, "this node opens no port for other nodes: start it with --peer-addr")
	}
	s := group.Status()
	i := &invitation{Replaces: replaces}
	known := n.known(&s)
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if len(i.Join) < joinAddrsMax {
			i.Join = append(i.Join, known[id].Peer)
		}
	}
	_, a, err := n.ask(ctx, addr, question{Invite: i})
	switch {
	case errors.Is(err, transport.ErrSelf):
		return Member{}, refuse(Refused, "at %s there is this node itself", addr)
	case refused(err) || isFinal(err):
		return Member{}, refuse(Refused, "the node at %s: %v", addr, err)
	case err != nil:
		return Member{}, refuse(TryAgain, "the node at %s: %v", addr, err)
	case a.Invited == nil || a.Invited.check() != nil:
		return Member{}, errQuestion
	}
	return *a.Invited, nil
}

// reachTimeout bounds the look whether a node is to be reached.
const reachTimeout = time.Second

// reach tells why a node that wants to join is not to be reached at the address that it gives; nil if it is. A member
// at whose address nobody is, or another node, would get neither the log nor a vote.
func (n *Node) reach(ctx context.Context, m *Member) error {
	if err := m.check(); err != nil {
		return refuse(Refused, "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	remote, _, err := n.ask(ctx, m.Peer, question{Hello: &struct{}{}})
	there := disk{uint64(remote.Node), remote.Incarnation}
	switch {
	case errors.Is(err, transport.ErrSelf):
		there = n.self
	case err != nil:
		return refuse(TryAgain, "the leader does not reach it at %s, the address that it gives for other nodes: %v",
			m.Peer, err)
	}
	if there != m.disk() {
		return refuse(Refused, "at %s, the address that it gives for other nodes, there is the node %s: two nodes "+
			"cannot have one address", m.Peer, ID(there.Node))
	}
	return nil
}

// admit takes a node into the cluster, as its leader: as a learner. Who is one already is told again.
func (n *Node) admit(ctx context.Context, group Group, origin disk, m Member) (answer, error) {
	r := raft.ReplicaID(m.Node)
	if err := n.settle(ctx, group, origin, m); err != nil {
		return answer{}, err
	}
	s := group.Status()
	if !inConfiguration(&s, r) {
		if err := group.ProposeConfChange(ctx, raft.Change{Kind: raft.AddLearner, Replica: r}); err != nil {
			return answer{}, verdictOf(err)
		}
		n.logger.Info("a node joins", slog.String("name", m.Name), slog.String("node", ID(m.Node)),
			slog.String("addr", m.Peer))
	}
	s = group.Status()
	w := &welcome{Cluster: n.cluster()}
	for _, member := range n.known(&s) {
		w.Members = append(w.Members, member)
	}
	return answer{Welcome: w}, nil
}

// settle makes a member known to all, as the leader, if nothing speaks against it.
func (n *Node) settle(ctx context.Context, group Group, origin disk, m Member) error {
	s := group.Status()
	if err := n.checkMember(&s, origin, &m); err != nil {
		return err
	}
	entry, err := m.settled()
	if err != nil {
		return err
	}
	if string(s.Charter.Member(entry.Replica)) == string(entry.Data) {
		return nil
	}
	for _, stale := range n.strangers(&s, &m) {
		if err := group.ProposeMember(ctx, raft.Member{Replica: stale}); err != nil {
			return verdictOf(err)
		}
	}
	return asError(verdictOf(group.ProposeMember(ctx, entry)))
}

// cluster is the id of the node's cluster.
func (n *Node) cluster() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.db.Identity().Cluster
}

func asError(r *Refusal) error {
	if r == nil {
		return nil
	}
	return r
}

// checkMember tells what speaks against a member: another disk, a removed node, a name or an address that another
// one has.
func (n *Node) checkMember(s *raft.Status, origin disk, m *Member) error {
	if err := m.check(); err != nil {
		return refuse(Refused, "%v", err)
	}
	if m.disk() != origin {
		return refuse(Refused, "node %s cannot speak for node %s", ID(origin.Node), ID(m.Node))
	}
	if s.Charter.HasRemoved(raft.ReplicaID(m.Node)) {
		return refuse(Refused, "node %s was removed from this cluster, and no id is used twice: empty its data "+
			"directory and let it join as a new node", ID(m.Node))
	}
	for id, other := range n.known(s) {
		switch {
		case id == m.Node && other.Incarnation != m.Incarnation:
			return refuse(Refused, "the id of node %s is that of %s, which has another disk", ID(m.Node), other.Name)
		case id == m.Node || !inConfiguration(s, raft.ReplicaID(id)):
		case other.Name == m.Name:
			return refuse(Refused, "the name %s is that of node %s: give another --name, or remove that node first if "+
				"it is lost", m.Name, ID(id))
		case other.Peer == m.Peer:
			return refuse(Refused, "the address %s is that of %s, node %s: two nodes cannot have one",
				m.Peer, other.Name, ID(id))
		}
	}
	return nil
}

// strangers are those in the charter that have never come into the configuration and have the name or address of m:
// they have begun to join and have not come back.
func (n *Node) strangers(s *raft.Status, m *Member) []raft.ReplicaID {
	var stale []raft.ReplicaID
	for _, entry := range s.Charter.Members {
		other, err := readMember(entry)
		if entry.Replica == raft.ReplicaID(m.Node) || inConfiguration(s, entry.Replica) {
			continue
		}
		if err != nil || other.Name == m.Name || other.Peer == m.Peer {
			stale = append(stale, entry.Replica)
		}
	}
	return stale
}
