package cluster

import (
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// clockTrust is how far a node's wall clock may be from the median of the voters' clocks before the median is
// followed instead.
const clockTrust = 10 * time.Second

// ClockCorrection holds this node's wall clock against the voters' as far as connected voters have told theirs. It
// returns what the clock showed and by how much it is to be corrected so that it does not spoil every time to live if
// this node leads: 0 unless it is more than 10 s from their median. If as many say one thing as another, the one nearer
// to logTime counts, which is log time carried on to now, zero if there is none yet. known is false if no majority of
// the voters, this node among them, is heard of: then there is nothing new to be said of the clock.
func (n *Node) ClockCorrection(voters []raft.ReplicaID, logTime time.Time) (
	seen time.Time, by time.Duration, known bool,
) {
	if n.transport == nil {
		return time.Time{}, 0, false
	}
	now := n.clock.Now()
	ahead := []time.Duration{0}
	for _, p := range n.transport.Status().Peers {
		if slices.Contains(voters, raft.ReplicaID(p.ID)) && !p.Raft.Wall.IsZero() {
			ahead = append(ahead, p.Raft.Wall.Sub(now))
		}
	}
	if 2*len(ahead) <= len(voters) {
		return now, 0, false
	}
	logAhead := time.Duration(0)
	if !logTime.IsZero() {
		logAhead = logTime.Sub(now)
	}
	return now, correction(ahead, logAhead), true
}

// WrongClocks returns how far the wall clocks of this node and of connected ones are ahead that are more than 10 s from
// what this node's shows with its correction.
func (n *Node) WrongClocks(by time.Duration) map[uint64]time.Duration {
	wrong := map[uint64]time.Duration{}
	if n.transport == nil {
		return wrong
	}
	note := func(id uint64, ahead time.Duration) {
		if ahead.Abs() > clockTrust {
			wrong[id] = ahead
		}
	}
	note(n.self.Node, -by)
	now := n.clock.Now().Add(by)
	for _, p := range n.transport.Status().Peers {
		if !p.Raft.Wall.IsZero() {
			note(uint64(p.ID), p.Raft.Wall.Sub(now))
		}
	}
	return wrong
}

// correction returns the correction of a clock, given how far ahead of it the clocks are that are known, its own 0
// among them, and log time. Of two clocks in the middle, which may be one's word against another's, the one nearer to
// log time counts: what was right before goes on to be.
func correction(ahead []time.Duration, logAhead time.Duration) time.Duration {
	slices.Sort(ahead)
	low, high := ahead[(len(ahead)-1)/2], ahead[len(ahead)/2]
	median := low
	if (high - logAhead).Abs() < (low - logAhead).Abs() {
		median = high
	}
	if median.Abs() <= clockTrust {
		return 0
	}
	return median
}
