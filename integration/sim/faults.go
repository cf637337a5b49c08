package sim

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

// fill makes a disk full, or a full one empty again.
func (w *world) fill(d *disk) {
	if d.full = !d.full; d.full {
		d.files.SetFree(int64(w.rng.IntN(8 << 10)))
	} else {
		d.files.SetFree(-1)
	}
}

// disturb does something to the network.
func (w *world) disturb() {
	a, b := w.any(), w.any()
	switch w.rng.IntN(8) {
	case 6:
		w.bridge()
	case 0:
		w.network.disconnect(a.replica(), b.replica())
	case 1: // a and b, one way or both
		both := w.rng.IntN(2) == 0
		w.network.each(a.replica(), b.replica(), func(r route, l *link) {
			l.cut = l.cut || both || r.from == a.replica()
		})
	case 2: // a from all, one way or both
		in, out := w.rng.IntN(3) > 0, w.rng.IntN(3) > 0
		w.network.each(a.replica(), 0, func(r route, l *link) {
			l.cut = l.cut || in && r.to == a.replica() || out && r.from == a.replica()
		})
	case 3:
		w.network.each(a.replica(), b.replica(), func(_ route, l *link) { l.down, l.letters = true, nil })
	default:
		w.network.heal()
	}
}

// starve keeps one actor of a node from its turns for a while: a disk that is slow to sync, an apply worker or a loop
// that is not scheduled.
func (w *world) starve(n *node) {
	actors := n.host.Actors()
	n.starved[actors[w.rng.IntN(len(actors))]] = w.now + w.rng.IntN(w.options.steps/10)
}

// jump moves a node's wall clock, mostly by little.
func (w *world) jump(n *node) {
	by := time.Duration(w.rng.IntN(2000)-1000) * time.Millisecond
	if w.rng.IntN(4) == 0 {
		by *= 3600
	}
	n.clock.Jump(by)
}

// bridge cuts the nodes into two halves that do not reach each other, but for one node that reaches all.
func (w *world) bridge() {
	bridge := w.any()
	side := map[raft.ReplicaID]bool{}
	for _, n := range w.nodes {
		side[n.replica()] = w.rng.IntN(2) == 0
	}
	for r, l := range w.network.links {
		l.cut = l.cut || r.from != bridge.replica() && r.to != bridge.replica() && side[r.from] != side[r.to]
	}
}

// failable are the operations of the log on its files that may fail with EIO.
var failable = []vfs.Kind{vfs.OpSync, vfs.OpSync, vfs.OpWrite, vfs.OpRead, vfs.OpCreate, vfs.OpRemove, vfs.OpSyncDir}

// excused reports whether a disk that was made to fail explains an error.
func (w *world) excused(n *node, err error) bool {
	var ofLog *wal.CorruptError
	var ofCheckpoint *checkpoint.CorruptError
	return n.disk.full && (errors.Is(err, wal.ErrNoSpace) || errors.Is(err, syscall.ENOSPC)) ||
		errors.Is(err, io.ErrShortWrite) || errors.Is(err, errPower) || errors.Is(err, syscall.EIO) ||
		len(n.disk.flips) > 0 && (errors.As(err, &ofLog) || errors.As(err, &ofCheckpoint))
}
