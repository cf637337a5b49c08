package command

import (
	"context"
	"fmt"
	"strings"
)

// noSlots is why the commands that spread slots over nodes are refused.
const noSlots = "all hash slots belong to the leader, and members are changed with CLUSTER ADD and CLUSTER REMOVE"

// clusterContainer is CLUSTER: what cluster-aware clients ask in order to find the leader, and our own
// administration of members. The administration of Redis Cluster is refused.
func clusterContainer() *Spec {
	sub := []*Spec{
		clusterRow("info", clusterInfo, "Tells whether there is a leader, in the form of Redis Cluster."),
		clusterRow("nodes", clusterNodes, "Describes the nodes, a line for each."),
		clusterRow("slots", clusterSlots, "Answers that all hash slots are the leader's."),
		clusterRow("shards", clusterShards, "Answers that all nodes are one shard, with every hash slot."),
		clusterRow("myid", clusterMyID, "Answers the id of the node."),
		clusterRow("myshardid", clusterMyShardID, "Answers the id of the replicated log."),
		clusterRow("links", clusterLinks, "Lists the nodes that this one has heard of lately."),
		clusterRow("replicas", clusterReplicas, "Describes the replicas of a node.", Str("node-id")),
		clusterRow("slaves", clusterReplicas, "Describes the replicas of a node.", Str("node-id")),
	}
	sub = append(sub, slotRows()...)
	sub = append(sub, memberRows()...)
	for _, name := range []string{
		"addslots", "addslotsrange", "delslots", "delslotsrange", "flushslots", "setslot", "meet", "forget",
		"replicate", "reset", "bumpepoch", "set-config-epoch", "saveconfig", "count-failure-reports",
	} {
		sub = append(sub, unsupported(name, Clusters, noSlots, Opt(Many(Str("arg")))))
	}
	return &Spec{
		Name: "cluster", Family: Clusters, Since: "0.1.0",
		Summary: "Commands about the cluster.", Sub: append(sub, helpRow(Clusters)),
	}
}

func clusterRow(name string, conn connFunc, summary string, args ...Arg) *Spec {
	return &Spec{
		Name: name, Conn: conn, Family: Clusters, Since: "0.2.0", Cost: "O(N) in nodes",
		Summary: summary, Args: args,
	}
}

func clusterMyID(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	r.BulkString(MemberID(t.Self))
}

func clusterMyShardID(_ context.Context, s *Session, _ *Call, r *Reply) {
	r.BulkString(s.topology().Log)
}

func clusterKeySlot(_ context.Context, _ *Session, c *Call, r *Reply) { r.Int(int64(slotOf(c.Arg(2)))) }

// clusterInfo is CLUSTER INFO. Without a leader the state is fail: clients are to wait and ask again.
func clusterInfo(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	state, ok := "ok", slotCount
	if t.Leader == 0 {
		state, ok = "fail", 0
	}
	var b strings.Builder
	for _, field := range []struct {
		name  string
		value any
	}{
		{"cluster_state", state},
		{"cluster_slots_assigned", slotCount},
		{"cluster_slots_ok", ok},
		{"cluster_slots_pfail", slotCount - ok},
		{"cluster_slots_fail", 0},
		{"cluster_known_nodes", len(t.Members)},
		{"cluster_size", 1},
		{"cluster_current_epoch", t.Term},
		{"cluster_my_epoch", t.Term},
		{"cluster_stats_messages_sent", 0},
		{"cluster_stats_messages_received", 0},
		{"total_cluster_links_buffer_limit_exceeded", 0},
	} {
		fmt.Fprintf(&b, "%s:%v\r\n", field.name, field.value)
	}
	r.Verbatim(b.String())
}

// clusterNodes is CLUSTER NODES.
func clusterNodes(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	var b strings.Builder
	for i := range t.Members {
		b.WriteString(s.nodeLine(&t, &t.Members[i]) + "\n")
	}
	r.Verbatim(b.String())
}

