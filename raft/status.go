package raft

import (
	"fmt"

	etcdraft "go.etcd.io/raft/v3"
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
	}
}

func replicas(ids []uint64) []ReplicaID {
	named := make([]ReplicaID, len(ids))
	for i, id := range ids {
		named[i] = ReplicaID(id)
	}
	return named
}
