package raft

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// vault is a node's durable checkpoints: its own newest one, and those fetched from others. It outlives the
// node's crashes.
type vault struct {
	node    *node
	newest  *machine
	fetched map[Index]*machine
	wanted  []Index
	asked   []fetchOrder
	// lazy: a checkpoint that is wanted is not made; lost: what is asked for does not come.
	lazy, lost bool
}

// fetchOrder is a checkpoint that was asked for and has not come yet.
type fetchOrder struct {
	from ReplicaID
	Checkpoint
}

// checkpointed gives the nodes of a cluster vaults, before they start.
func (n *node) checkpointed() *node {
	n.vault = &vault{node: n, fetched: make(map[Index]*machine)}
	return n
}

func (v *vault) Newest() (Checkpoint, bool) {
	if v.newest == nil {
		return Checkpoint{}, false
	}
	return v.newest.checkpoint(), true
}

// checkpoint names what a clone of a machine is.
func (m *machine) checkpoint() Checkpoint {
	return Checkpoint{Index: m.applied, Term: m.term, ConfState: m.conf, Descriptor: []byte("descriptor")}
}

func (v *vault) Want(least Index) {
	if v.node.machine.applied < least {
		v.node.t.Errorf("checkpoint %d wanted, %d is applied", least, v.node.machine.applied)
	}
	v.wanted = append(v.wanted, least)
	if !v.lazy {
		v.save()
	}
}

// save makes a checkpoint of what is applied.
func (v *vault) save() { v.newest = v.node.machine.clone() }

func (v *vault) Fetch(from ReplicaID, c Checkpoint) {
	if string(c.Descriptor) != "descriptor" {
		v.node.t.Errorf("descriptor %q", c.Descriptor)
	}
	if len(v.asked) == 0 {
		v.asked = append(v.asked, fetchOrder{from, c})
	}
}

// fetch brings what was asked for, as it is at the sender by now, and offers it.
func (c *cluster) fetch(n *node) *Pending {
	if len(n.vault.asked) == 0 || n.vault.lost {
		n.vault.asked = nil
		return nil
	}
	from := c.nodes[n.vault.asked[0].from]
	n.vault.asked = nil
	return n.vault.arrive(from.vault.newest)
}

// arrive makes a checkpoint durable and offers it.
func (v *vault) arrive(m *machine) *Pending {
	v.fetched[m.applied] = m.clone()
	v.fetched[m.applied].leading = nil // that was another replica
	return v.node.group.Offer(m.checkpoint())
}

// fetching lets time pass until a condition holds, and brings what is asked for.
func (c *cluster) fetching(what string, ok func() bool) {
	c.t.Helper()
	c.until(what, func() bool {
		for _, id := range c.order {
			c.fetch(c.nodes[id])
		}
		return ok()
	})
}

// recovered is what the node finds on its disk after a crash that leaves kept unsynced records: its newest
// checkpoint, or the fetched one that the log says it went on from.
func (n *node) recovered(kept int) *machine {
	log := n.log.crash(kept)
	if mark := Index(log.state[testGroup].mark.Index); n.vault.newest == nil || n.vault.newest.applied < mark {
		if m := n.vault.fetched[mark]; m != nil {
			return m.clone()
		}
		if mark > 1 {
			n.t.Fatalf("replica %d: the log goes on from %d, which nobody has", n.replica, mark)
		}
	}
	if n.vault.newest == nil {
		return n.founded.clone()
	}
	return n.vault.newest.clone()
}

// reboot restarts the node with what its disk holds, kept of the unsynced records included.
func (n *node) reboot(kept int) {
	n.t.Helper()
	n.restart(kept, n.recovered(kept))
}

// newCheckpointed is newCluster with vaults, small rings and tails.
func newCheckpointed(t *testing.T, seed uint64, voters ...ReplicaID) *cluster {
	c := newCluster(t, seed)
	for _, id := range voters {
		n := c.add(id).found(voters...).checkpointed()
		n.limits = Limits{RingBytes: 512, TailBytes: 64}
		n.start()
	}
	return c
}

// join adds a replica that knows nothing.
func (c *cluster) join(id ReplicaID) *node {
	n := c.add(id).checkpointed()
	n.machine = &machine{t: c.t}
	n.founded = n.machine.clone()
	n.limits = Limits{RingBytes: 512, TailBytes: 64}
	return n.start()
}

// load proposes payloads through the leader and lets go of the log behind a checkpoint of the leader.
func (c *cluster) load(from, to uint64) {
	c.t.Helper()
	leader := c.elect()
	for id := from; id <= to; id++ {
		leader.propose(id)
		c.settle()
	}
	c.until("applied", func() bool { return leader.machine.count() == int(to) })
	for _, id := range c.order {
		if n := c.nodes[id]; n.machine.count() == int(to) {
			n.compact()
		}
	}
}

