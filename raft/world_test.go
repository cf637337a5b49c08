package raft

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a cluster on a slow and faulty network, with clients that write and read through all
// replicas, and a checker of what they are told.
//
// A replica has applied a prefix of one list of payloads, so a read is told by how many it saw,
// and the history is linearizable if nothing sees less than was seen or acknowledged before it began.
type world struct {
	*cluster
	plant   plant
	cuts    map[[2]ReplicaID]bool       // directions in which nothing arrives
	hold    func(letter) bool           // what stays on the wire; nil: nothing
	stalled map[ReplicaID]time.Duration // until when the actors stand still; readers do not
	// configured: voters become learners and back, one or two at a time.
	configured bool
	// trimmed: replicas make checkpoints, keep little log behind them, and fetch each other's.
	trimmed bool
	writes  []worldWrite
	reads   []worldRead
	next    uint64
	floor   int  // what was seen or acknowledged up to now
	effect  Term // the highest term that took a proposal or showed something
	broken  string
	// tallies of a run, so that a test can tell that it has tested something
	leasedReads, roundReads, acks, terms, transfers, installs int
}

type worldWrite struct {
	id     uint64
	origin ReplicaID     // answers the client when it applies the write
	start  uint64        // the origin's process
	until  time.Duration // the client gives up
}

type worldRead struct {
	at      ReplicaID
	pending *Pending
	floor   int
}

// plant is a bug that is put in on purpose.
type plant string

const (
	noPlant      plant = ""
	plantReceipt plant = "a lease counts from when the answers came"
	plantNoWait  plant = "a new leader does not wait"
	plantNoServe plant = "effects are shown before SERVE"
	plantKeep    plant = "a leader that has released its lease keeps it"
)

func newWorld(t *testing.T, seed uint64, p plant) *world {
	w := &world{
		cluster: newCluster(t, seed),
		plant:   p,
		cuts:    make(map[[2]ReplicaID]bool),
		stalled: make(map[ReplicaID]time.Duration),
	}
	w.rng = rand.New(rand.NewPCG(seed, 2))
	w.delays = w.randomDelays
	voters := []ReplicaID{1, 2, 3}
	lease := []time.Duration{300 * time.Millisecond, time.Second, 2 * time.Second}[w.rng.IntN(3)]
	for _, id := range voters {
		w.rates[id] = []float64{1, 1.1, 1.2}[w.rng.IntN(3)]
		n := w.add(id).found(voters...)
		n.machine.charter.Reads = Reads{Mode: ReadByLease, Lease: lease}
		n.onTake = func(term Term) { w.effect = max(w.effect, term) }
		n.start()
	}
	return w
}

// randomDelays: most messages are quick, some are late by more than an election, some come twice.
func (w *world) randomDelays() []time.Duration {
	delays := make([]time.Duration, 1+w.rng.IntN(20)/19)
	for i := range delays {
		delays[i] = time.Duration(w.rng.IntN(8)) * time.Millisecond
		if w.rng.IntN(12) == 0 {
			delays[i] = time.Duration(w.rng.IntN(1500)) * time.Millisecond
		}
	}
	return delays
}

// run lets d pass with clients and faults.
func (w *world) run(d time.Duration, faults bool) {
	for end := w.now + d; w.now < end && w.broken == ""; {
		w.advance(time.Duration(1+w.rng.IntN(10)) * time.Millisecond)
		if faults && w.rng.IntN(40) == 0 {
			w.fault()
		}
		w.deliverDue()
		for _, i := range w.rng.Perm(len(w.order)) {
			w.act(w.nodes[w.order[i]])
		}
		w.clients()
		if w.trimmed {
			w.checkpoints()
		}
	}
	w.cluster.check()
}

// trim restarts all replicas with vaults and short logs.
func (w *world) trim() {
	w.trimmed = true
	for _, id := range w.order {
		n := w.nodes[id]
		n.checkpointed()
		n.limits = Limits{RingBytes: 1024, TailBytes: 128}
		n.founded = n.machine.clone()
		n.restart(n.log.unsynced(), n.machine)
	}
}

// checkpoints makes some, lets go of log, and brings what is asked for, sooner or later or not at all.
func (w *world) checkpoints() {
	if n := w.anyNode(); w.rng.IntN(50) == 0 && n.machine.applied > 1 {
		n.compact()
	}
	for _, id := range w.order {
		if n := w.nodes[id]; len(n.vault.asked) > 0 && w.rng.IntN(30) == 0 {
			n.vault.lost = w.rng.IntN(4) == 0
			w.fetch(n)
		}
	}
}

