package store

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
)

const (
	// entryBytesMax bounds Limits.EntryBytesMax.
	entryBytesMax = 256 << 10
	// queueBytesMax bounds what waits for the log; what comes beyond it is refused.
	queueBytesMax = 256 << 20
	// reapMax bounds the expired keys removed by one entry, at about 2 us each.
	reapMax = 512
	// tickInterval is the least time between two entries that do nothing but expire keys.
	tickInterval = 10 * time.Millisecond
	// wakeMax is how far ahead the next tick is planned.
	wakeMax = time.Hour
)

// batcher collects the writes of all connections and makes log entries of them. It is the raft group's
// raft.Proposer: the loop asks it once per turn, so entries grow while the disk is busy.
type batcher struct {
	store *Store
	rng   *rand.Rand // seeds of entries; guarded by mu

	mu    sync.Mutex
	queue []*run   // in order of arrival; guarded by mu
	head  int      // queue[head:] waits, its first perhaps partly taken; guarded by mu
	bytes int      // of all runs in queue; guarded by mu
	last  []sent   // what the latest Take put into entries; guarded by mu
	built [][]byte // the entries of the latest Take, their memory to be used again; guarded by mu

	term     raft.Term     // of the latest Take; guarded by mu
	ticking  int64         // log time of the tick on its way in that term, 0 for none; guarded by mu
	tickDue  int64         // a reader waits for log time to reach this, 0 for none; guarded by mu
	tickedAt time.Duration // boot clock when the latest tick was ordered here, or asked of the leader; guarded by mu
	lastTick tick          // of the latest Take; guarded by mu
	sentAt   time.Duration // boot clock at the latest Take or Forward, 0 if nobody wants to know; guarded by mu

	hashing    bool // a digest is ordered and on its way in that term; guarded by mu
	lastDigest bool // the latest Take has ordered it; guarded by mu

	foreign      []foreign     // calls of other nodes that wait for the log, in order; guarded by mu
	foreignBytes int           // guarded by mu
	refusedTerm  raft.Term     // for which a leader has last refused calls; guarded by mu
	refusedUntil time.Duration // boot clock before which no more are sent to it; guarded by mu
	lastForeign  []foreign     // what the latest Take put into entries; guarded by mu
	foreignFirst bool          // of the latest entry, so that neither kind keeps the other waiting; guarded by mu
}

// tick is an entry's order to remove expired keys.
type tick struct {
	ordered bool
	due     int64 // for readers that wait for log time to reach this, 0 for none
}

// sent is a write that has been put into an entry.
type sent struct {
	waiter
	sequence uint64
}

// add queues a run whole. It reports false, and nothing is queued, when too much waits already.
func (b *batcher) add(r *run) bool {
	b.mu.Lock()
	ok := b.bytes+r.bytes <= queueBytesMax && b.store.quarantined.Load() == nil
	if ok {
		if b.head > len(b.queue)/2 { // a queue that never runs empty must not keep room for what has left
			b.queue, b.head = slices.Delete(b.queue, 0, b.head), 0
		}
		b.queue = append(b.queue, r)
		b.bytes += r.bytes
		r.queued = true
	}
	b.mu.Unlock()
	if ok {
		b.store.group.Notify()
	}
	return ok
}

// withdraw takes what is left of a run out of the queue; those writes have certainly not been applied.
func (b *batcher) withdraw(r *run) {
	b.mu.Lock()
	queued, taken := r.queued, r.taken
	if queued {
		at := b.head + slices.Index(b.queue[b.head:], r)
		b.queue = slices.Delete(b.queue, at, at+1)
		b.leave(r)
	}
	r.ended = true
	b.mu.Unlock()
	if !queued {
		return
	}
	for i := taken; i < len(r.ops); i++ {
		if r.ops[i].kind == writeOp {
			r.refuse(i)
		}
	}
}

// leave notes that a run stands in the queue no longer. The caller holds mu.
func (b *batcher) leave(r *run) {
	b.bytes -= r.bytes
	r.queued = false
}

// putBack takes writes that certainly are not in the log to the head of the queue again, in their order, so that
// they find their way to whoever leads next; the deadline of their connection bounds that. A write behind which a
// later one of its connection is on its way is refused instead: the two must not change places.
func (b *batcher) putBack(ws []waiter) {
	b.mu.Lock()
	refused := b.requeue(ws)
	b.mu.Unlock()
	for _, w := range refused {
		w.run.refuse(w.op)
	}
	if len(refused) < len(ws) {
		b.store.group.Notify()
	}
}