// compact makes a checkpoint and lets go of the log behind it.
func (n *node) compact() {
	n.t.Helper()
	n.vault.save()
	if err := n.group.Compact(n.vault.newest.applied); err != nil {
		n.t.Fatal(err)
	}
}

// other returns a replica that does not lead.
func (c *cluster) other() *node { return c.nodes[1+c.elect().replica%3] }

func TestFollowerAwayIsCaughtUpByCheckpoint(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		c := newCheckpointed(t, seed, 1, 2, 3)
		n := c.other()
		c.load(1, 5)
		c.until("all replicas equal", func() bool { return c.equal(5) })
		c.cut[n.replica] = true
		c.load(6, 60)
		if first, last := c.elect().group.storage.bounds(); last < 50 || first < 50 {
			t.Fatalf("the leader's log reaches from %d to %d", first, last)
		}
		c.cut[n.replica] = false
		c.loss = c.rng.IntN(30)
		c.fetching("all replicas equal", func() bool {
			return c.equal(60)
		})
		c.loss = 0
		if n.machine.installed != 1 {
			t.Fatalf("seed %d: %d checkpoints installed", seed, n.machine.installed)
		}
		if s := n.group.Status(); s.First < 50 || s.Applied < 60 || len(s.Voters) != 3 {
			t.Fatalf("seed %d: %+v", seed, s)
		}
		c.load(61, 70)
		c.fetching("all replicas equal", func() bool { return c.equal(70) })
		n.reboot(n.log.unsynced())
		c.fetching("all replicas equal", func() bool { return c.equal(70) })
	}
}

// A replica that knows nothing becomes a learner, gets a checkpoint of a configuration that it is in, and
// is promoted.
func TestJoinerIsCaughtUpAndPromoted(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		c := newCheckpointed(t, seed, 1)
		leader := c.elect()
		c.load(1, 40)
		stale := leader.vault.newest.applied
		n := c.join(2)
		p := leader.group.StartConfChange(Change{AddLearner, 2})
		c.fetching("the joiner has everything", func() bool { return c.equal(40) && done(p) })
		if n.machine.installed != 1 || leader.vault.newest.applied <= stale || len(leader.vault.wanted) == 0 {
			t.Fatalf("installed %d, checkpoint %d after %d, wanted %v", n.machine.installed,
				leader.vault.newest.applied, stale, leader.vault.wanted)
		}
		promoted := leader.group.StartConfChange(Change{AddVoter, 2})
		c.fetching("promoted", func() bool { return done(promoted) && len(n.group.Status().Voters) == 2 })
		if promoted.Err() != nil {
			t.Fatal(promoted.Err())
		}
		leader.group.StartTransfer(2)
		c.fetching("the joiner leads", func() bool { return c.leader() == n })
		n.propose(41)
		c.fetching("all replicas equal", func() bool { return c.equal(41) })
	}
}

// A checkpoint from before the joiner was added is of no use to it: the library would ignore it for ever.
func TestNoCheckpointFromBeforeTheJoiner(t *testing.T) {
	c := newCheckpointed(t, 1, 1)
	leader := c.elect()
	c.load(1, 40)
	leader.vault.lazy = true
	old := leader.vault.newest
	n := c.join(2)
	leader.group.StartConfChange(Change{AddLearner, 2})
	c.pass(time.Second)
	if len(n.vault.asked) != 0 || len(leader.vault.wanted) == 0 {
		t.Fatalf("asked for %v, wanted %v", n.vault.asked, leader.vault.wanted)
	}
	if p := n.vault.arrive(old); !done(p) || !errors.Is(p.Err(), ErrCheckpointUseless) {
		t.Fatalf("offer of a checkpoint without the joiner: %v", p.Err())
	}
	leader.vault.lazy = false
	c.fetching("the joiner has everything", func() bool { return c.equal(40) })
}

// The leader says it again until it is heard: messages are lost, checkpoints go, replicas restart.
func TestLeaderRepeatsThatThereIsACheckpoint(t *testing.T) {
	c := newCheckpointed(t, 2, 1, 2, 3)
	n := c.other()
	c.cut[n.replica] = true
	c.load(1, 60)
	c.cut[n.replica] = false
	n.vault.lost = true
	asked := 0
	for range 40 {
		c.pass(100 * time.Millisecond)
		if asked += len(n.vault.asked); c.fetch(n) != nil {
			t.Fatal("lost, but there")
		}
	}
	if asked < 4 || asked > 10 {
		t.Fatalf("asked %d times in four seconds", asked)
	}
	n.vault.lost = false
	n.reboot(0)
	c.fetching("all replicas equal", func() bool { return c.equal(60) })
}

