package command

import (
	"context"
	"fmt"
	"time"
)

// memberRows are the administration of members, part of CLUSTER.
func memberRows() []*Spec {
	admin := func(name string, conn connFunc, summary string, args ...Arg) *Spec {
		row := clusterRow(name, conn, summary, args...)
		row.Flags = Admin | NoMulti | Barrier
		return row
	}
	takeover := admin("failover", clusterFailover, "Gives the leadership to this node.",
		Opt(OneOf("options", Tok("FORCE"), Tok("TAKEOVER"))))
	return []*Spec{
		admin("status", clusterStatus, "Describes the members of the cluster as this node knows them."),
		admin("add", clusterAdd, "Invites the node that waits at a peer address to become a member.",
			Str("host:port")),
		admin("promote", clusterPromote, "Makes a learner a voter.", Str("node")),
		admin("remove", clusterRemove, "Removes a member for good; FORCE even if that loses the majority.",
			Str("node"), Opt(Tok("FORCE"))),
		admin("transfer", clusterTransfer, "Gives the leadership to a voter, or to the one that lags least.",
			Opt(Str("node"))),
		admin("reads", clusterReads, "Sets how the leader serves reads: under a lease, or asking a majority each time.",
			OneOf("mode", Tok("LEASE", Int("milliseconds")), Tok("QUORUM"))),
		admin("replace", clusterReplace, "Lets a new node take the place of a member.", Str("old"), Str("new")),
		takeover,
	}
}

// membership returns what changes the cluster of the session's node.
func (s *Session) membership() Membership { return s.Host.Node().Cluster() }

func (r *Reply) done(err *Error) {
	if err != nil {
		r.Error(err)
		return
	}
	r.OK()
}

func clusterAdd(ctx context.Context, s *Session, c *Call, r *Reply) {
	r.done(s.membership().Add(ctx, string(c.Arg(2))))
}

func clusterPromote(ctx context.Context, s *Session, c *Call, r *Reply) {
	r.done(s.membership().Promote(ctx, string(c.Arg(2))))
}

func clusterRemove(ctx context.Context, s *Session, c *Call, r *Reply) {
	r.done(s.membership().Remove(ctx, string(c.Arg(2)), c.Options.Has("FORCE")))
}

func clusterTransfer(ctx context.Context, s *Session, c *Call, r *Reply) {
	node := ""
	if len(c.Args) > 2 {
		node = string(c.Arg(2))
	}
	r.done(s.membership().Transfer(ctx, node))
}

func clusterReplace(ctx context.Context, s *Session, c *Call, r *Reply) {
	r.done(s.membership().Replace(ctx, string(c.Arg(2)), string(c.Arg(3))))
}

func clusterReads(ctx context.Context, s *Session, c *Call, r *Reply) {
	lease := time.Duration(0)
	if value := c.Value("LEASE"); value != nil {
		ms, _ := parseInt(value)
		if ms <= 0 || ms > leaseMax.Milliseconds() {
			r.Error(errLease)
			return
		}
		lease = time.Duration(ms) * time.Millisecond
	}
	r.done(s.membership().SetReads(ctx, lease))
}

// leaseMax bounds the lease that can be asked for at all; raft has closer bounds.
const leaseMax = time.Minute

var errLease = &Error{Invalid, "a lease is a whole number of milliseconds, from 10 to 10000; 300 is the default"}

// errForce refuses to make a node the leader that may lack what was acknowledged.
var errForce = &Error{Unsupported, "a failover cannot be forced: a majority elects the leader, and no acknowledged " +
	"write is ever given up"}

// clusterFailover is CLUSTER FAILOVER, which a client sends to the node that is to lead.
func clusterFailover(ctx context.Context, s *Session, c *Call, r *Reply) {
	t := s.topology()
	switch {
	case c.Options.Any():
		r.Error(errForce)
	case t.Leads():
		r.Error(&Error{Precondition, "You should send CLUSTER FAILOVER to a replica"})
	default:
		r.done(s.membership().Transfer(ctx, shortID(t.Self)))
	}
}

// shortID names a node as calls of Membership take it.
func shortID(id uint64) string { return fmt.Sprintf("%016x", id) }

// clusterStatus is CLUSTER STATUS.
func clusterStatus(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	r.Map(7)
	r.BulkString("node")
	r.BulkString(shortID(t.Self))
	r.BulkString("leader")
	if t.Leader == 0 {
		r.Null()
	} else {
		r.BulkString(shortID(t.Leader))
	}
	for _, field := range []struct {
		name  string
		value uint64
	}{{"term", t.Term}, {"commit", t.Commit}, {"applied", t.Applied}} {
		r.BulkString(field.name)
		r.Int(int64(field.value))
	}
	r.BulkString("lease")
	r.Int(t.Lease.Milliseconds())
	r.BulkString("members")
	r.Array(len(t.Members))
	for i := range t.Members {
		s.appendMember(r, &t, &t.Members[i])
	}
}

// appendMember appends a member as CLUSTER STATUS describes it.
func (s *Session) appendMember(r *Reply, t *Topology, m *Member) {
	role, resp := "learner", ""
	switch {
	case m.ID == t.Leader:
		role = "leader"
	case m.Voter:
		role = "voter"
	}
	if addr := s.address(t, m); addr.Known() {
		resp = addr.String()
	}
	texts := [][2]string{
		{"id", shortID(m.ID)}, {"name", m.Name}, {"role", role},
		{"resp", resp}, {"grpc", m.GRPC}, {"peer", m.Peer},
	}
	r.Map(len(texts) + 4)
	for _, field := range texts {
		r.BulkString(field[0])
		r.BulkString(field[1])
	}
	r.BulkString("connected")
	r.Bool(m.Connected || m.ID == t.Self)
	r.BulkString("match")
	r.Int(int64(m.Match))
	r.BulkString("quarantined")
	r.Bool(m.Quarantined)
	r.BulkString("clock-ahead")
	r.Int(m.ClockAhead.Milliseconds())
}
