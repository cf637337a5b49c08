package store

import (
	"errors"
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// A node that follows sends the writes of its clients to the leader it knows, for that leader's term. The leader
// puts them into its entries as they are, or says that it has not; it never passes them on. The node that sent them
// answers its clients when it applies them itself. So there are no loops, and no acknowledgement can be lost:
// what is neither applied nor refused stays unknown.

// foreign is calls of another node's clients that wait for this leader's log.
type foreign struct {
	node    uint64
	process uint64    // number of the node's process that sent them
	term    raft.Term // for which they were sent
	first   uint64    // sequence of the first
	count   uint64
	calls   []byte
}

// Forward sends what waits to the leader. See raft.Proposer.
func (b *batcher) Forward(term raft.Term, leader raft.ReplicaID) (again bool) {
	b.mu.Lock()
	left := b.foreign
	b.foreign, b.foreignBytes = nil, 0
	b.noteSent()
	var refused []waiter
	if again = term == b.refusedTerm && b.store.source.Boot() < b.refusedUntil; !again {
		refused, again = b.sendAll(term, uint64(leader))
	}
	b.mu.Unlock()
	b.store.refuseForeign(left)
	for _, w := range refused {
		w.run.refuse(w.op)
	}
	return again
}

// sendAll sends the queue in packets, and what tick readers wait for. The caller holds mu. It returns what has to be
// refused, and whether something could not be sent.
func (b *batcher) sendAll(term raft.Term, leader uint64) (refused []waiter, again bool) {
	courier := b.store.courier
	for !b.idle() {
		packet, first, count := b.packet(term)
		if courier.Send(leader, packet) != nil {
			return b.requeue(b.store.waiters.takeRange(first, count)), true
		}
	}
	if b.tickDue == 0 {
		return nil, false
	}
	// It is asked for again until it has come: the leader may have changed.
	if boot := b.store.source.Boot(); boot-b.tickedAt >= tickInterval {
		b.tickedAt = boot
		_ = courier.Send(leader, newPacket(nil, packetTick, uint64(term), uint64(b.tickDue)))
	}
	return nil, true
}

// packet makes a packet of writes from the head of the queue. The caller holds mu.
func (b *batcher) packet(term raft.Term) (packet []byte, first, count uint64) {
	var e envelope
	e.chunk(nil)
	b.last = b.last[:0]
	b.fill(&e, term)
	first, count = b.last[0].sequence, uint64(len(b.last))
	b.last = b.last[:0]
	packet = make([]byte, 0, packetHeaderMax+len(e.buf))
	packet = newPacket(packet, packetForward, uint64(term), count, first)
	return append(packet, e.buf...), first, count
}

// foreignBytesMax bounds the calls of other nodes that wait for this leader's log.
const foreignBytesMax = queueBytesMax

// wellFormed looks through calls of another node before they go into the log, where every node would have to be
// able to read them, and notes which process sent them.
func (s *Store) wellFormed(f *foreign) bool {
	var o opened
	o.openChunk(f.calls)
	for want := (origin{f.node, 0, f.first}); o.more(); want.Sequence++ {
		if o.next() != nil {
			return false
		}
		if want.Process == 0 {
			want.Process, f.process = o.origin.Process, o.origin.Process
		}
		if o.origin != want || s.prepare(&o.call) != nil && o.call.Spec == nil {
			return false
		}
	}
	return uint64(o.calls) == f.count && f.count > 0
}

// takeForward queues calls of another node, if this one leads the term that they were sent for.
func (s *Store) takeForward(f foreign) {
	if err := s.queueForward(f); err != nil {
		s.refuseForeign([]foreign{f})
		return
	}
	s.group.Notify()
}

var errForward = errors.New("store: not the leader of that term, or too much waits")

func (s *Store) queueForward(f foreign) error {
	b := s.batcher
	b.mu.Lock()
	defer b.mu.Unlock()
	term, leader := s.group.Leader()
	if s.halted() || term != f.term || uint64(leader) != s.node || b.foreignBytes+len(f.calls) > foreignBytesMax {
		return errForward
	}
	b.foreign = append(b.foreign, f)
	b.foreignBytes += len(f.calls)
	return nil
}

// addForeign appends the calls of other nodes that fit to an entry. It reports whether there is room for more. The
// caller holds mu and has seen to it that none of another term waits.
func (b *batcher) addForeign(e *envelope) bool {
	for i := range b.foreign {
		f := &b.foreign[i]
		if e.calls > 0 && len(e.buf)+len(f.calls) > b.entryBytes() {
			b.foreign = slices.Delete(b.foreign, 0, i)
			return false
		}
		e.addChunk(f.calls, int(f.count))
		b.foreignBytes -= len(f.calls)
		b.lastForeign = append(b.lastForeign, *f)
	}
	clear(b.foreign)
	b.foreign = b.foreign[:0]
	return len(e.buf) < b.entryBytes()
}

// takeOlder gives out the calls that were sent for another term than this. The caller holds mu.
func (b *batcher) takeOlder(term raft.Term) (older []foreign) {
	current := b.foreign[:0]
	for _, f := range b.foreign {
		if f.term == term {
			current = append(current, f)
		} else {
			older = append(older, f)
			b.foreignBytes -= len(f.calls)
		}
	}
	clear(b.foreign[len(current):])
	b.foreign = current
	return older
}

// refuseForeign tells other nodes that their calls certainly did not come into the log.
func (s *Store) refuseForeign(list []foreign) {
	for _, f := range list {
		// One that is lost leaves the calls unknown, until an entry of a later term is applied.
		_ = s.courier.Send(f.node, newPacket(nil, packetRefusal, uint64(f.term), f.count, f.first, f.process))
	}
}

// forwardCallsMax bounds the sequences that a refusal may name: no packet holds more calls.
const forwardCallsMax = 2 * entryBytesMax

// takeRefusal takes back what a leader has not put into its log.
func (s *Store) takeRefusal(term raft.Term, first, count uint64) {
	if count > forwardCallsMax {
		return
	}
	var back []waiter
	for _, w := range s.waiters.takeRange(first, count) {
		if w.term != term { // no leader says that
			w.run.lose(w.op)
			continue
		}
		back = append(back, w)
	}
	s.batcher.refusedBy(term)
	if len(back) > 0 {
		s.batcher.putBack(back)
	}
}

// refusalPause is how long a leader that has refused calls is left alone: it leads no longer, though this node has
// not heard of that yet, or has too much.
const refusalPause = 20 * time.Millisecond

func (b *batcher) refusedBy(term raft.Term) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refusedTerm, b.refusedUntil = term, b.store.source.Boot()+refusalPause
}

// takeTick sees to it that log time reaches what another node's reader waits for, but no later than this leader's
// own clock: a read must not make a key expire early.
func (s *Store) takeTick(term raft.Term, due uint64) {
	now := s.clock.read()
	if due <= uint64(s.state().LogTime()) { // it has come meanwhile
		return
	}
	if led, leader := s.group.Leader(); led == term && uint64(leader) == s.node {
		s.batcher.wantTick(int64(min(due, uint64(now))))
	}
}

// noCourier is the courier of a node without peers.
type noCourier struct{}

var errNoCourier = errors.New("store: there is no other node")

func (noCourier) Send(uint64, []byte) error { return errNoCourier }
