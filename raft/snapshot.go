package raft

import (
	"log/slog"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// owedFor is how long the log is kept for a replica that was sent a checkpoint, after it was last seen to wait
// for it, and owedFactor how much of it in multiples of Limits.TailBytes.
const (
	owedFor    = 30 * time.Second
	owedFactor = 16
)

// sentSnapshots is what a leader knows of the checkpoints it has told others to fetch.
type sentSnapshots struct {
	// since is the tick at which a replica was first seen to wait for its checkpoint.
	since map[uint64]int
	// owed is the lowest index of those checkpoints, and seen the tick at which a replica last waited;
	// owed is 0 if none has for owedFor.
	owed Index
	seen int
}

// Snapshot implements etcdraft.Storage: it names the newest checkpoint. Whoever gets it must find
// itself in the checkpoint's configuration, and in the log whatever follows.
func (s *storage) Snapshot() (*pb.Snapshot, error) {
	if s.source == nil {
		return nil, etcdraft.ErrSnapshotTemporarilyUnavailable
	}
	s.mu.Lock()
	least := Index(max(s.confIndex, s.floorIndex))
	s.mu.Unlock()
	c, ok := s.source.Newest()
	if !ok || c.Index < least {
		s.want(least)
		return nil, etcdraft.ErrSnapshotTemporarilyUnavailable
	}
	snapshot, err := c.snapshot()
	if err != nil {
		return nil, etcdraft.ErrSnapshotTemporarilyUnavailable
	}
	return snapshot, nil
}

// followSnapshots is called at each tick. The library sends nothing to a replica that it has told of a checkpoint until
// it hears how that went, and the message may be lost, the checkpoint gone, the replica restarted. So
// after an election timeout it hears of a failure, probes, and tells the replica again.
func (g *Group) followSnapshots() {
	if !g.leads() {
		g.sent = sentSnapshots{}
		g.owed.Store(0)
		return
	}
	var waits map[uint64]int
	g.node.WithProgress(func(id uint64, _ etcdraft.ProgressType, pr tracker.Progress) {
		if pr.State != tracker.StateSnapshot {
			return
		}
		first, known := g.sent.since[id]
		if !known {
			first = g.ticks
		}
		if waits == nil {
			waits = make(map[uint64]int)
		}
		waits[id] = first
		if pending := Index(pr.PendingSnapshot); g.sent.owed == 0 || pending < g.sent.owed {
			g.sent.owed = pending
		}
		g.sent.seen = g.ticks
	})
	for id, first := range waits {
		if g.ticks-first >= g.host.electionTicks {
			g.node.ReportSnapshot(id, etcdraft.SnapshotFailure)
			delete(waits, id)
		}
	}
	g.sent.since = waits
	if time.Duration(g.ticks-g.sent.seen)*g.host.tick > owedFor {
		g.sent.owed = 0
	}
	g.owed.Store(uint64(g.sent.owed))
}

// compactTo returns up to where the log may be let go of when a checkpoint as of index is durable: a tail
// stays for replicas that lag, and what follows a checkpoint that one is fetching, both within bounds.
func (g *Group) compactTo(index Index) uint64 {
	floor := uint64(index)
	if !g.hasPeers() {
		return floor
	}
	tail := int64(g.limits.TailBytes)
	floor = min(floor, g.host.log.Tail(g.id, tail)-1)
	if owed := g.owed.Load(); owed != 0 && owed < floor {
		floor = max(owed, min(floor, g.host.log.Tail(g.id, owedFactor*tail)-1))
	}
	return floor
}

// hasPeers reports whether the configuration has other replicas, as of the last turn.
func (g *Group) hasPeers() bool {
	conf := g.view.Load().conf
	return len(conf.GetVoters())+len(conf.GetLearners())+len(conf.GetVotersOutgoing()) > 1
}

// Unreachable tells that messages to a replica of a group were dropped on the way. It never blocks.
func (h *Host) Unreachable(group GroupID, replica ReplicaID) {
	h.mu.Lock()
	g := h.groups[group]
	h.mu.Unlock()
	if g == nil {
		return
	}
	g.inbox.put(func(m *mail) { m.noteLost(replica) })
	g.shard.wake(g)
}

// noteLost keeps in mind, once, that messages to a replica were lost.
func (m *mail) noteLost(replica ReplicaID) {
	if m.lost == nil {
		m.lost = make(map[ReplicaID]struct{})
	}
	if len(m.lost) < votersMax {
		m.lost[replica] = struct{}{}
	}
}

// reportLost has a leader probe replicas whose messages were lost, instead of sending on.
func (g *Group) reportLost() {
	if !g.leads() {
		return
	}
	for id := range g.mail.lost {
		g.logger().Debug("messages were lost", slog.String("to", id.String()))
		g.node.ReportUnreachable(uint64(id))
	}
}
