package store

import (
	"sync"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// waiter is a write on its way through the log: the place in a run where its answer belongs.
type waiter struct {
	run    *run
	op     int
	term   raft.Term     // for which it was proposed
	jumped bool          // a checkpoint was installed since: its entry may be among those that nobody here has seen
	sent   time.Duration // boot clock when it was put on its way; 0 if nobody wants to know
}

// waiters finds a waiter by the sequence of its origin. Sequences are given out one after the other and
// come back nearly in order, so a ring serves instead of a map.
type waiters struct {
	mu    sync.Mutex
	slots []waiter // of length 2^n; sequence q stands at q modulo the length; guarded by mu
	first uint64   // the lowest sequence that may be occupied; guarded by mu
	next  uint64   // the next sequence to give out; guarded by mu
}

func newWaiters() *waiters { return &waiters{slots: make([]waiter, 1024), first: 1, next: 1} }

// add takes a waiter in and returns its sequence.
func (ws *waiters) add(w waiter) uint64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.next-ws.first == uint64(len(ws.slots)) {
		ws.grow()
	}
	q := ws.next
	ws.next++
	*ws.slot(q) = w
	return q
}

// take gives a waiter out, once.
func (ws *waiters) take(q uint64) (waiter, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if q < ws.first || q >= ws.next {
		return waiter{}, false
	}
	w := *ws.slot(q)
	*ws.slot(q) = waiter{}
	ws.advance()
	return w, w.run != nil
}

// takeRange gives out the waiters of count sequences from first on, in order, that are still there.
func (ws *waiters) takeRange(first, count uint64) []waiter {
	var found []waiter
	for q := first; q-first < count; q++ {
		if w, waiting := ws.take(q); waiting {
			found = append(found, w)
		}
	}
	return found
}

// takeBelow gives out all waiters that were proposed for a term below the given one, in order.
func (ws *waiters) takeBelow(term raft.Term) []waiter {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var passed []waiter
	for q := ws.first; q < ws.next; q++ {
		if w := ws.slot(q); w.run != nil && w.term < term {
			passed = append(passed, *w)
			*w = waiter{}
		}
	}
	ws.advance()
	return passed
}

// count returns how many there are.
func (ws *waiters) count() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	n := 0
	for q := ws.first; q < ws.next; q++ {
		if ws.slot(q).run != nil {
			n++
		}
	}
	return n
}

// jump notes that a checkpoint was installed.
func (ws *waiters) jump() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for q := ws.first; q < ws.next; q++ {
		if w := ws.slot(q); w.run != nil {
			w.jumped = true
		}
	}
}

func (ws *waiters) slot(q uint64) *waiter { return &ws.slots[q&uint64(len(ws.slots)-1)] }

func (ws *waiters) advance() {
	for ws.first < ws.next && ws.slot(ws.first).run == nil {
		ws.first++
	}
}

// grow doubles the ring; every slot between first and next keeps its sequence.
func (ws *waiters) grow() {
	old := ws.slots
	ws.slots = make([]waiter, 2*len(old))
	for q := ws.first; q < ws.next; q++ {
		*ws.slot(q) = old[q&uint64(len(old)-1)]
	}
}
