package store

import (
	"errors"
	"sync"

	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// arrivals keeps a checkpoint that was fetched from another node from when it is loaded until the group has
// decided on it.
type arrivals struct {
	mu     sync.Mutex
	loaded *arrival // guarded by mu
}

// arrival is a fetched checkpoint, loaded.
type arrival struct {
	state *engine.State
	at    position
}

// put keeps an arrival in the place of the one before; nil: none.
func (a *arrivals) put(loaded *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded = loaded
}

// take gives the arrival that a checkpoint names out, if it is there.
func (a *arrivals) take(c *raft.Checkpoint) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded == nil || a.loaded.at.Index != c.Index || a.loaded.at.Term != c.Term {
		return nil
	}
	taken := a.loaded
	a.loaded = nil
	return taken
}

var errNotFetched = errors.New("store: the checkpoint to install was not fetched")

// Install puts a fetched checkpoint in the place of the state. See raft.StateMachine.
//
// The curtain is drawn before, if the checkpoint may hold what must not be seen yet: whoever takes the new state up
// sees that too. A reader that has the old one had its read point before. The replica that has made the checkpoint may
// have known a higher term than this one does yet: what was committed in that one must not be seen as long as the
// leader of this one may hold a lease.
func (s *Store) Install(tag raft.Term, c *raft.Checkpoint) (raft.Charter, error) {
	a := s.arrivals.take(c)
	if a == nil {
		return raft.Charter{}, errNotFetched
	}
	if s.halted() { // nothing is applied any more
		return a.at.Charter, nil
	}
	tag = max(tag, a.at.Seen)
	s.curtain.raise(tag, s.applied.Charter.Serving)
	s.memory.Store(a.state)
	s.applied = a.at
	s.clock.raise(a.state.LogTime())
	s.waiters.jump()
	s.curtain.raise(tag, s.applied.Charter.Serving)
	for _, w := range s.curtain.takeShown() {
		w.run.show(w.op)
	}
	s.sinceCheckpoint.Store(0)
	s.afterApply()
	return s.applied.Charter, nil
}
