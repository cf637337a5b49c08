package store

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// Replicas that have applied the same log must hold the same state. They find out by hashing it: now and then the
// leader marks an entry, every node hashes its state as of that entry, in the background, and tells the others what
// came of it. What a majority of the voters agrees on is right; a node with another digest is wrong, and quarantined.

// digestVersion names what a digest is made of: the engine's part and ours. Only digests of one version are
// compared, so nodes of different versions are no alarm.
const digestVersion = engine.DigestFormat<<8 | 1

// digestShare is the part of the time that the hashing works, one in so many.
const digestShare = 10

// digest is what one node's state hashes to as of one entry.
type digest struct {
	term  raft.Term // of the entry
	index raft.Index
	sum   [32]byte
}

// digests orders, makes and compares digests.
type digests struct {
	interval time.Duration // 0: none are ordered here

	// The log time at which the last one was ordered, as of the applied state, and whether it has changed since.
	ordered atomic.Int64
	changed atomic.Bool
	busy    atomic.Bool // one is being made here

	ctx     context.Context // ends when the node stops
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	closed  bool    // nothing is begun any more; guarded by mu
	skipped uint64  // entries for which none was made, because one was being made; guarded by mu
	made    digest  // the last one made here; guarded by mu
	ballots ballots // guarded by mu
}

func newDigests(interval time.Duration, logTime int64) *digests {
	d := &digests{interval: interval}
	d.ordered.Store(logTime)
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// dueAt returns the log time in ms from which a digest is due. One of a state that has not changed would say nothing,
// and while this node is busy with one it could say nothing of the next.
func (d *digests) dueAt() (ms int64, ok bool) {
	return d.ordered.Load() + d.interval.Milliseconds(), d.interval > 0 && d.changed.Load() && !d.busy.Load()
}

// run begins work in the background, unless the node stops.
func (d *digests) run(work func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.working.Go(work)
	return true
}

// stop ends the work in the background.
func (d *digests) stop() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.working.Wait()
}

// begin reports whether a digest may be made now, and reserves the right to.
func (d *digests) begin() bool {
	if d.busy.CompareAndSwap(false, true) {
		return true
	}
	d.mu.Lock()
	d.skipped++
	d.mu.Unlock()
	return false
}

// rest sleeps, and reports false when the node stops.
func (s *Store) rest(ctx context.Context, d time.Duration) bool {
	timer := s.source.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// noteDigest looks at the entry that was just applied: is the state to be hashed as of it, or has it changed? It runs
// on the apply worker and costs it, for a digest, a lock per namespace. A node that is still busy with the digest
// before, or replays its log, has nothing to say about this one.
func (s *Store) noteDigest() {
	d, o := s.digests, &s.opened
	if !o.Digest {
		if (o.calls > 0 || o.Reap > 0) && !d.changed.Load() {
			d.changed.Store(true)
		}
		return
	}
	d.ordered.Store(s.state().LogTime())
	d.changed.Store(false)
	s.batcher.digestOrdered()
	if s.replaying || !d.begin() {
		return
	}
	snapshot, charter := s.state().Snapshot(), s.applied.Charter
	made := digest{term: s.applied.Term, index: s.applied.Index}
	began := d.run(func() {
		defer s.group.Notify() // the next one may be due
		defer d.busy.Store(false)
		defer snapshot.Close()
		if sum, ok := s.hash(snapshot, charter); ok {
			made.sum = sum
			s.announce(made)
		}
	})
	if !began {
		snapshot.Close()
	}
}

// hash walks a snapshot at leisure. It reports false when the node stops.
func (s *Store) hash(snapshot *engine.Snapshot, charter raft.Charter) (sum [32]byte, ok bool) {
	h := engine.NewDigester(snapshot.Header())
	h.Add(charterDigest(charter))
	for done := false; !done; {
		began := s.source.Boot()
		done, _ = snapshot.Next(h) // a Digester does not fail
		if worked := s.source.Boot() - began; !s.rest(s.digests.ctx, worked*(digestShare-1)) {
			return sum, false
		}
	}
	return h.Sum(), true
}

// charterDigest encodes who serves the group and how: replicas that disagreed on it would break each other's leases.
func charterDigest(c raft.Charter) []byte {
	reads := c.Reads
	if reads == (raft.Reads{}) { // as long as the log says nothing
		reads = raft.DefaultReads
	}
	buf := binary.AppendUvarint(nil, uint64(c.Serving))
	buf = binary.AppendUvarint(buf, uint64(reads.Mode))
	buf = binary.AppendUvarint(buf, uint64(reads.Lease))
	for _, voter := range c.Voters {
		buf = binary.AppendUvarint(buf, uint64(voter))
	}
	return buf
}

// announce tells the other nodes what this one's state hashes to, and compares. A packet that is lost leaves one
// digest without an answer; what is wrong shows in the next one too.
func (s *Store) announce(made digest) {
	s.digests.mu.Lock()
	s.digests.made = made
	s.digests.mu.Unlock()
	packet := newPacket(nil, packetDigest, uint64(made.term), uint64(made.index), digestVersion)
	packet = append(packet, made.sum[:]...)
	for _, node := range s.members().all() {
		if node != s.node {
			_ = s.courier.Send(node, packet)
		}
	}
	s.compare(s.node, made)
}

// takeDigest takes what another node's state hashes to.
func (s *Store) takeDigest(from uint64, made digest, version uint64) {
	if version == digestVersion && from != s.node {
		s.compare(from, made)
	}
}

// compare enters a digest and draws the consequences.
func (s *Store) compare(node uint64, made digest) {
	members := s.members()
	s.digests.mu.Lock()
	f := s.digests.ballots.enter(node, made, members, s.node)
	s.digests.mu.Unlock()
	for _, peer := range f.wrong {
		s.logger.Error("the state of a node differs from that of the majority, and it must not be trusted",
			"node", nodeName(peer), "index", made.index, "help", RebuildHelp(peer))
	}
	if f.disputed {
		s.logger.Error("the nodes' states differ and no majority agrees, so nobody can tell who is right: all go on. "+
			"Look for a node whose memory or disk is faulty, or restore a backup", "index", made.index)
	}
	if f.self {
		s.quarantine(made.index)
	}
}

// DigestStatus tells what is known of the digests of the group's nodes.
type DigestStatus struct {
	Made    raft.Index // the last entry as of which this node has hashed its state; 0: none yet
	Sum     [32]byte   // what came of it
	Skipped uint64     // digests that this node did not make, because it was busy with the one before
	Agreed  raft.Index // the last one at which this node and a majority of the voters agreed; 0: none
	// Disputed is the last one at which no majority can agree; 0: none.
	Disputed raft.Index
	// Wrong are other members whose last known digest differs from that of the majority, or that have said
	// themselves that they are in quarantine, ascending.
	Wrong []uint64
}

// DigestStatus returns what is known of the digests of the group's nodes.
func (s *Store) DigestStatus() DigestStatus {
	d, members := s.digests, s.members()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ballots.forget(members.all())
	return DigestStatus{
		Made: d.made.index, Sum: d.made.sum, Skipped: d.skipped, Agreed: d.ballots.agree, Disputed: d.ballots.torn,
		Wrong: slices.Sorted(maps.Keys(d.ballots.told)),
	}
}
