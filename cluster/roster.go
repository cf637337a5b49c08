package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// Seat is a place in the configuration of the cluster, and who has it.
type Seat struct {
	Member // of somebody who has not told: the ids only
	Voter  bool
	// Connected: this node, or the leader if this node leads, has heard of it lately.
	Connected bool
	// Match is the index up to which it certainly holds the log; 0: not known here.
	Match uint64
}

// voters are those who vote in the applied configuration, in either half of a joint one.
func voters(s *raft.Status) []raft.ReplicaID {
	all := slices.Concat(s.Voters, s.Outgoing)
	slices.Sort(all)
	return slices.Compact(all)
}

// inConfiguration reports whether a replica is in the applied configuration.
func inConfiguration(s *raft.Status, r raft.ReplicaID) bool {
	return slices.Contains(s.Voters, r) || slices.Contains(s.Outgoing, r) || slices.Contains(s.Learners, r)
}

// Roster returns the applied configuration as of a status of the group, by id.
func (n *Node) Roster(s raft.Status) []Seat {
	known := n.known(&s)
	connected := n.connected(&s)
	var seats []Seat
	voting := voters(&s)
	for _, r := range slices.Concat(voting, s.Learners) {
		seat := Seat{Member: known[uint64(r)]}
		seat.Node = uint64(r)
		_, seat.Voter = slices.BinarySearch(voting, r)
		if r == s.Replica {
			seat.Connected, seat.Match = true, uint64(s.Last)
		} else {
			seat.Connected = connected[uint64(r)]
		}
		for i := range s.Peers {
			if s.Peers[i].Replica == r {
				seat.Match = uint64(s.Peers[i].Match)
			}
		}
		seats = append(seats, seat)
	}
	slices.SortFunc(seats, func(a, b Seat) int { return cmp.Compare(a.Node, b.Node) })
	return seats
}

// connected returns who has been heard of lately.
func (n *Node) connected(s *raft.Status) map[uint64]bool {
	connected := map[uint64]bool{}
	switch {
	case s.Role == raft.RoleLeader:
		for i := range s.Peers {
			connected[uint64(s.Peers[i].Replica)] = s.Peers[i].Active
		}
	case n.transport != nil:
		status := n.transport.Status()
		for i := range status.Peers {
			connected[uint64(status.Peers[i].ID)] = status.Peers[i].Raft.Connected
		}
	}
	return connected
}

// known returns the members that are known as of a status: those in the charter, and beside them those in the
// configuration that have not said who they are, from the founding list. Who has not seen a configuration yet knows
// those it was told of when it joined.
func (n *Node) known(s *raft.Status) map[uint64]Member {
	known := map[uint64]Member{}
	n.mu.Lock()
	known[n.self.Node] = n.selfLocked()
	if l := n.record.Founding; l != nil && l.Sealed {
		for i := range l.Founders {
			f := &l.Founders[i]
			known[f.Node] = Member{Node: f.Node, Incarnation: f.Incarnation, Name: f.Name, Peer: f.Addr}
		}
	}
	for _, m := range n.record.Members {
		known[m.Node] = m
	}
	n.mu.Unlock()
	settled := map[uint64]bool{}
	for _, entry := range s.Charter.Members {
		if m, err := readMember(entry); err == nil {
			known[m.Node] = m
			settled[m.Node] = true
		}
	}
	maps.DeleteFunc(known, func(id uint64, _ Member) bool {
		r := raft.ReplicaID(id)
		return s.Charter.HasRemoved(r) || len(s.Voters) > 0 && !settled[id] && !inConfiguration(s, r)
	})
	return known
}

// syncPeers makes the transport's peers those that are known, and keeps them for the next start.
func (n *Node) syncPeers(s *raft.Status) error {
	known := n.known(s)
	members := slices.SortedFunc(maps.Values(known), func(a, b Member) int { return cmp.Compare(a.Node, b.Node) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(members, n.peers) {
		if err := n.setPeers(members, known); err != nil {
			return err
		}
	}
	if slices.Equal(members, n.record.Members) {
		return nil
	}
	next := n.record
	next.Members = members
	return n.keep(next, 0)
}

// setPeers gives the transport its peers. The caller holds mu.
func (n *Node) setPeers(members []Member, known map[uint64]Member) error {
	for _, m := range n.peers {
		if _, still := known[m.Node]; !still {
			n.transport.RemovePeer(transport.NodeID(m.Node))
		}
	}
	for _, m := range members {
		err := n.transport.SetPeer(transport.Peer{
			ID: transport.NodeID(m.Node), Addr: m.Peer, Incarnation: m.Incarnation,
		})
		if err != nil {
			return err
		}
	}
	n.peers = members
	return nil
}

// find returns the seat that people mean: by name, or by id.
func find(seats []Seat, node string) *Seat {
	for i := range seats {
		if seats[i].Name == node {
			return &seats[i]
		}
	}
	id, ok := parseID(strings.ToLower(node))
	for i := range seats {
		if ok && seats[i].Node == id {
			return &seats[i]
		}
	}
	return nil
}