// What came twice, late, or from before, changes nothing.
func TestRepeatedOffers(t *testing.T) {
	c := newCheckpointed(t, 3, 1, 2, 3)
	n := c.other()
	c.cut[n.replica] = true
	c.load(1, 60)
	source := c.elect().vault.newest
	c.cut[n.replica] = false
	c.until("asked", func() bool { return len(n.vault.asked) > 0 })
	n.vault.asked = nil
	first, second := n.vault.arrive(source), n.vault.arrive(source)
	c.fetching("all replicas equal", func() bool { return c.equal(60) })
	if !errors.Is(first.Err(), ErrCheckpointUseless) || second.Err() != nil {
		t.Fatalf("offers: %v, %v", first.Err(), second.Err())
	}
	third := n.vault.arrive(source)
	c.settle()
	if !errors.Is(third.Err(), ErrCheckpointUseless) || n.machine.installed != 1 {
		t.Fatalf("offer of what is installed: %v", third.Err())
	}
	snap, err := new(source.checkpoint()).snapshot()
	if err != nil {
		t.Fatal(err)
	}
	s := n.group.Status()
	late := &pb.Message{
		Type: pb.MsgSnap.Enum(), From: new(uint64(s.Leader)), To: new(uint64(n.replica)),
		Term: new(uint64(s.Term)), Snapshot: snap,
	}
	if err := n.host.Receive(testGroup, s.Leader, late); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if len(n.vault.asked) != 0 || n.machine.installed != 1 {
		t.Fatalf("a late message: asked %v, installed %d", n.vault.asked, n.machine.installed)
	}
}

// The checkpoint that comes may be newer than the one that was asked for, and be of a newer configuration.
func TestNewerThanAsked(t *testing.T) {
	c := newCheckpointed(t, 4, 1, 2, 3)
	n := c.other()
	c.cut[n.replica] = true
	c.load(1, 60)
	c.cut[n.replica] = false
	c.until("asked", func() bool { return len(n.vault.asked) > 0 })
	asked := n.vault.asked[0].Index
	c.load(61, 120)
	p := c.elect().group.StartConfChange(Change{AddLearner, 4})
	c.until("added", func() bool { return done(p) })
	c.load(121, 125)
	c.fetching("caught up", func() bool { return n.machine.count() == 125 })
	if n.machine.installed != 1 || n.vault.newest.applied <= asked+60 {
		t.Fatalf("installed %d times, last %d, asked for %d", n.machine.installed, n.vault.newest.applied, asked)
	}
	if s := n.group.Status(); !slices.Equal(s.Learners, []ReplicaID{4}) {
		t.Fatalf("%+v", s)
	}
	if conf := confOf(t, n.machine.conf); !slices.Equal(conf.GetLearners(), []uint64{4}) {
		t.Fatalf("the state has the configuration %v", conf)
	}
}

// A checkpoint waits until the replica knows a leader, and has heard of the checkpoint's term.
func TestOfferWaitsForALeader(t *testing.T) {
	c := newCheckpointed(t, 5, 1, 2, 3)
	n := c.other()
	c.load(1, 3)
	c.cut[n.replica] = true
	c.load(4, 60)
	c.pass(2 * time.Second)
	p := n.vault.arrive(c.elect().vault.newest)
	c.pass(2 * time.Second)
	if done(p) || n.machine.installed != 0 {
		t.Fatalf("installed without a leader: %v", p.Err())
	}
	c.cut[n.replica] = false
	c.until("installed", func() bool { return done(p) })
	if p.Err() != nil || n.machine.installed != 1 {
		t.Fatal(p.Err())
	}
	c.until("all replicas equal", func() bool { return c.equal(60) })
}

// A crash at any step of an installation is recovered from: turn by turn of the actors, with any part of the
// unsynced log.
func TestCrashWhileInstalling(t *testing.T) {
	installs := 0
	for step := range 24 {
		for kept := range 3 {
			c := newCheckpointed(t, 6, 1, 2, 3)
			n := c.other()
			c.load(1, 5)
			c.until("all replicas equal", func() bool { return c.equal(5) })
			c.cut[n.replica] = true
			c.load(6, 60)
			c.cut[n.replica] = false
			c.until("asked", func() bool { return len(n.vault.asked) > 0 })
			c.fetch(n)
			for i := range step {
				actors := n.host.Actors()
				actors[(i+step)%len(actors)].Turn()
			}
			before := n.machine.installed
			n.reboot(kept)
			installs += before
			c.fetching(fmt.Sprintf("step %d: all replicas equal", step), func() bool { return c.equal(60) })
			c.load(61, 62)
			c.fetching("all replicas equal", func() bool { return c.equal(62) })
		}
	}
	if installs == 0 || installs == 24*3 {
		t.Fatalf("%d runs had installed before the crash: all the same", installs)
	}
}

