package store

import (
	"sync"
	"sync/atomic"

	"github.com/primatomic/primatomic/raft"
)

// curtain hides what has been applied from clients while another replica may still answer reads from
// before it: from the first batch that was handed out in a new term until the SERVE entry of that
// term is applied. See raft.StateMachine.
type curtain struct {
	// drawn is set before the first change that must not be seen, and read under the lock under which
	// that change is made.
	drawn atomic.Bool

	// Owned by the apply worker.
	tag     raft.Term // the highest term of a batch
	serving raft.Term // the term of the last SERVE entry applied
	held    []held    // answers that wait behind the curtain, bounded by what was in the log at its fall

	mu     sync.Mutex
	opened chan struct{} // closed when the curtain opens; guarded by mu
}

// held is an answer whose connection may not be woken yet.
type held struct {
	waiter
	term raft.Term // of its entry
}

// raise draws the curtain if tag is above the term served, and opens it if it no longer is.
func (c *curtain) raise(tag, serving raft.Term) {
	c.tag, c.serving = max(c.tag, tag), serving
	drawn := c.tag > c.serving
	if drawn == c.drawn.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drawn.Store(drawn)
	if drawn {
		c.opened = make(chan struct{})
	} else {
		close(c.opened)
	}
}

// hides reports whether what an entry of a term has done must not be seen yet. It may be once a
// later term is served, even if the curtain has been drawn again.
func (c *curtain) hides(term raft.Term) bool { return c.drawn.Load() && term >= c.serving }

// wait returns what is closed when the curtain opens, nil if it is open.
func (c *curtain) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.drawn.Load() {
		return nil
	}
	return c.opened
}

// takeShown returns the held answers that are hidden no longer.
func (c *curtain) takeShown() []waiter {
	var shown []waiter
	still := c.held[:0]
	for _, h := range c.held {
		if c.hides(h.term) {
			still = append(still, h)
		} else {
			shown = append(shown, h.waiter)
		}
	}
	clear(c.held[len(still):])
	c.held = still
	return shown
}

// SetCharter notes who serves the group. See raft.StateMachine.
func (s *Store) SetCharter(tag raft.Term, at raft.Entry, charter raft.Charter) {
	if s.halted() {
		return
	}
	if at.Term > s.applied.Term {
		s.passOver(at.Term)
	}
	s.applied.Term, s.applied.Index, s.applied.Charter = at.Term, at.Index, charter
	s.curtain.raise(tag, charter.Serving)
	for _, w := range s.curtain.takeShown() {
		w.run.show(w.op)
	}
	s.sinceCheckpoint.Add(entryOverhead)
	s.afterApply()
}

// Charter returns what the log had settled as of Position.
func (s *Store) Charter() raft.Charter { return s.applied.Charter }