// deliverDue delivers what has travelled long enough.
func (w *world) deliverDue() {
	due := w.wire
	w.wire = nil
	w.rng.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	for _, l := range due {
		switch {
		case l.due > w.now || w.hold != nil && w.hold(l):
			w.wire = append(w.wire, l)
		case w.cuts[[2]ReplicaID{l.from, l.to}] || w.nodes[l.to] == nil:
		default:
			if err := w.nodes[l.to].host.Receive(l.group, l.from, l.message); err != nil {
				w.t.Errorf("replica %d refused a message of replica %d: %v", l.to, l.from, err)
			}
		}
	}
}

// act gives a replica's actors some turns.
func (w *world) act(n *node) {
	if w.stalled[n.replica] > w.now {
		w.check(n)
		return
	}
	for range 1 + w.rng.IntN(6) {
		actors := n.host.Actors()
		for _, i := range w.rng.Perm(len(actors)) {
			w.turn(n, actors[i])
			w.check(n)
		}
	}
}

// turn gives an actor a turn, with the plant.
func (w *world) turn(n *node, a Actor) {
	g := n.group
	before := g.lease.until
	if w.plant == plantReceipt {
		g.lease.until = 0
	}
	a.Turn()
	now := n.clock.Boot()
	switch {
	case w.plant == plantNoWait && g.waits():
		g.tenure.succeeds = true
	case w.plant == plantKeep && g.transferring() && before > 0:
		g.lease.until, g.lease.allowedAt = before, 0
		g.publish()
	case w.plant == plantReceipt && g.lease.until != 0:
		g.lease.until = now + g.charter.Reads.Lease
		g.publish()
	case w.plant == plantReceipt && g.mayLease():
		g.lease.until = before
		g.publish()
	}
}

// visible reports whether a replica may show its memory.
func (w *world) visible(n *node) bool {
	return w.plant == plantNoServe || n.machine.tag <= n.machine.charter.Serving
}

// check holds the leases against what other terms have done.
func (w *world) check(n *node) {
	if s := n.machine.charter.Serving; n.machine.tag <= s {
		w.effect = max(w.effect, s)
	}
	for _, id := range w.order {
		g := w.nodes[id].group
		if term := g.view.Load().term; term < w.effect && g.TryRead() {
			w.fail("replica %d may read in term %d when term %d has effects", id, term, w.effect)
		}
	}
}

func (w *world) fail(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf("at %v: ", w.now) + fmt.Sprintf(format, args...)
	}
}

// clients acknowledges, answers and asks.
func (w *world) clients() {
	w.writes = slices.DeleteFunc(w.writes, w.acknowledge)
	w.reads = slices.DeleteFunc(w.reads, w.answer)
	switch n := w.anyNode(); w.rng.IntN(4) {
	case 0:
		w.next++
		w.writes = append(w.writes, worldWrite{w.next, n.replica, n.process, w.now + 2*time.Second})
		for _, id := range w.order {
			if to := w.nodes[id]; to.group.Status().Role == RoleLeader {
				to.propose(w.next)
				break
			}
		}
	case 1, 2:
		if n.group.TryRead() {
			if w.visible(n) {
				w.leasedReads++
				w.seen(n, w.floor)
			}
			return
		}
		if len(w.reads) < 20 {
			w.reads = append(w.reads, worldRead{n.replica, n.group.StartRead(), w.floor})
		}
	}
}

func (w *world) anyNode() *node { return w.nodes[w.order[w.rng.IntN(len(w.order))]] }

// acknowledge answers a write if its origin may.
func (w *world) acknowledge(o worldWrite) (ended bool) {
	n := w.nodes[o.origin]
	if n.process != o.start || w.now > o.until {
		return true
	}
	at := len(n.machine.ids) - 1
	for at >= 0 && n.machine.ids[at] != o.id {
		at--
	}
	if at < 0 || !w.visible(n) {
		return false
	}
	w.acks++
	w.floor = max(w.floor, at+1)
	return true
}

// answer ends a read that went through a round.
func (w *world) answer(r worldRead) (ended bool) {
	n := w.nodes[r.at]
	if !done(r.pending) || r.pending.Err() == nil && !w.visible(n) {
		return false
	}
	if r.pending.Err() == nil {
		w.roundReads++
		w.seen(n, r.floor)
	}
	return true
}

// seen notes what a read sees; floor is what it must see.
func (w *world) seen(n *node, floor int) {
	count := len(n.machine.ids)
	if count < floor {
		w.fail("replica %d reads %d payloads, but %d were seen before", n.replica, count, floor)
	}
	w.floor = max(w.floor, count)
}

