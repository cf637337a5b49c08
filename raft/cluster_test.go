package raft

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// cluster is a set of hosts in one process, driven by one goroutine over a fake network.
type cluster struct {
	t     testing.TB
	rng   *rand.Rand
	now   time.Duration
	rates map[ReplicaID]float64 // of the replicas' clocks; 1 if absent
	nodes map[ReplicaID]*node
	order []ReplicaID
	wire  []letter
	// loss is the percentage of messages lost; a cut replica neither sends nor receives.
	loss int
	cut  map[ReplicaID]bool
	// stuck replicas' disks do not finish what they do.
	stuck map[ReplicaID]bool
	// delays returns how long each copy of a message travels; nil: one copy, not at all.
	delays func() []time.Duration
}

type letter struct {
	from, to ReplicaID
	group    GroupID
	message  *pb.Message
	due      time.Duration // delivered not before
}

// link is one replica's end of the network.
type link struct {
	cluster *cluster
	from    ReplicaID
}

func (l link) Send(group GroupID, messages []*pb.Message) {
	for _, m := range messages {
		for _, delay := range l.cluster.travel() {
			copied := proto.Clone(m).(*pb.Message)
			l.cluster.wire = append(l.cluster.wire,
				letter{l.from, ReplicaID(m.GetTo()), group, copied, l.cluster.now + delay})
		}
	}
}

func (c *cluster) travel() []time.Duration {
	if c.delays == nil {
		return []time.Duration{0}
	}
	return c.delays()
}

func newCluster(t *testing.T, seed uint64, voters ...ReplicaID) *cluster {
	cryptotest.SetGlobalRandom(t, seed)
	c := &cluster{
		t:     t,
		rng:   newRand(t, seed),
		rates: make(map[ReplicaID]float64),
		nodes: make(map[ReplicaID]*node),
		cut:   make(map[ReplicaID]bool),
		stuck: make(map[ReplicaID]bool),
	}
	for _, id := range voters {
		c.add(id).found(voters...).start()
	}
	return c
}

func (c *cluster) add(id ReplicaID) *node {
	n := newNode(c.t)
	n.replica, n.net = id, link{c, id}
	c.nodes[id] = n
	c.order = append(c.order, id)
	return n
}

// deliver gives one random message to its replica, or loses it.
func (c *cluster) deliver() bool {
	if len(c.wire) == 0 {
		return false
	}
	i := c.rng.IntN(len(c.wire))
	l := c.wire[i]
	c.wire = slices.Delete(c.wire, i, i+1)
	to := c.nodes[l.to]
	if to == nil || c.cut[l.from] || c.cut[l.to] || c.rng.IntN(100) < c.loss {
		return true
	}
	if err := to.host.Receive(l.group, l.from, l.message); err != nil {
		c.t.Errorf("replica %d refused a message of replica %d: %v", l.to, l.from, err)
	}
	return true
}

// settle runs random actors and deliveries until nothing is left to do.
func (c *cluster) settle() {
	c.t.Helper()
	for range 100_000 {
		worked := false
		for _, i := range c.rng.Perm(len(c.order)) {
			actors := c.nodes[c.order[i]].host.Actors()
			for _, j := range c.rng.Perm(len(actors)) {
				if c.stuck[c.order[i]] && actors[j] == Actor(c.nodes[c.order[i]].host.writer) {
					continue
				}
				worked = actors[j].Turn() || worked
			}
		}
		for range c.rng.IntN(4) {
			worked = c.deliver() || worked
		}
		if !worked && len(c.wire) == 0 {
			c.check()
			return
		}
	}
	c.t.Fatal("the cluster does not come to rest")
}

func (c *cluster) pass(d time.Duration) {
	c.t.Helper()
	for ; d > 0; d -= 50 * time.Millisecond {
		c.advance(50 * time.Millisecond)
		c.settle()
	}
}

// advance moves all clocks, each at its rate.
func (c *cluster) advance(d time.Duration) {
	c.now += d
	for id, n := range c.nodes {
		rate := c.rates[id]
		if rate == 0 {
			rate = 1
		}
		n.clock.Advance(time.Duration(float64(d) * rate))
	}
}

// until lets time pass until a condition holds.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	for range 400 {
		if ok() {
			return
		}
		c.pass(50 * time.Millisecond)
	}
	c.t.Fatalf("never: %s", what)
}

// leader returns the replica of the highest term that leads and has applied its SERVE entry.
func (c *cluster) leader() *node {
	var best *node
	for _, id := range c.order {
		n := c.nodes[id]
		s := n.group.Status()
		if c.cut[id] || s.Role != RoleLeader || n.machine.charter.Serving != s.Term {
			continue
		}
		if best == nil || s.Term > best.group.Status().Term {
			best = n
		}
	}
	return best
}

func (c *cluster) elect() *node {
	c.t.Helper()
	c.until("a leader", func() bool { return c.leader() != nil })
	return c.leader()
}

// check compares what the replicas have applied: each is a prefix of the longest.
func (c *cluster) check() {
	c.t.Helper()
	var longest *machine
	leaders := make(map[Term]ReplicaID)
	for _, id := range c.order {
		n := c.nodes[id]
		if n.fatal != nil {
			c.t.Fatalf("replica %d: %v", id, n.fatal)
		}
		if longest == nil || len(n.machine.ids) > len(longest.ids) {
			longest = n.machine
		}
		for _, term := range n.machine.leading {
			if other, ok := leaders[term]; ok && other != id {
				c.t.Fatalf("replicas %d and %d both led term %d", other, id, term)
			}
			leaders[term] = id
		}
	}
	for _, id := range c.order {
		if m := c.nodes[id].machine; !isPrefix(m.ids, longest.ids) {
			c.t.Fatalf("replica %d applied %v, another %v", id, m.ids, longest.ids)
		}
	}
}

