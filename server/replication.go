package server

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
)

// replicationInfo is the section Replication of INFO, in the fields that Redis has. Offsets are places in the raft
// log.
func (n *node) replicationInfo() []command.InfoField {
	t := n.cluster.Topology()
	if t.Leads() {
		return append(append(fields("role", "master"), replicasInfo(&t)...), offsetsInfo(&t)...)
	}
	link, addr := "down", command.Address{}
	if leader := t.Member(t.Leader); leader != nil {
		link, addr = "up", leader.RESP
	}
	return append(fields(
		"role", "slave",
		"master_host", addr.Host,
		"master_port", addr.Port,
		"master_link_status", link,
		"master_last_io_seconds_ago", 0,
		"master_sync_in_progress", 0,
		"slave_read_repl_offset", t.Applied,
		"slave_repl_offset", t.Applied,
		"slave_priority", 100,
		"slave_read_only", 0,
		"replica_announced", 1,
		"connected_slaves", 0,
	), offsetsInfo(&t)...)
}

// replicasInfo tells of the other members: those with a vote are online.
func replicasInfo(t *command.Topology) []command.InfoField {
	var list []command.InfoField
	connected := 0
	for i := range t.Members {
		m := &t.Members[i]
		if m.ID == t.Self || !m.Connected {
			continue
		}
		state := "online"
		if !m.Voter {
			state = "send_bulk"
		}
		list = append(list, command.InfoField{
			Name: fmt.Sprintf("slave%d", connected),
			Value: fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=0",
				m.RESP.Host, m.RESP.Port, state, m.Match),
		})
		connected++
	}
	return append(fields("connected_slaves", connected), list...)
}

func offsetsInfo(t *command.Topology) []command.InfoField {
	return fields(
		"master_failover_state", "no-failover",
		"master_replid", t.Log,
		"master_replid2", strings.Repeat("0", 40),
		"master_repl_offset", t.Applied,
		"second_repl_offset", -1,
	)
}

// raftInfo is the section Raft of INFO.
func (n *node) raftInfo() []command.InfoField {
	s := n.group.Status()
	lease := 0
	if s.Leased {
		lease = 1
	}
	t := n.cluster.Topology()
	list := fields(
		"raft_group", uint64(s.Group),
		"raft_replica", uint64(s.Replica),
		"raft_node", s.Replica.String(),
		"raft_role", s.Role,
		"raft_term", uint64(s.Term),
		"raft_leader", uint64(s.Leader),
		"raft_commit_index", uint64(s.Commit),
		"raft_applied_index", uint64(s.Applied),
		"raft_first_index", uint64(s.First),
		"raft_last_index", uint64(s.Last),
		"raft_lease_held", lease,
		"raft_voters", len(s.Voters),
		"raft_learners", len(s.Learners),
	)
	list = append(list, digestInfo(n.store)...)
	for i := range t.Members {
		list = append(list, command.InfoField{
			Name: "raft_member" + strconv.Itoa(i), Value: memberLine(&t, &t.Members[i], s.Role),
		})
	}
	return list
}

// digestInfo tells how the node's data compares with that of the others.
func digestInfo(s *store.Store) []command.InfoField {
	d := s.DigestStatus()
	wrong := make([]string, len(d.Wrong))
	for i, id := range d.Wrong {
		wrong[i] = cluster.ID(id)
	}
	_, quarantined := s.Quarantined()
	return fields(
		"digest_index", uint64(d.Made),
		"digest_agreed_index", uint64(d.Agreed),
		"digest_disputed_index", uint64(d.Disputed),
		"digest_skipped", d.Skipped,
		"digest_differing", strings.Join(wrong, ","),
		"quarantined", int(number(quarantined)),
	)
}

// memberLine describes a member in the form of slaveN. A match is known to the leader alone.
func memberLine(t *command.Topology, m *command.Member, own raft.Role) string {
	role, connected := "learner", 0
	switch {
	case m.ID == t.Leader:
		role = "leader"
	case m.Voter:
		role = "voter"
	}
	if m.Connected || m.ID == t.Self {
		connected = 1
	}
	line := fmt.Sprintf("id=%s,name=%s,role=%s,peer=%s,connected=%d", cluster.ID(m.ID), m.Name, role, m.Peer, connected)
	if m.Quarantined {
		line += ",quarantined=1"
	}
	if own == raft.RoleLeader {
		line += fmt.Sprintf(",match=%d", m.Match)
	}
	return line
}