// nodeLine is the line of a member in CLUSTER NODES. A learner is a node in handshake: clients do not send to
// those.
func (s *Session) nodeLine(t *Topology, m *Member) string {
	front, addr := t.front(), s.address(t, m)
	flags, master, link, slots := "slave", "-", "connected", ""
	switch {
	case m == front:
		flags, slots = "master", fmt.Sprintf(" 0-%d", slotCount-1)
	case !m.Voter:
		flags = "handshake"
	default:
		master = MemberID(front.ID)
	}
	if m.ID == t.Self {
		flags = "myself," + flags
	} else if !m.Connected {
		flags, link = flags+",fail?", "disconnected"
	}
	if m.Quarantined {
		flags += ",fail"
	}
	if !addr.Known() {
		flags += ",noaddr"
	}
	return fmt.Sprintf("%s %s@%d %s %s 0 0 %d %s%s",
		MemberID(m.ID), hostPort(addr), busPort(m.Peer), flags, master, t.Term, link, slots)
}

// hostPort writes an address as CLUSTER NODES does: without brackets round IPv6.
func hostPort(a Address) string { return fmt.Sprintf("%s:%d", a.Host, a.Port) }

// busPort is the port between nodes, 0 if there is none.
func busPort(peer string) int {
	at := strings.LastIndexByte(peer, ':')
	port, ok := parseInt([]byte(peer[at+1:]))
	if !ok {
		return 0
	}
	return int(port)
}

// clusterSlots is CLUSTER SLOTS: one range, first the node to send to.
func clusterSlots(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	front, replicas := t.front(), t.replicas()
	if front == nil || !front.RESP.Known() {
		r.Array(0)
		return
	}
	r.Array(1)
	r.Array(3 + len(replicas))
	r.Int(0)
	r.Int(slotCount - 1)
	for _, m := range append([]*Member{front}, replicas...) {
		addr := s.address(&t, m)
		r.Array(4)
		r.BulkString(addr.Host)
		r.Int(int64(addr.Port))
		r.BulkString(MemberID(m.ID))
		r.Array(0)
	}
}

// clusterShards is CLUSTER SHARDS.
func clusterShards(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	front := t.front()
	r.Array(1)
	r.Map(2)
	r.BulkString("slots")
	r.Array(2)
	r.Int(0)
	r.Int(slotCount - 1)
	r.BulkString("nodes")
	r.Array(len(t.Members))
	for i := range t.Members {
		m := &t.Members[i]
		addr, role, health, port := s.address(&t, m), "replica", "online", "port"
		if m == front {
			role = "master"
		}
		switch {
		case !t.serves(m):
			health = "fail"
		case !m.Voter:
			health = "loading"
		}
		if t.TLS {
			port = "tls-port"
		}
		r.Map(7)
		r.BulkString("id")
		r.BulkString(MemberID(m.ID))
		r.BulkString(port)
		r.Int(int64(addr.Port))
		for _, field := range [][2]string{{"ip", addr.Host}, {"endpoint", addr.Host}, {"role", role}} {
			r.BulkString(field[0])
			r.BulkString(field[1])
		}
		r.BulkString("replication-offset")
		r.Int(int64(t.offset(m)))
		r.BulkString("health")
		r.BulkString(health)
	}
}

// clusterLinks is CLUSTER LINKS. What else Redis tells of a link is not measured.
func clusterLinks(_ context.Context, s *Session, _ *Call, r *Reply) {
	t := s.topology()
	mark, n := r.BeginArray(), 0
	for i := range t.Members {
		m := &t.Members[i]
		if m.ID == t.Self || !m.Connected {
			continue
		}
		n++
		r.Map(6)
		for _, field := range [][2]string{{"direction", "to"}, {"node", MemberID(m.ID)}, {"events", "rw"}} {
			r.BulkString(field[0])
			r.BulkString(field[1])
		}
		for _, name := range []string{"create-time", "send-buffer-allocated", "send-buffer-used"} {
			r.BulkString(name)
			r.Int(0)
		}
	}
	r.EndArray(mark, n)
}

// clusterReplicas is CLUSTER REPLICAS.
func clusterReplicas(_ context.Context, s *Session, c *Call, r *Reply) {
	t := s.topology()
	var asked *Member
	for i := range t.Members {
		if foldEqual(c.Arg(2), MemberID(t.Members[i].ID)) {
			asked = &t.Members[i]
		}
	}
	switch front := t.front(); {
	case asked == nil:
		r.Error(Errorf(Invalid, "Unknown node %s", clip(c.Arg(2), quoteMax)))
	case asked != front:
		r.Error(&Error{Invalid, "The specified node is not a master"})
	default:
		var lines []string
		for i := range t.Members {
			if m := &t.Members[i]; m != front && m.Voter {
				lines = append(lines, s.nodeLine(&t, m))
			}
		}
		appendStrings(r, lines)
	}
}