// fault breaks something, or mends it.
func (w *world) fault() {
	n, other := w.anyNode(), w.anyNode()
	leader := w.cluster.leader()
	switch kind := w.rng.IntN(12); {
	case kind == 0:
		kept, state := w.rng.IntN(n.log.unsynced()+1), n.machine
		if w.installs += state.installed; w.trimmed {
			state = n.recovered(kept)
		}
		n.restart(kept, state.clone())
		n.machine.tag = max(n.machine.tag, n.group.Status().Term)
	case kind == 1:
		w.stalled[n.replica] = w.now + time.Duration(w.rng.IntN(2500))*time.Millisecond
	case kind <= 3 && leader != nil:
		w.cutOff(leader.replica, other.replica)
	case kind == 4:
		w.cuts[[2]ReplicaID{n.replica, other.replica}] = true
	case kind <= 6:
		clear(w.cuts)
	case kind == 7 && leader != nil && w.rng.IntN(3) == 0:
		mode := ReadMode(1 + w.rng.IntN(4)/3)
		leader.group.StartReads(Reads{mode, []time.Duration{100, 1000}[w.rng.IntN(2)] * time.Millisecond})
	case kind >= 10 && leader != nil && w.configured:
		changes := []Change{{ChangeKind(1 + w.rng.IntN(2)), other.replica}}
		if next := w.anyNode(); w.rng.IntN(2) == 0 && next != other {
			changes = append(changes, Change{ChangeKind(1 + w.rng.IntN(2)), next.replica})
		}
		leader.group.StartConfChange(changes...)
	case leader != nil:
		leader.group.StartTransfer(other.replica)
		w.transfers++
	}
}

// cutOff parts a replica from the others, or from one of them.
func (w *world) cutOff(id, one ReplicaID) {
	for _, other := range w.order {
		if w.rng.IntN(3) > 0 || other == one {
			w.cuts[[2]ReplicaID{id, other}], w.cuts[[2]ReplicaID{other, id}] = true, true
		}
	}
}

var (
	worldSeeds = flag.Uint64("seeds", 8, "how many seeds TestLeasesUnderFaults runs")
	worldSeed  = flag.Uint64("seed", 0, "the only seed that TestLeasesUnderFaults runs; 0: all")
)

func TestLeasesUnderFaults(t *testing.T) {
	total := world{}
	first, last := uint64(1), *worldSeeds
	if *worldSeed != 0 {
		first, last = *worldSeed, *worldSeed
	}
	for seed := first; seed <= last; seed++ {
		w := newWorld(t, seed, noPlant)
		w.configured = seed%2 == 0
		if seed%4 < 2 {
			w.trim()
		}
		w.run(15*time.Second, true)
		clear(w.cuts)
		w.run(8*time.Second, false)
		if w.broken != "" {
			t.Fatalf("seed %d: %s", seed, w.broken)
		}
		before := w.acks
		if w.run(2*time.Second, false); w.leader() == nil || w.acks == before {
			t.Fatalf("seed %d: nothing is served", seed)
		}
		total.leasedReads += w.leasedReads
		total.roundReads += w.roundReads
		total.acks += w.acks
		total.transfers += w.transfers
		total.terms += int(w.effect)
		total.installs += w.installs
		for _, n := range w.nodes {
			total.installs += n.machine.installed
		}
	}
	t.Logf("%d reads under leases, %d by rounds, %d writes, %d terms, %d transfers, %d checkpoints installed",
		total.leasedReads, total.roundReads, total.acks, total.terms, total.transfers, total.installs)
	if *worldSeed == 0 && *worldSeeds >= 4 && total.installs == 0 {
		t.Error("no checkpoint was installed")
	}
}

// TestPlantsAreCaught shows that the world finds what it is there to find. It begins with seeds that
// once did.
func TestPlantsAreCaught(t *testing.T) {
	tests := []struct {
		plant plant
		first uint64
	}{{plantNoWait, 5}, {plantNoServe, 21}, {plantKeep, 57}}
	for _, tt := range tests {
		t.Run(string(tt.plant), func(t *testing.T) {
			for seed := tt.first; seed < tt.first+200; seed++ {
				w := newWorld(t, seed, tt.plant)
				if w.run(20*time.Second, true); w.broken != "" {
					t.Logf("seed %d: %s", seed, w.broken)
					return
				}
			}
			t.Fatal("not caught")
		})
	}
}
