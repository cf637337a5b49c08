package raft

import (
	"sync"
	"time"
)

// shard is the actor that steps a set of groups: it alone touches their raft state.
type shard struct {
	host   *Host
	signal signal

	mu     sync.Mutex
	groups []*Group // every group of the shard; guarded by mu
	queue  []*Group // groups with something to do, each once; guarded by mu

	// The fields below belong to Turn.
	work   []*Group
	tickAt time.Duration // boot clock
}

func newShard(h *Host) *shard {
	return &shard{host: h, signal: newSignal(), tickAt: h.clock.Boot() + h.tick}
}

func (s *shard) add(g *Group) {
	s.mu.Lock()
	s.groups = append(s.groups, g)
	s.mu.Unlock()
	s.wake(g)
}

// wake lets a group have a turn.
func (s *shard) wake(g *Group) {
	if !g.queued.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	s.queue = append(s.queue, g)
	s.mu.Unlock()
	s.signal.set()
}

// Turn gives each group that has something to do one turn.
func (s *shard) Turn() bool {
	if s.host.failed() {
		return false
	}
	now := s.host.clock.Boot()
	ticks := s.ticksDue(now)
	s.wakeDue(now, ticks)
	s.mu.Lock()
	s.work, s.queue = s.queue, s.work[:0]
	s.mu.Unlock()
	for _, g := range s.work {
		g.queued.Store(false)
		g.turn(now)
		if g.moreToDo() {
			s.wake(g)
		}
	}
	worked := len(s.work) > 0
	clear(s.work)
	return worked
}

// ticksDue reports whether a tick is due. After a stall one tick is given, not the many that
// passed: a replica that was away must not take its own absence for its leader's.
func (s *shard) ticksDue(now time.Duration) bool {
	if now < s.tickAt {
		return false
	}
	s.tickAt = now + s.host.tick
	return true
}

// wakeDue queues the groups that the clock calls for. All groups are looked at: they are few.
func (s *shard) wakeDue(now time.Duration, ticks bool) {
	s.mu.Lock()
	groups := s.groups
	s.mu.Unlock()
	for _, g := range groups {
		proposer := g.wakeAtSet && now >= g.wakeAt
		g.tickDue = g.tickDue || ticks
		g.want = g.want || proposer
		if ticks || proposer {
			s.wake(g)
		}
	}
}

// WakeAt is the next tick, or what a group's proposer asked for.
func (s *shard) WakeAt() (time.Duration, bool) {
	s.mu.Lock()
	groups := s.groups
	s.mu.Unlock()
	at := s.tickAt
	for _, g := range groups {
		if g.wakeAtSet {
			at = min(at, g.wakeAt)
		}
	}
	return at, true
}

func (s *shard) signalled() <-chan struct{} { return s.signal }
