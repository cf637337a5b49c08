package raft

import (
	"cmp"
	"fmt"
	"slices"

	etcdraft "go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Role is what a replica is in its term.
type Role uint8

// The roles. A replica that asks for votes, or asks whether it would get them, is a candidate.
const (
	RoleFollower Role = iota
	RoleCandidate
	RoleLeader
)

// String returns the role in lower case.
func (r Role) String() string {
	switch r {
	case RoleFollower:
		return "follower"
	case RoleCandidate:
		return "candidate"
	case RoleLeader:
		return "leader"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

func roleOf(s etcdraft.StateType) Role {
	switch s {
	case etcdraft.StateLeader:
		return RoleLeader
	case etcdraft.StateCandidate, etcdraft.StatePreCandidate:
		return RoleCandidate
	}
	return RoleFollower
}

// Status is a group's state as of its last turn.
type Status struct {
	Group   GroupID
	Replica ReplicaID
	Term    Term
	Leader  ReplicaID // 0: unknown
	Role    Role
	Commit  Index
	Applied Index
	// First and Last delimit the entries held; First is Last+1 if there are none.
	First, Last Index
	// Voters and Learners are the configuration applied last; in a joint one Outgoing holds the
	// voters that are leaving or staying.
	Voters, Learners, Outgoing []ReplicaID
	// Readable: TryRead would not refuse for a reason other than lag.
	Readable bool
	// Leased: reads are served under a lease, which holds right now.
	Leased bool
	// Dropped counts messages from peers that found the group's inbox full.
	Dropped uint64
	// Charter is what the group's log has settled, as of a recent turn. Its slices are never written to.
	Charter Charter
	// Peers is what a leader knows of each peer, by replica, as of its last tick; empty on others.
	Peers []Peer
}

// Peer is what a leader knows of another replica.
type Peer struct {
	Replica ReplicaID
	Learner bool
	// Match is up to where its log is known to agree with the leader's.
	Match Index
	// Active: the leader has heard of it within an election timeout.
	Active bool
	// State is how it is sent entries: one after the other once they agree, or carefully, or not
	// before it has a snapshot.
	State PeerState
}

// PeerState is how a leader sends entries to a peer.
type PeerState uint8

// The states.
const (
	PeerProbed PeerState = iota
	PeerReplicating
	PeerNeedsSnapshot
)

// String returns the state in lower case.
func (s PeerState) String() string {
	switch s {
	case PeerProbed:
		return "probe"
	case PeerReplicating:
		return "replicate"
	case PeerNeedsSnapshot:
		return "snapshot"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Status returns the group's state. Its parts may be some turns apart.
func (g *Group) Status() Status {
	v := g.view.Load()
	first, last := g.storage.bounds()
	leased := v.reads == readsUnderLease && g.host.clock.Boot() < v.lease
	return Status{
		Group:    g.id,
		Replica:  g.replica,
		Term:     v.term,
		Leader:   v.leader,
		Role:     v.role,
		Commit:   v.commit,
		Applied:  Index(g.applied.Load()),
		First:    first,
		Last:     last,
		Voters:   replicas(v.conf.GetVoters()),
		Learners: replicas(v.conf.GetLearners()),
		Outgoing: replicas(v.conf.GetVotersOutgoing()),
		Readable: v.reads != readsByIndex && (v.reads != readsUnderLease || leased),
		Leased:   leased,
		Dropped:  g.dropped.Load(),
		Charter:  *g.shownCharter.Load(),
		Peers:    *g.shownPeers.Load(),
	}
}

// setCharter takes over the charter as of the applied index, and shows it.
func (g *Group) setCharter(c Charter) {
	if !g.charter.is(&c) {
		g.shownCharter.Store(&c)
	}
	g.charter = c
}

// showPeers shows what this replica knows of the others, if it leads.
func (g *Group) showPeers() {
	if !g.leads() {
		if g.heardOf != nil {
			g.heardOf = nil
			g.shownPeers.Store(new([]Peer))
		}
		return
	}
	s := g.node.Status()
	heardOf := make(map[ReplicaID]int, len(s.Progress))
	peers := make([]Peer, 0, len(s.Progress))
	for id, p := range s.Progress {
		replica := ReplicaID(id)
		if replica == g.replica {
			continue
		}
		// The library forgets now and then who was active, to find out anew.
		at, known := g.heardOf[replica]
		if p.RecentActive {
			at, known = g.ticks, true
		}
		if known {
			heardOf[replica] = at
		}
		peers = append(peers, Peer{
			Replica: replica, Learner: p.IsLearner, Match: Index(p.Match), State: peerState(p.State),
			Active: known && g.ticks-at <= g.host.electionTicks,
		})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.Replica, b.Replica) })
	g.heardOf = heardOf
	g.shownPeers.Store(&peers)
}

func peerState(s tracker.StateType) PeerState {
	switch s {
	case tracker.StateReplicate:
		return PeerReplicating
	case tracker.StateSnapshot:
		return PeerNeedsSnapshot
	}
	return PeerProbed
}

func replicas(ids []uint64) []ReplicaID {
	named := make([]ReplicaID, len(ids))
	for i, id := range ids {
		named[i] = ReplicaID(id)
	}
	return named
}