// requeue is putBack under mu. It returns what must be refused.
func (b *batcher) requeue(ws []waiter) (refused []waiter) {
	for end := len(ws); end > 0; {
		r, start := ws[end-1].run, end-1
		for start > 0 && ws[start-1].run == r {
			start--
		}
		if part := ws[start:end]; r.ended || !r.untake(part) {
			refused = append(refused, part...)
		} else if !r.queued {
			b.bytes += r.bytes
			r.queued = true
			b.pushFront(r)
		}
		end = start
	}
	return refused
}

func (b *batcher) pushFront(r *run) {
	if b.head > 0 {
		b.head--
		b.queue[b.head] = r
		return
	}
	b.queue = slices.Insert(b.queue, 0, r)
}

// wantTick asks for an entry of log time due or later.
func (b *batcher) wantTick(due int64) {
	b.store.clock.raise(due)
	b.mu.Lock()
	b.tickDue = max(b.tickDue, due)
	b.mu.Unlock()
	b.store.group.Notify()
}

// Take makes entries of what waits. See raft.Proposer.
func (b *batcher) Take(term raft.Term, bytesMax int) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.lastForeign = b.last[:0], b.lastForeign[:0]
	if b.store.quarantined.Load() != nil { // what waits is refused when its time is up, or another leads
		return nil
	}
	b.noteSent()
	if term != b.term { // what was on its way may be lost
		b.term, b.ticking, b.hashing = term, 0, false
		b.store.refuseForeign(b.takeOlder(term))
	}
	now := b.store.clock.stamp()
	b.lastTick = b.tick(now)
	reap := 0
	if b.lastTick.ordered {
		reap = reapMax
	}
	payloads := b.built[:0]
	b.lastDigest = b.digest(now)
	digest := b.lastDigest
	for bytes := 0; bytes < bytesMax && (reap > 0 || digest || !b.idle() || len(b.foreign) > 0); {
		h := header{
			LogTime: now, Seed: b.rng.Uint64(), Reap: reap, MemoryMax: b.store.limits.MemoryBytesMax, Digest: digest,
		}
		reap, digest = 0, false
		payload := b.entry(term, h, memory(b.built, len(payloads)))
		payloads = append(payloads, payload)
		bytes += len(payload)
	}
	b.built = payloads
	return payloads
}

// memory returns the i-th entry of an earlier turn to be overwritten, unless it was a large one.
func memory(built [][]byte, i int) []byte {
	if built = built[:cap(built)]; i < len(built) && cap(built[i]) <= 2*entryBytesMax {
		return built[i]
	}
	return nil
}

// entry builds one entry from the head of the queue. The caller holds mu.
func (b *batcher) entry(term raft.Term, h header, buf []byte) []byte {
	var e envelope
	e.begin(buf, h)
	b.foreignFirst = !b.foreignFirst
	if b.foreignFirst {
		if room := b.addForeign(&e); room {
			b.fill(&e, term)
		}
	} else if left := b.fill(&e, term); !left {
		b.addForeign(&e)
	}
	return e.buf
}

// fill appends writes from the head of the queue until e is full. It reports whether some are left. The caller
// holds mu.
func (b *batcher) fill(e *envelope, term raft.Term) (left bool) {
	for !b.idle() {
		r := b.queue[b.head]
		for ; r.taken < len(r.ops); r.taken++ {
			o := &r.ops[r.taken]
			if o.kind != writeOp {
				continue
			}
			size := callBytes(o.call)
			if len(e.buf)+size > b.entryBytes() && e.calls > 0 {
				return true
			}
			e.buf = slices.Grow(e.buf, size)
			b.put(e, term, r)
		}
		b.queue[b.head] = nil
		b.head++
		b.leave(r)
	}
	b.queue, b.head = b.queue[:0], 0
	return false
}

// entryBytes is how large an entry may become, unless it is of one call.
func (b *batcher) entryBytes() int { return min(b.store.limits.EntryBytesMax, entryBytesMax) }

// idle reports whether no write waits. The caller holds mu.
func (b *batcher) idle() bool { return b.head == len(b.queue) }

// put appends a run's next write to an entry. The caller holds mu.
func (b *batcher) put(e *envelope, term raft.Term, r *run) {
	w := waiter{run: r, op: r.taken, term: term, sent: b.sentAt}
	sequence := b.store.waiters.add(w)
	r.ops[r.taken].sequence = sequence
	e.add(origin{b.store.node, b.store.process, sequence}, r.ops[r.taken].call)
	b.last = append(b.last, sent{w, sequence})
}

