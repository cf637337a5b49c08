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

// victim returns a node that something is to be done to: often one that thinks that it leads.
func (w *world) victim() *node {
	if w.rng.IntN(2) == 0 {
		return w.thinksItLeads()
	}
	return w.any()
}

// fill makes a disk full for a while, or a full one empty again.
func (w *world) fill(d *disk) {
	if d.full {
		d.empty()
		return
	}
	d.full, d.fullUntil = true, w.clock.Boot()+w.spell()
	d.files.SetFree(int64(w.rng.IntN(8 << 10)))
}

// disturb does something to the network, which passes.
func (w *world) disturb() {
	a, b := w.victim(), w.any()
	until := w.clock.Boot() + w.spell()
	switch w.rng.IntN(6) {
	case 0:
		w.network.disconnect(a.replica(), b.replica())
	case 1: // a and b, one way or both
		both := w.rng.IntN(2) == 0
		w.network.each(a.replica(), b.replica(), func(r route, l *link) {
			if both || r.from == a.replica() {
				l.cutUntil = until
			}
		})
	case 2: // a from all, one way or both
		in, out := w.rng.IntN(3) > 0, w.rng.IntN(3) > 0
		w.network.each(a.replica(), 0, func(r route, l *link) {
			if in && r.to == a.replica() || out && r.from == a.replica() {
				l.cutUntil = until
			}
		})
	case 3:
		w.network.each(a.replica(), b.replica(), func(_ route, l *link) { l.downUntil, l.letters = until, nil })
	case 4:
		w.bridge(until)
	default:
		w.network.heal()
	}
}

// starve keeps one actor of a node from its turns for a while: a disk that is slow to sync, an apply worker or a loop
// that is not scheduled.
func (w *world) starve(n *node) {
	actors := n.host.Actors()
	n.starved[actors[w.rng.IntN(len(actors))]] = w.clock.Boot() + w.spell()
}

// depose keeps a leader from the others for so long that they elect another one, and has clients hunt meanwhile for
// what the two do not agree on.
func (w *world) depose() {
	if w.clock.Boot() < w.hunting {
		return // one after the other
	}
	leader, until := w.thinksItLeads(), w.clock.Boot()+time.Duration(1000+w.rng.IntN(5000))*time.Millisecond
	w.hunting = until + 3*time.Second/2
	if w.rng.IntN(2) == 0 {
		leader.asleep = until
		return
	}
	mode := w.rng.IntN(4)
	w.network.each(leader.replica(), 0, func(r route, l *link) {
		in := r.to == leader.replica()
		switch {
		case mode == 0 && in: // it is sent writes, and passes them on, and hears of no answer
			l.deafUntil = until
		case mode == 1, mode == 2 && in, mode == 3 && !in:
			l.cutUntil = until
		}
	})
}

// spell draws how long something lasts: short of an election mostly, or through one and more.
func (w *world) spell() time.Duration {
	return time.Duration(w.rng.IntN(5000)>>(2*w.rng.IntN(3))) * time.Millisecond
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
func (w *world) bridge(until time.Duration) {
	bridge := w.any().replica()
	side := map[raft.ReplicaID]bool{}
	for _, n := range w.nodes {
		side[n.replica()] = w.rng.IntN(2) == 0
	}
	for r, l := range w.network.links {
		if r.from != bridge && r.to != bridge && side[r.from] != side[r.to] {
			l.cutUntil = until
		}
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
