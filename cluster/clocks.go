package cluster

import (
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// clockTrust is how far a node's wall clock may be from the median of the voters' clocks before the median is
// followed instead.
const clockTrust = 10 * time.Second

// ClockCorrection returns by how much this node's wall clock is to be corrected so that it does not spoil every time to
// live if this node leads: 0 unless it is more than 10 s from the median of the voters' clocks, as far as connected
// voters have told theirs. A node that knows of no majority of them trusts its own.
func (n *Node) ClockCorrection(voters []raft.ReplicaID) time.Duration {
	if n.transport == nil {
		return 0
	}
	now := n.clock.Now()
	offsets := []time.Duration{0}
	for _, p := range n.transport.Status().Peers {
		if slices.Contains(voters, raft.ReplicaID(p.ID)) && !p.Raft.Wall.IsZero() {
			offsets = append(offsets, p.Raft.Wall.Sub(now))
		}
	}
	return correction(offsets, len(voters))
}

// correction returns the correction of a clock, given how far ahead of it the clocks are that are known, its own 0
// among them, of so many voters. Of two clocks in the middle the one nearer to it counts: there it is one clock's
// word against another's.
func correction(ahead []time.Duration, voters int) time.Duration {
	if 2*len(ahead) <= voters {
		return 0
	}
	slices.Sort(ahead)
	low, high := ahead[(len(ahead)-1)/2], ahead[len(ahead)/2]
	median := low
	if high.Abs() < low.Abs() {
		median = high
	}
	if low < 0 && high > 0 {
		median = 0
	}
	if median.Abs() <= clockTrust {
		return 0
	}
	return median
}
