package command

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Cluster is the group of nodes that a node belongs to. A node alone is a cluster of one.
type Cluster interface {
	Membership
	// Topology returns what this node knows of the cluster now. It asks nobody and does not block.
	Topology() Topology
	// Held returns how many voters beside this node certainly hold, on disk, everything that this node had
	// applied when it was called. It waits until that are as many as are wanted, or as there can be, or as
	// this node can learn of; not longer than timeout, if that is not 0, and not beyond the end of ctx.
	Held(ctx context.Context, wanted int, timeout time.Duration) int
}

// Membership changes who belongs to a cluster, who leads it, and how it serves reads. Any node takes these calls. A
// node is named by its name or by its id in hexadecimal digits. Each call returns when the change is complete or, with
// an error whose Code tells which, refused or uncertain; the implementation bounds the time. What the state of the
// cluster forbids is refused with Precondition.
type Membership interface {
	// Add invites the node that waits at a peer address. It becomes a learner, and a voter when it has caught up.
	Add(ctx context.Context, addr string) *Error
	// Promote makes a learner a voter.
	Promote(ctx context.Context, node string) *Error
	// Remove ends a membership for good: the id never comes back. A removal after which the voters that can be
	// reached would be no majority is refused, unless it is forced.
	Remove(ctx context.Context, node string, force bool) *Error
	// Transfer gives the leadership to a voter; "" takes the one that lags least.
	Transfer(ctx context.Context, node string) *Error
	// Replace lets the member or waiting node named or addressed by new take the place of old.
	Replace(ctx context.Context, old, new string) *Error
	// SetReads says how the leader serves reads: under a lease that lasts so long, or with 0 by asking a majority.
	SetReads(ctx context.Context, lease time.Duration) *Error
}

// Topology is a cluster as one node knows it. Its members are the reader's own.
type Topology struct {
	Self   uint64 // id of the node that tells
	Leader uint64 // 0: unknown
	Term   uint64
	// Log names the replicated log to clients, the same on all nodes: 40 hexadecimal digits.
	Log     string
	Commit  uint64 // index up to which this node knows the log as committed
	Applied uint64 // index up to which this node has applied it
	TLS     bool   // the doors speak TLS
	// Lease is how long a round of the voters lets the leader serve reads from its memory; 0: each read asks them.
	Lease   time.Duration
	Members []Member // by id; this node is one of them unless it was removed
}

// Member is one node of a cluster.
type Member struct {
	ID    uint64
	Name  string
	RESP  Address // where Redis clients connect
	GRPC  string  // host:port for gRPC clients; "": none
	Peer  string  // host:port for the other nodes; "": none
	Voter bool    // else a learner, which catches up and has no vote
	// Connected: this node, or the leader if this node leads, has heard of the member lately.
	Connected bool
	// Match is the index up to which the member certainly holds the log on disk; 0: not known here. A leader
	// knows it of all members.
	Match uint64
	// Quarantined: its data is known here to be wrong. It votes and keeps the log, but serves no client.
	Quarantined bool
	// ClockAhead is how far the member's wall clock is ahead of the voters', if that is known here to be so much that
	// times to live do not go by it; else 0.
	ClockAhead time.Duration
}

// Address is where a node listens. An empty host stands for the one by which a client has reached the node.
type Address struct {
	Host string
	Port int
}

// Known reports whether the address tells a port.
func (a Address) Known() bool { return a.Port > 0 }

// String returns host:port.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// MemberID writes the id of a node as Redis writes ids: 40 hexadecimal digits.
func MemberID(id uint64) string { return fmt.Sprintf("%040x", id) }

// Leads reports whether the node that tells is the leader.
func (t *Topology) Leads() bool { return t.Leader != 0 && t.Leader == t.Self }

// serves reports whether clients can be sent to a member.
func (t *Topology) serves(m *Member) bool { return (m.Connected || m.ID == t.Self) && !m.Quarantined }

// Member returns a member by its id, nil if there is none.
func (t *Topology) Member(id uint64) *Member {
	for i := range t.Members {
		if t.Members[i].ID == id {
			return &t.Members[i]
		}
	}
	return nil
}

// Voters returns how many members have a vote.
func (t *Topology) Voters() int {
	n := 0
	for i := range t.Members {
		if t.Members[i].Voter {
			n++
		}
	}
	return n
}

// front returns the member that clients are sent to: the leader. While none is known, or not yet where it listens, it
// is the node itself, which passes commands on as soon as it can; one without a vote names a voter that it has heard
// of. It is nil only if there are no members.
func (t *Topology) front() *Member {
	if leader := t.Member(t.Leader); leader != nil && leader.RESP.Known() {
		return leader
	}
	self := t.Member(t.Self)
	if self != nil && self.Voter {
		return self
	}
	for i := range t.Members {
		if m := &t.Members[i]; m.Voter && m.Connected {
			return m
		}
	}
	return self
}

// replicas returns the voters beside the one that clients are sent to, if clients can reach them.
func (t *Topology) replicas() []*Member {
	front := t.front()
	var list []*Member
	for i := range t.Members {
		m := &t.Members[i]
		if m != front && m.Voter && m.RESP.Known() && t.serves(m) {
			list = append(list, m)
		}
	}
	return list
}

// topology returns what the node of a session knows of its cluster.
func (s *Session) topology() Topology { return s.Host.Node().Cluster().Topology() }

// address returns where the session's client can reach a member.
func (s *Session) address(t *Topology, m *Member) Address {
	if m == nil {
		return Address{}
	}
	if m.RESP.Host != "" || m.ID != t.Self {
		return m.RESP
	}
	host, _, err := net.SplitHostPort(s.Local)
	if err != nil {
		return m.RESP
	}
	return Address{Host: host, Port: m.RESP.Port}
}

// offset returns how far a member has come in the log, as far as is known here.
func (t *Topology) offset(m *Member) uint64 {
	if m.ID == t.Self {
		return t.Applied
	}
	return m.Match
}