// equal reports whether all replicas have applied the same count of payloads.
func (c *cluster) equal(count int) bool {
	for _, id := range c.order {
		if c.nodes[id].machine.count() != count {
			return false
		}
	}
	return true
}

func TestThreeReplicasElectAndReplicate(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		c := newCluster(t, seed, 1, 2, 3)
		leader := c.elect()
		for id := uint64(1); id <= 100; id++ {
			leader.propose(id)
			if id%10 == 0 {
				c.settle()
			}
		}
		c.until("all replicas equal", func() bool { return c.equal(100) })
	}
}

func TestReplicasSurviveLossAndCrashes(t *testing.T) {
	for seed := uint64(1); seed <= 15; seed++ {
		c := newCluster(t, seed, 1, 2, 3)
		c.elect()
		acked := make(map[uint64]bool)
		next := uint64(1)
		for round := range 30 {
			c.loss = c.rng.IntN(20)
			if n := c.leader(); n != nil {
				for range c.rng.IntN(5) {
					n.propose(next)
					next++
				}
			}
			for range c.rng.IntN(20) {
				n := c.nodes[c.order[c.rng.IntN(3)]]
				actors := n.host.Actors()
				actors[c.rng.IntN(len(actors))].Turn()
				c.deliver()
			}
			for _, n := range c.nodes {
				for _, id := range n.machine.ids {
					acked[id] = true
				}
			}
			if round%3 == 0 {
				n := c.nodes[c.order[c.rng.IntN(3)]]
				n.restart(c.rng.IntN(n.log.unsynced()+1), n.machine.clone())
			}
			c.pass(time.Duration(c.rng.IntN(400)) * time.Millisecond)
		}
		c.loss = 0
		c.until("a stable leader", func() bool { return c.leader() != nil })
		c.until("all replicas equal", func() bool {
			return c.equal(c.nodes[1].machine.count()) && len(c.wire) == 0
		})
		for id := range acked {
			if !slices.Contains(c.nodes[2].machine.ids, id) {
				t.Fatalf("seed %d: payload %d was applied somewhere and is lost", seed, id)
			}
		}
		sorted := slices.Sorted(slices.Values(c.nodes[1].machine.ids))
		if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
			t.Fatalf("seed %d: a payload was applied twice: %v", seed, sorted)
		}
		t.Logf("seed %d: %d of %d payloads, term %d", seed, len(sorted), next-1, c.leader().group.Status().Term)
	}
}

// A deposed leader learns of it by CheckQuorum, or by its successor's first message; its
// proposals in flight are replaced.
func TestDeposedLeader(t *testing.T) {
	c := newCluster(t, 1, 1, 2, 3)
	old := c.elect()
	c.cut[old.replica] = true
	old.propose(1)
	c.pass(100 * time.Millisecond)
	fresh := c.elect()
	fresh.propose(2)
	c.pass(2 * time.Second)
	if s := old.group.Status(); s.Role == RoleLeader {
		t.Fatalf("still leader after two seconds alone: %+v", s)
	}
	c.cut[old.replica] = false
	c.until("all replicas equal", func() bool { return c.equal(1) })
	wantIDs(t, old.machine, 2)
	for _, tag := range old.machine.tags[len(old.machine.tags)-1:] {
		if tag < fresh.group.Status().Term {
			t.Fatalf("tag %d of entries applied in term %d", tag, fresh.group.Status().Term)
		}
	}
}

func TestReadIndexOnEveryReplica(t *testing.T) {
	c := newCluster(t, 3, 1, 2, 3)
	leader := c.elect()
	c.pass(500 * time.Millisecond)
	leader.propose(1, 2, 3)
	c.until("applied by the leader", func() bool { return leader.machine.count() == 3 })
	for _, id := range c.order {
		n := c.nodes[id]
		p, q := n.group.StartRead(), n.group.StartRead()
		if p != q {
			t.Fatal("two reads, two rounds")
		}
		c.until("the read is served", func() bool { return done(p) })
		if p.Err() != nil || n.machine.count() != 3 {
			t.Fatalf("replica %d: %v, applied %d", id, p.Err(), n.machine.count())
		}
	}
}

func TestReadSurvivesLossAndLeaderChange(t *testing.T) {
	c := newCluster(t, 4, 1, 2, 3)
	old := c.elect()
	old.propose(1)
	c.until("all replicas equal", func() bool { return c.equal(1) })
	c.cut[old.replica] = true
	c.pass(DefaultReads.Lease)
	p := old.group.StartRead()
	fresh := c.elect()
	fresh.propose(2)
	c.pass(time.Second)
	if done(p) {
		t.Fatal("an isolated leader served a read")
	}
	c.cut[old.replica] = false
	c.loss = 30
	c.until("the read is served", func() bool { return done(p) })
	if p.Err() != nil || old.machine.count() != 2 {
		t.Fatalf("read: %v, applied %d", p.Err(), old.machine.count())
	}
}
