package store

import (
	"slices"
	"sync"

	"github.com/primatomic/primatomic/command"
)

// run is the part of a submission that is on its way together: its first write and what follows it, up
// to the first call that must wait for all before it. The connection's goroutine builds it, hands it
// to the batcher and waits; the apply worker answers it.
type run struct {
	mu     sync.Mutex
	ops    []op           // fixed once the run is with the batcher; their states are guarded by mu
	out    *command.Reply // guarded by mu while the run is with the batcher
	left   int            // ops that are not settled; guarded by mu
	closed bool           // the connection has stopped waiting: out is its own again; guarded by mu
	done   chan struct{}  // gets one value when left falls to 0
	values int            // writes that answer with a value

	// Owned by the batcher, guarded by its mutex.
	taken  int  // ops before this one have left the queue
	bytes  int  // estimated size of the writes
	queued bool // it stands in the queue
	ended  bool // the connection no longer waits: what it asked for must not be read again
}

// op is one call of a run.
type op struct {
	call     *command.Call
	kind     opKind
	state    opState
	from, to int // of its answer in out, once answered
	// sequence is that of its origin, if it is a write that has left the batcher's queue; guarded by the batcher's mu.
	sequence uint64
}

type opKind uint8

const (
	writeOp opKind = iota // goes through the log
	riderOp               // a read, answered by the apply of the write before it
	readyOp               // was answered while the run was built
)

type opState uint8

const (
	pending  opState = iota // no answer yet
	answered                // its answer stands in out
	refused                 // certainly not applied
	unknown                 // may be applied
	unridden                // a rider whose write gave it no read point
)

func (s *Store) newRun(out *command.Reply) *run {
	r, again := s.runs.Get().(*run)
	if !again {
		r = &run{done: make(chan struct{}, 1)}
	}
	r.out = out
	return r
}

// recycle gives a run back whose every write has been settled: nobody else knows it any more.
func (s *Store) recycle(r *run) {
	clear(r.ops)
	r.ops, r.out, r.closed = r.ops[:0], nil, false
	r.left, r.taken, r.bytes, r.values, r.ended = 0, 0, 0, 0, false
	s.runs.Put(r)
}

// add appends a call while the run is being built.
func (r *run) add(o op) {
	if o.state == pending {
		r.left++
	}
	if o.kind == writeOp {
		r.bytes += callBytes(o.call)
	}
	r.ops = append(r.ops, o)
}

// untake makes the batcher take writes of the run again, which are in order and were taken before. It reports false,
// and nothing is changed, if a later write of the run was taken too. The caller holds the batcher's mutex.
func (r *run) untake(ws []waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	writes := 0
	for i := ws[0].op; i < r.taken; i++ {
		if r.ops[i].kind == writeOp {
			writes++
		}
	}
	if r.closed || writes != len(ws) {
		return false
	}
	r.taken = ws[0].op
	return true
}

// settle gives op i its final state and, when it was the last, wakes the connection. The caller holds
// mu.
func (r *run) settle(i int, state opState) {
	r.ops[i].state = state
	r.left--
	if r.left == 0 && !r.closed {
		r.done <- struct{}{}
	}
}

// show settles a write that has been applied, and the reads that rode on it.
func (r *run) show(i int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	for j := i + 1; j < len(r.ops) && r.ops[j].kind != writeOp; j++ {
		if r.ops[j].state == pending {
			r.settle(j, answered)
		}
	}
	r.settle(i, answered)
}

// refuse settles a write that certainly was not applied.
func (r *run) refuse(i int) { r.fail(i, refused) }

// lose settles a write of which nobody here can say any more whether it was applied.
func (r *run) lose(i int) { r.fail(i, unknown) }

// fail settles a write that gets no answer of its own, and the riders that hung on it. A rider may only be
// answered later where no write of its run follows: it must not see what was sent after it.
func (r *run) fail(i int, state opState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.ops[i].state != pending {
		return
	}
	left := unridden
	if r.writeFollows(i) {
		left = refused
	}
	for j := i + 1; j < len(r.ops) && r.ops[j].kind != writeOp; j++ {
		if r.ops[j].kind == riderOp {
			r.settle(j, left)
		}
	}
	r.settle(i, state)
}

// writeFollows reports whether a write stands behind op i.
func (r *run) writeFollows(i int) bool {
	return slices.ContainsFunc(r.ops[i+1:], func(o op) bool { return o.kind == writeOp })
}

// giveUp ends the wait: what is still pending is unknown from here on. It reports whether anything
// was.
func (r *run) giveUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.left == 0 {
		return false
	}
	for i := range r.ops {
		switch o := &r.ops[i]; {
		case o.state != pending:
		case o.kind == riderOp:
			o.state = refused
		default:
			o.state = unknown
		}
	}
	return true
}

// inOrder reports whether all answers stand in out already, one after the other from start on.
func (r *run) inOrder(start int) bool {
	for i := range r.ops {
		o := &r.ops[i]
		if o.state != answered || o.from != start {
			return false
		}
		start = o.to
	}
	return true
}

// lastDone returns the last call of the run that must be answered with it: one that is done, or an EXEC,
// which has taken its transaction from the session.
func (r *run) lastDone() int {
	i := len(r.ops) - 1
	for r.ops[i].state == unridden && r.ops[i].call.Sub == nil {
		i--
	}
	return i
}
