package server

import (
	"log/slog"
	"time"

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
	logger  *slog.Logger
	full    bool
}

// look compares what is free with what is needed.
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
