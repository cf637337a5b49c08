package command

import (
	"context"
	"fmt"
)

// SentinelMaster is the name under which the cluster appears in SENTINEL MASTERS, and in messages to subscribers.
// Calls that are given a name take any.
const SentinelMaster = "mymaster"

const noSentinel = "the nodes elect their leader by themselves, there is nothing to configure"

// sentinelContainer is SENTINEL: each node answers as a Redis Sentinel that watches its own cluster.
func sentinelContainer() *Spec {
	row := func(name string, conn connFunc, summary string, args ...Arg) *Spec {
		return &Spec{
			Name: name, Conn: conn, Family: Sentinels, Since: "0.2.0", Cost: "O(N) in nodes",
			Summary: summary, Args: args,
		}
	}
	name := Str("master-name")
	failover := row("failover", sentinelFailover, "Gives the leadership to another voter.", name)
	failover.Flags = Admin | NoMulti | Barrier
	sub := []*Spec{
		row("get-master-addr-by-name", sentinelAddress, "Answers where the leader is; any name will do.", name),
		row("masters", sentinelMasters, "Describes the leader, under the name "+SentinelMaster+"."),
		row("master", sentinelMaster, "Describes the leader.", name),
		row("replicas", sentinelReplicas, "Describes the followers.", name),
		row("slaves", sentinelReplicas, "Describes the followers.", name),
		row("sentinels", sentinelSentinels, "Describes the other nodes, each of which answers SENTINEL too.", name),
		row("ckquorum", sentinelQuorum, "Tells whether a majority of the voters can be reached.", name),
		row("myid", clusterMyID, "Answers the id of the node."),
		failover,
	}
	for _, name := range []string{
		"config", "debug", "flushconfig", "info-cache", "is-master-down-by-addr", "monitor", "pending-scripts",
		"remove", "reset", "set", "simulate-failure",
	} {
		sub = append(sub, unsupported(name, Sentinels, noSentinel, Opt(Many(Str("arg")))))
	}
	return &Spec{
		Name: "sentinel", Family: Sentinels, Since: "0.2.0",
		Summary: "Commands that Redis Sentinel has, by which clients find the leader.",
		Sub:     append(sub, helpRow(Sentinels)),
	}
}

// sentinelAddress is SENTINEL GET-MASTER-ADDR-BY-NAME.
func sentinelAddress(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	addr := s.address(&t, t.front())
	if !addr.Known() {
		r.NullArray()
		return
	}
	r.Array(2)
	r.BulkString(addr.Host)
	r.BulkString(formatInt(int64(addr.Port)))
}

func sentinelMasters(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	if t.front() == nil {
		r.Array(0)
		return
	}
	r.Array(1)
	s.appendMaster(r, &t, SentinelMaster)
}

func sentinelMaster(_ context.Context, s *Session, c *Call, r *Reply) {
	t := s.topology()
	if t.front() == nil {
		r.Error(&Error{Precondition, "No such master with that name"})
		return
	}
	s.appendMaster(r, &t, string(clip(c.Arg(2), quoteMax)))
}

// appendPairs appends a map of texts.
func (r *Reply) appendPairs(pairs ...string) {
	r.Map(len(pairs) / 2)
	for _, text := range pairs {
		r.BulkString(text)
	}
}

// appendMaster describes the node that clients are sent to under a name.
func (s *Session) appendMaster(r *Reply, t *Topology, name string) {
	front := t.front()
	addr, flags := s.address(t, front), "master"
	if front.ID != t.Self && !front.Connected {
		flags += ",s_down,disconnected"
	}
	voters := t.Voters()
	r.appendPairs(
		"name", name, "ip", addr.Host, "port", formatInt(int64(addr.Port)), "runid", MemberID(front.ID),
		"flags", flags, "link-pending-commands", "0", "link-refcount", "1",
		"last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
		"down-after-milliseconds", "1000", "info-refresh", "0", "role-reported", "master", "role-reported-time", "0",
		"config-epoch", fmt.Sprint(t.Term), "num-slaves", fmt.Sprint(max(voters-1, 0)),
		"num-other-sentinels", fmt.Sprint(max(len(t.Members)-1, 0)), "quorum", fmt.Sprint(voters/2+1),
		"failover-timeout", "10000", "parallel-syncs", "1",
	)
}

func sentinelReplicas(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	front, master := t.front(), s.address(&t, t.front())
	mark, n := r.BeginArray(), 0
	for i := range t.Members {
		m := &t.Members[i]
		addr := s.address(&t, m)
		if m == front || !m.Voter || !addr.Known() {
			continue
		}
		n++
		flags, link := "slave", "ok"
		if !t.serves(m) {
			flags, link = "s_down,slave,disconnected", "err"
		}
		r.appendPairs(
			"name", addr.String(), "ip", addr.Host, "port", formatInt(int64(addr.Port)), "runid", MemberID(m.ID),
			"flags", flags, "link-pending-commands", "0", "link-refcount", "1",
			"last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
			"down-after-milliseconds", "1000", "info-refresh", "0", "role-reported", "slave", "role-reported-time", "0",
			"master-link-down-time", "0", "master-link-status", link,
			"master-host", master.Host, "master-port", formatInt(int64(master.Port)),
			"slave-priority", "100", "slave-repl-offset", fmt.Sprint(t.offset(m)), "replica-announced", "1",
		)
	}
	r.EndArray(mark, n)
}

func sentinelSentinels(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	mark, n := r.BeginArray(), 0
	for i := range t.Members {
		m := &t.Members[i]
		if m.ID == t.Self || !m.RESP.Known() {
			continue
		}
		n++
		flags := "sentinel"
		if !m.Connected {
			flags = "s_down,sentinel,disconnected"
		}
		r.appendPairs(
			"name", MemberID(m.ID), "ip", m.RESP.Host, "port", formatInt(int64(m.RESP.Port)),
			"runid", MemberID(m.ID), "flags", flags, "link-pending-commands", "0", "link-refcount", "1",
			"last-ping-sent", "0", "last-ok-ping-reply", "0", "last-ping-reply", "0",
			"down-after-milliseconds", "1000", "last-hello-message", "0",
			"voted-leader", "?", "voted-leader-epoch", "0",
		)
	}
	r.EndArray(mark, n)
}

// sentinelQuorum is SENTINEL CKQUORUM.
func sentinelQuorum(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	reached, voters := 0, t.Voters()
	for i := range t.Members {
		if m := &t.Members[i]; m.Voter && (m.Connected || m.ID == t.Self) {
			reached++
		}
	}
	if t.Leader == 0 || reached < voters/2+1 {
		r.Error(Errorf(NoQuorum, "%d usable Sentinels. Not enough available Sentinels to reach the majority "+
			"and authorize a failover", reached))
		return
	}
	r.Status(fmt.Sprintf("OK %d usable Sentinels. Quorum and failover authorization can be reached", reached))
}

func sentinelFailover(ctx context.Context, s *Session, _ *Call, r *Reply) {
	if t := s.topology(); t.Voters() < 2 {
		r.Error(&Error{NoReplica, "No suitable replica to promote"})
		return
	}
	r.done(s.membership().Transfer(ctx, ""))
}
