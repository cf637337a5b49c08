package command

import (
	"context"
	"math"
	"time"
)

// replicationCommands are those by which clients of a replicated Redis learn who leads and what is safe.
func replicationCommands() []*Spec {
	row := func(name string, conn connFunc, family Family, flags Flags, summary string, args ...Arg) *Spec {
		return &Spec{
			Name: name, Conn: conn, Family: family, Flags: flags, Since: "0.1.0", Cost: "O(1)",
			Summary: summary, Args: args,
		}
	}
	waitaof := row("waitaof", waitAOF, Generic, Barrier,
		"Answers how many nodes hold the connection's writes on disk: this one, and other voters.",
		Int("numlocal"), Int("numreplicas"), Int("timeout"))
	failover := row("failover", failover, Server, Admin|NoMulti|Barrier,
		"Gives the leadership to another voter, and answers when it leads.",
		Opt(Tok("TO", Str("host"), Int("port"), Opt(Tok("FORCE")))), Opt(Tok("ABORT")),
		Opt(Tok("TIMEOUT", Int("milliseconds"))))
	asking := row("asking", ok, Clusters, Fast, "Accepted for compatibility.")
	waitaof.Since, failover.Since, asking.Since = "0.2.0", "0.2.0", "0.2.0"
	return []*Spec{
		row("role", role, Server, Fast, "Answers the role of the node in replication: who leads, and who follows."),
		row("wait", wait, Generic, Barrier,
			"Answers how many other voters hold the connection's writes, and waits for as many as are asked for.",
			Int("numreplicas"), Int("timeout")),
		waitaof, failover,
		row("readonly", ok, Connection, Fast, "Accepted for compatibility: reads stay linearizable on any node."),
		row("readwrite", ok, Connection, Fast, "Accepted for compatibility."),
		asking,
	}
}

// role is ROLE. A follower that takes any command all the same says truly that it follows: clients that ask
// want to find the leader.
func role(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	if !t.Leads() {
		leader := t.Member(t.Leader)
		addr, state := s.address(&t, leader), "connected"
		if leader == nil {
			state = "connect"
		}
		r.Array(5)
		r.BulkString("slave")
		r.BulkString(addr.Host)
		r.Int(int64(addr.Port))
		r.BulkString(state)
		r.Int(int64(t.Applied))
		return
	}
	r.Array(3)
	r.BulkString("master")
	r.Int(int64(t.Applied))
	replicas := t.replicas()
	r.Array(len(replicas))
	for _, m := range replicas {
		addr := s.address(&t, m)
		r.Array(3)
		r.BulkString(addr.Host)
		r.BulkString(formatInt(int64(addr.Port)))
		r.BulkString(formatInt(int64(t.offset(m))))
	}
}

// wait is WAIT: see Cluster.Held. What the connection has written was answered before, and so is applied here.
func wait(ctx context.Context, s *Session, c *Call, r *Reply) {
	wanted, ok := parseInt(c.Arg(1))
	if !ok {
		r.Error(ErrNotInteger)
		return
	}
	timeout, err := waitTimeout(c.Arg(2))
	if err != nil {
		r.Error(err)
		return
	}
	r.Int(s.held(ctx, wanted, timeout))
}

// waitAOF is WAITAOF. What is answered is on the disk of this node.
func waitAOF(ctx context.Context, s *Session, c *Call, r *Reply) {
	local, okLocal := parseInt(c.Arg(1))
	wanted, okWanted := parseInt(c.Arg(2))
	timeout, err := waitTimeout(c.Arg(3))
	switch {
	case !okLocal || local < 0 || local > 1:
		err = &Error{Invalid, "value is out of range, value must between 0 and 1"}
	case !okWanted || wanted < 0:
		err = &Error{Invalid, "value is out of range, must be positive"}
	}
	if err != nil {
		r.Error(err)
		return
	}
	held := s.held(ctx, wanted, timeout)
	r.Array(2)
	r.Int(1)
	r.Int(held)
}

// held asks the cluster how many other voters hold what the connection has written. Inside of EXEC nothing is
// waited for.
func (s *Session) held(ctx context.Context, wanted int64, timeout time.Duration) int64 {
	if s.executing {
		wanted = 0
	}
	return int64(s.Host.Node().Cluster().Held(ctx, int(min(max(wanted, 0), math.MaxInt32)), timeout))
}

// waitTimeout reads a timeout in milliseconds; 0 is none.
func waitTimeout(arg []byte) (time.Duration, *Error) {
	ms, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, &Error{Invalid, "timeout is not an integer or out of range"}
	case ms < 0:
		return 0, &Error{Invalid, "timeout is negative"}
	case ms > math.MaxInt64/int64(time.Millisecond):
		return 0, &Error{Invalid, "timeout is out of range"}
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// failover is FAILOVER. Unlike Redis it answers when the transfer is over.
func failover(ctx context.Context, s *Session, c *Call, r *Reply) {
	if c.Options.Has("ABORT") {
		if c.Options.Has("TO") || c.Options.Has("TIMEOUT") {
			r.Error(ErrSyntax)
			return
		}
		r.Error(&Error{Precondition, "No failover in progress."})
		return
	}
	if c.Options.Has("FORCE") {
		r.Error(errForce)
		return
	}
	if text := c.Value("TIMEOUT"); text != nil {
		ms, ok := parseInt(text)
		if !ok || ms <= 0 || ms > math.MaxInt64/int64(time.Millisecond) {
			r.Error(&Error{Invalid, "FAILOVER timeout must be greater than 0"})
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	target, err := s.failoverTarget(c)
	if err != nil {
		r.Error(err)
		return
	}
	r.done(s.membership().Transfer(ctx, target))
}

// failoverTarget names the voter that FAILOVER TO asks for, "" if it asks for none.
func (s *Session) failoverTarget(c *Call) (string, *Error) {
	at, port := c.Options.At("TO"), int64(0)
	if at != 0 {
		var ok bool
		if port, ok = parseInt(c.Arg(at + 1)); !ok {
			return "", ErrNotInteger
		}
	}
	t := s.topology()
	if t.Voters() < 2 {
		return "", &Error{Precondition, "FAILOVER requires connected replicas."}
	}
	if at == 0 {
		return "", nil
	}
	for i := range t.Members {
		m := &t.Members[i]
		addr := s.address(&t, m)
		if m.Voter && m.ID != t.Leader && int64(addr.Port) == port && foldEqual(c.Arg(at), addr.Host) {
			return shortID(m.ID), nil
		}
	}
	return "", &Error{Precondition, "FAILOVER target HOST and PORT is not a replica."}
}
