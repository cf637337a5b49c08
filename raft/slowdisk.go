package raft

import (
	"log/slog"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// giveAwayInterval is how often a leader gives its leadership away because of its disk, at most: if all disks are
// slow, it does not go round and round.
const giveAwayInterval = 10 * time.Second

// noteHandedOut and noteDone keep the ticks at which the appends under way were handed to the writer, which is
// done with them in the same order.
func (g *Group) noteHandedOut() { g.appendedAt = append(g.appendedAt, g.ticks) }

func (g *Group) noteDone() { g.appendedAt = g.appendedAt[:copy(g.appendedAt, g.appendedAt[1:])] }

// diskFails reports whether an append has been under way for too long, or waits for space. It is counted in
// ticks: after a standstill of the whole process only one has passed.
func (g *Group) diskFails() bool {
	return len(g.appendedAt) > 0 && (g.host.Stalled() || g.ticks-g.appendedAt[0] >= g.host.slowDiskTicks)
}

// leaveSlowDisk is called at each tick. A leader whose disk does not keep up can still commit what the others
// have on theirs, but applies and answers nothing: somebody else had better lead. That takes nothing of
// its own disk: the release of the lease and the word to the successor are messages, and the votes are others'.
func (g *Group) leaveSlowDisk() {
	now := g.host.clock.Boot()
	if !g.serves() || !g.diskFails() || now < g.giveAwayAt {
		return
	}
	to := g.successor()
	if to == 0 {
		return
	}
	order := &transferOrder{to: to, pending: newPending()}
	if g.beginTransfer(order); g.transfer.order != order {
		return
	}
	g.giveAwayAt = now + giveAwayInterval
	g.logger().Warn("the disk of this leader does not keep up: the leadership goes to another",
		slog.String("to", to.String()), slog.Int("appends", g.appends), slog.Bool("full", g.host.Stalled()))
}

// successor returns an active voter that has everything committed, the one that has most; 0 if the others cannot
// elect it without this replica.
func (g *Group) successor() ReplicaID {
	var best, match uint64
	active := 0
	g.node.WithProgress(func(id uint64, kind etcdraft.ProgressType, pr tracker.Progress) {
		if id == uint64(g.replica) || kind != etcdraft.ProgressTypePeer || !pr.RecentActive ||
			pr.Match < g.hard.Commit {
			return
		}
		active++
		if best == 0 || pr.Match > match {
			best, match = id, pr.Match
		}
	})
	if active <= len(g.conf.GetVoters())/2 {
		return 0
	}
	return ReplicaID(best)
}