// What this replica proposed, and lost sight of behind a checkpoint, has an unknown outcome.
func TestOrdersAreUnknownBehindACheckpoint(t *testing.T) {
	c := newCheckpointed(t, 7, 1, 2, 3)
	n := c.elect()
	c.load(1, 5)
	c.cut[n.replica] = true
	p := n.group.StartReads(Reads{Mode: ReadByLease, Lease: 200 * time.Millisecond})
	change := n.group.StartConfChange(Change{AddLearner, 9})
	n.settle()
	c.pass(3 * time.Second)
	c.load(6, 60)
	c.cut[n.replica] = false
	c.fetching("all replicas equal", func() bool { return c.equal(60) })
	if n.machine.installed != 1 || !errors.Is(p.Err(), ErrOvertaken) || !errors.Is(change.Err(), ErrOvertaken) {
		t.Fatalf("installed %d: %v, %v", n.machine.installed, p.Err(), change.Err())
	}
}

// While a replica fetches, the log behind its checkpoint stays; the bound holds, and it ends.
func TestLogIsKeptForAFetchingReplica(t *testing.T) {
	c := newCheckpointed(t, 8, 1, 2, 3)
	n := c.other()
	c.cut[n.replica] = true
	c.load(1, 60)
	leader := c.elect()
	c.cut[n.replica] = false
	c.until("asked", func() bool { return len(n.vault.asked) > 0 })
	asked := n.vault.newest
	if asked != nil {
		t.Fatal("a checkpoint of its own")
	}
	c.pass(100 * time.Millisecond)
	promised := leader.vault.newest
	index := n.vault.asked[0].Index
	for id := uint64(61); id <= 100; id++ {
		c.load(id, id)
		n.vault.asked = nil
	}
	if first, _ := leader.group.storage.bounds(); first > index+1 {
		t.Fatalf("the log begins at %d, a replica was told to fetch %d", first, index)
	}
	p := n.vault.arrive(promised)
	c.until("all replicas equal", func() bool { return c.equal(100) })
	if p.Err() != nil || n.machine.installed != 1 {
		t.Fatalf("%v, %d installed", p.Err(), n.machine.installed)
	}
	c.pass(2 * owedFor)
	c.load(101, 102)
	if first, _ := leader.group.storage.bounds(); first < 80 {
		t.Fatalf("the log begins at %d though nobody fetches", first)
	}
}

// snapshotMessage is replica 2's word to replica 1 that there is a checkpoint.
func snapshotMessage(change func(*pb.Snapshot)) *pb.Message {
	s := &pb.Snapshot{Data: []byte("descriptor"), Metadata: &pb.SnapshotMetadata{
		Index: new(uint64(50)), Term: new(uint64(2)), ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}},
	}}
	if change != nil {
		change(s)
	}
	return message(pb.MsgSnap, func(m *pb.Message) { m.Snapshot = s })
}

func TestAdmitSnapshots(t *testing.T) {
	cases := map[string]struct {
		m  *pb.Message
		ok bool
	}{
		"snapshot": {snapshotMessage(nil), true},
		"snapshot of a later term": {snapshotMessage(func(s *pb.Snapshot) {
			s.Metadata.Term = new(uint64(1 << 40))
		}), false},
		"snapshot without index":    {snapshotMessage(func(s *pb.Snapshot) { s.Metadata.Index = nil }), false},
		"snapshot without metadata": {snapshotMessage(func(s *pb.Snapshot) { s.Metadata = nil }), false},
		"snapshot of others": {snapshotMessage(func(s *pb.Snapshot) {
			s.Metadata.ConfState.Voters = []uint64{77}
		}), false},
		"snapshot without configuration": {snapshotMessage(func(s *pb.Snapshot) { s.Metadata.ConfState = nil }), false},
		"snapshot of a broken configuration": {snapshotMessage(func(s *pb.Snapshot) {
			s.Metadata.ConfState.Learners = s.Metadata.ConfState.Voters
		}), false},
		"snapshot with a long descriptor": {snapshotMessage(func(s *pb.Snapshot) {
			s.Data = make([]byte, DescriptorBytesMax+1)
		}), false},
	}
	for name, c := range cases {
		if err := admit(c.m, 2, 1); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