// noteSent notes the time for the writes that are put on their way now. The caller holds mu.
func (b *batcher) noteSent() {
	if b.store.committed != nil {
		b.sentAt = b.store.source.Boot()
	}
}

// tick decides whether the next entry is to expire keys, and notes that it does. The caller holds mu.
func (b *batcher) tick(now int64) tick {
	earliest, some := b.store.state().EarliestDeadline()
	due := some && earliest <= now || b.tickDue != 0
	if !due || b.ticking != 0 {
		return tick{}
	}
	boot := b.store.source.Boot()
	if b.idle() && b.tickDue == 0 && boot-b.tickedAt < tickInterval {
		return tick{}
	}
	ordered := tick{ordered: true, due: b.tickDue}
	b.ticking, b.tickedAt, b.tickDue = now, boot, 0
	return ordered
}

// ticked notes that log time has reached now in the applied state.
func (b *batcher) ticked(now int64) {
	b.mu.Lock()
	if b.ticking != 0 && b.ticking <= now {
		b.ticking = 0
	}
	if b.tickDue <= now {
		b.tickDue = 0
	}
	b.mu.Unlock()
}

// digest decides whether the next entry is to have all nodes hash their states, and notes that it does. Without
// another node to compare with none is. The caller holds mu.
func (b *batcher) digest(now int64) bool {
	d := b.store.digests
	if due, some := d.dueAt(); !some || due > now || b.hashing {
		return false
	}
	if len(b.store.members().all()) == 1 {
		d.ordered.Store(now)
		return false
	}
	b.hashing = true
	return true
}

// digestOrdered notes that the order of a digest has been applied.
func (b *batcher) digestOrdered() {
	b.mu.Lock()
	b.hashing = false
	b.mu.Unlock()
}

// WakeAt tells when the next tick or digest is due. See raft.Proposer.
func (b *batcher) WakeAt() (time.Duration, bool) {
	if b.store.quarantined.Load() != nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tickDue != 0 && b.ticking == 0 {
		return b.store.source.Boot(), true
	}
	tick, ticks := b.store.state().EarliestDeadline()
	ticks = ticks && b.ticking == 0
	digest, digests := b.store.digests.dueAt()
	digests = digests && !b.hashing
	switch {
	case ticks && digests:
		return min(b.instant(tick, b.tickedAt+tickInterval), b.instant(digest, 0)), true
	case ticks:
		return b.instant(tick, b.tickedAt+tickInterval), true
	case digests:
		return b.instant(digest, 0), true
	}
	return 0, false
}

// instant returns when by the boot clock log time will reach due, but no earlier than first. It may lie before that
// if it is far ahead: deadlines may be millennia away.
func (b *batcher) instant(due int64, first time.Duration) time.Duration {
	wait := min(due-b.store.clock.read(), wakeMax.Milliseconds())
	delay := time.Duration(wait) * time.Millisecond
	return max(b.store.source.Boot()+max(delay, 0), first)
}

// Stamp returns log time by this node's clock. See raft.Proposer.
func (b *batcher) Stamp() int64 { return b.store.clock.read() }

// Dropped takes back the writes of the latest Take: they are certainly not in the log. See raft.Proposer.
func (b *batcher) Dropped(raft.Term, [][]byte) {
	b.mu.Lock()
	var last []waiter
	for _, s := range b.last {
		if _, waiting := b.store.waiters.take(s.sequence); waiting {
			last = append(last, s.waiter)
		}
	}
	b.last = b.last[:0]
	foreign := slices.Clone(b.lastForeign)
	b.lastForeign = b.lastForeign[:0]
	if b.lastTick.ordered {
		b.ticking, b.tickDue = 0, max(b.tickDue, b.lastTick.due)
		b.lastTick = tick{}
	}
	if b.lastDigest {
		b.hashing, b.lastDigest = false, false
	}
	b.mu.Unlock()
	b.putBack(last)
	b.store.refuseForeign(foreign)
}

// errNotApplied answers what was refused before it reached the log.
var errNotApplied = &command.Error{
	Code: command.NotApplied,
	Text: "not applied: the log did not take the call in time, it is safe to send it again",
}

// errUncertain answers what was still in the log when its time was up.
var errUncertain = &command.Error{
	Code: command.Uncertain,
	Text: "no answer in time: the call may or may not have been applied, read before sending it again",
}
