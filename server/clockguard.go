package server

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
)

// clockInterval is how often this node's wall clock is held against the other voters'. It is well below what a new
// leader waits before it serves, so that no leader stamps an entry by a clock that was not looked at.
const clockInterval = 100 * time.Millisecond

// clockGuard keeps a wrong wall clock from becoming log time.
type clockGuard struct {
	clock   clock.Clock
	cluster *cluster.Node
	group   *raft.Group
	store   *store.Store
	logger  *slog.Logger

	logTime time.Time     // as it was last seen to change
	at      time.Duration // the boot clock then
	ahead   atomic.Int64  // of the others' clocks, ns; 0 unless the clock is wrong
}

// look compares the clocks.
func (g *clockGuard) look() {
	boot := g.clock.Boot()
	if now := g.store.LogTime(); !now.Equal(g.logTime) {
		g.logTime, g.at = now, boot
	}
	carried := g.logTime
	if !carried.IsZero() {
		carried = carried.Add(boot - g.at)
	}
	seen, by, known := g.cluster.ClockCorrection(g.group.Status().Voters, carried)
	if !known {
		return
	}
	g.store.CorrectClock(seen, by)
	switch was := g.ahead.Swap(int64(-by)); {
	case by != 0 && was == 0:
		g.logger.Error("the wall clock of this node is wrong: set it right. "+
			"Until then times to live go by those of the other voters", "ahead", -by)
	case by == 0 && was != 0:
		g.logger.Info("the wall clock of this node agrees with the other voters' again")
	}
}

// wrong returns how far the wall clocks of members that are known to be wrong are ahead, by id.
func (g *clockGuard) wrong() map[uint64]time.Duration {
	return g.cluster.WrongClocks(-time.Duration(g.ahead.Load()))
}
