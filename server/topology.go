package server

import (
	"cmp"
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
)

// topology is the cluster as commands see it: command.Cluster over the raft group and what is known of its
// members.
type topology struct {
	group groupView
	self  uint64
	log   string // names the replicated log to clients
	tls   bool
	clock clock.Clock
	command.Membership
	// roster returns the members as of a status of the group, by id.
	roster func(raft.Status) []command.Member
	// wrong returns the members whose data is known to be wrong, this node among them if its is; nil: nobody asks.
	wrong func() []uint64
	// clocks returns how far the wall clocks that are known to be wrong are ahead, this node's among them; nil: there
	// are no others.
	clocks func() map[uint64]time.Duration

	mu       sync.Mutex
	majority electorate // guarded by mu
}

// electorate is the voters as a node saw them last.
type electorate struct {
	voters, outgoing []raft.ReplicaID
	// since is an index behind which every entry was committed by these voters.
	since raft.Index
}

// least returns how many voters beside the node itself certainly hold the log up to index, if it is committed: a
// majority holds it, of which the node may be one. Of what was committed by other voters nothing is certain.
func (e *electorate) least(index raft.Index) int {
	if index <= e.since {
		return 0
	}
	return max(len(e.voters), len(e.outgoing)) / 2
}

// see takes note of who votes. It is asked often enough that changes are noticed soon.
func (c *topology) see(s *raft.Status) electorate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := &c.majority; !slices.Equal(m.voters, s.Voters) || !slices.Equal(m.outgoing, s.Outgoing) {
		*m = electorate{voters: s.Voters, outgoing: s.Outgoing, since: s.Last}
	}
	return c.majority
}

// groupView is what the cluster asks of the raft group.
type groupView interface{ Status() raft.Status }

// heldInterval is how often Held looks again. Peers' progress is published at ticks of raft, of 50 ms.
const heldInterval = 10 * time.Millisecond

// Topology returns what this node knows of the cluster. Part of command.Cluster.
func (c *topology) Topology() command.Topology {
	s := c.group.Status()
	c.see(&s)
	return c.of(s)
}

// of makes the topology of a status.
func (c *topology) of(s raft.Status) command.Topology {
	members := c.roster(s)
	if c.wrong != nil {
		wrong := c.wrong()
		for i := range members {
			members[i].Quarantined = slices.Contains(wrong, members[i].ID)
		}
	}
	if c.clocks != nil {
		ahead := c.clocks()
		for i := range members {
			members[i].ClockAhead = ahead[members[i].ID]
		}
	}
	return command.Topology{
		Self: c.self, Leader: uint64(s.Leader), Term: uint64(s.Term), Log: c.log, TLS: c.tls,
		Commit: uint64(s.Commit), Applied: uint64(s.Applied), Members: members,
		Lease: lease(s.Charter.Reads),
	}
}

// lease is how long a leader may serve reads without asking, as the group has settled it; 0: not at all.
func lease(reads raft.Reads) time.Duration {
	if reads.Mode == raft.ReadByQuorum {
		return 0
	}
	return reads.Lease
}

// Held counts the other voters that hold what is applied here. Part of command.Cluster. What is applied was
// committed, so a majority holds it. The leader knows more from its voters' acknowledgements, and waits for them;
// others know no more and do not wait.
func (c *topology) Held(ctx context.Context, wanted int, timeout time.Duration) int {
	s := c.group.Status()
	electorate := c.see(&s)
	t := c.of(s)
	index, least := t.Applied, electorate.least(s.Applied)
	var late <-chan time.Time
	if timeout > 0 {
		timer := c.clock.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C()
	}
	for {
		held, others := held(&t, index)
		held = max(held, least)
		if held >= min(wanted, others) || !t.Leads() {
			return held
		}
		again := c.clock.NewTimer(heldInterval)
		select {
		case <-again.C():
		case <-late:
			return held
		case <-ctx.Done():
			again.Stop()
			return held
		}
		again.Stop()
		t = c.Topology()
	}
}

// held counts the voters beside the node itself, and those of them that hold the log up to index.
func held(t *command.Topology, index uint64) (held, others int) {
	for i := range t.Members {
		m := &t.Members[i]
		if m.ID == t.Self || !m.Voter {
			continue
		}
		others++
		if m.Match >= index {
			held++
		}
	}
	return held, others
}

// newTopology is the cluster of a node whose Redis clients connect to resp.
func newTopology(c *core, config *Config, resp net.Addr) *topology {
	t := &topology{
		group: c.group, self: c.identity.Node, log: replicationID(c.identity), tls: config.Security.TLSCert != "",
		clock: clock.System, Membership: loneMembership{},
	}
	if c.cluster.Transport() != nil {
		t.Membership = membership{c.cluster}
	}
	own := clientAddress(cmp.Or(config.Cluster.AdvertiseRespAddr, resp.String()))
	t.wrong = func() []uint64 {
		wrong := c.store.DigestStatus().Wrong
		if _, yes := c.store.Quarantined(); yes {
			wrong = append(wrong, t.self)
		}
		return wrong
	}
	if c.clock != nil {
		t.clocks = c.clock.wrong
	}
	t.roster = func(s raft.Status) []command.Member { return roster(c.cluster.Roster(s), t.self, own) }
	return t
}

// clientAddress is an address that is listened on, as clients are told: without a host if every interface is.
func clientAddress(addr string) command.Address {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return command.Address{}
	}
	port, _ := strconv.Atoi(text)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return command.Address{Host: host, Port: port}
}

// replicationID names the log of a cluster to clients, in 40 hexadecimal digits as Redis does: the same on all
// of its nodes. It does not tell the cluster's id.
func replicationID(id nodedb.Identity) string {
	sum := digest("primatomic replication", id.Cluster)
	return hex.EncodeToString(sum[:20])
}
