package server

import (
	"log/slog"
	"time"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
)

// clockInterval is how often this node's wall clock is held against the other voters'. It is well below what a new
// leader waits before it serves, so that no leader stamps an entry by a clock that was not looked at.
const clockInterval = 100 * time.Millisecond

// clockGuard keeps a wrong wall clock from becoming log time.
type clockGuard struct {
	cluster *cluster.Node
	group   *raft.Group
	store   *store.Store
	logger  *slog.Logger
	wrong   bool
}

// look compares the clocks.
func (g *clockGuard) look() {
	by := g.cluster.ClockCorrection(g.group.Status().Voters)
	g.store.CorrectClock(by)
	if wrong := by != 0; wrong != g.wrong {
		g.wrong = wrong
		if wrong {
			g.logger.Error("the wall clock of this node is wrong: set it right. "+
				"Until then times to live go by those of the other voters", "ahead", -by)
			return
		}
		g.logger.Info("the wall clock of this node agrees with the other voters' again")
	}
}
