package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/store"
)

// diskInterval is how often the free space is looked at. With 1 GB/s of writes it misses 500 MB at most, and
// the log's spare segment and raft's own bounds stand behind it.
const diskInterval = 500 * time.Millisecond

// diskGuard refuses writes that grow before the disk is full: a checkpoint and some log must still find
// room, or nothing could ever be deleted again.
type diskGuard struct {
	fs      vfs.FS
	dir     string
	reserve int64
	store   *store.Store
	clock   clock.Clock
	logger  *slog.Logger
	full    bool
}

// watch looks at the disk until ctx ends.
func (g *diskGuard) watch(ctx context.Context) {
	for {
		g.look()
		timer := g.clock.NewTimer(diskInterval)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (g *diskGuard) look() {
	free, err := g.fs.Free(g.dir)
	if err != nil {
		g.logger.Warn("cannot tell how much disk is free", "dir", g.dir, "error", err)
		return
	}
	need := uint64(g.reserve + g.store.LastCheckpoint().Bytes*11/10)
	full := free < need
	if full == g.full {
		return
	}
	g.full = full
	g.store.SetDiskFull(full)
	if full {
		g.logger.Error("disk is nearly full: writes that grow are refused until there is room",
			"dir", g.dir, "free", Bytes(free), "needed", Bytes(need))
		return
	}
	g.logger.Info("disk has room again: writes are taken", "dir", g.dir, "free", Bytes(free))
}
