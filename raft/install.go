package raft

import (
	"log/slog"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// The way of a checkpoint to a replica that has fallen behind what the leader's log holds:
//
//	MsgSnap, a few bytes -> CheckpointFetcher.Fetch ... the checkpoint comes, by whatever way ...
//	Group.Offer -> the library takes its index and configuration over -> writer: a record with the
//	mark, synced -> apply worker, which has done all that was before -> StateMachine.Install ->
//	the library hears of it, and the leader
//
// Between the mark and Install nothing is handed to the apply worker, and what the writer has done
// since is kept from the library: it must hear of a checkpoint before it hears of entries behind it.

// offer is a checkpoint that has been fetched for this replica.
type offer struct {
	checkpoint Checkpoint
	pending    *Pending
}

// install is a checkpoint that was given to the library.
type install struct {
	offer
	accepted bool // it takes the place of the log; otherwise the library had no use for it
	// held are the completions of appends, from that of the mark on; empty until the mark is durable.
	held []appendDone
}

// installDone reports that the apply worker has installed a checkpoint.
type installDone struct {
	charter Charter
}

// Offer gives the group a checkpoint that was fetched. It must be durable where the state machine finds it
// after a crash: once the log has its mark, there is nothing else to start from. The outcome is nil when it is
// installed. With ErrCheckpointUseless it certainly never is; with any other error that is unknown,
// and the log tells at the next start. A later offer takes the place of one that still waits.
func (g *Group) Offer(c Checkpoint) *Pending {
	o := &offer{checkpoint: c, pending: newPending()}
	conf, err := c.conf()
	if err != nil || !isMember(conf, uint64(g.replica)) {
		o.pending.resolve(ErrCheckpointUseless)
		return o.pending
	}
	open := g.inbox.put(func(m *mail) {
		if m.offer != nil {
			m.offer.pending.resolve(ErrCheckpointUseless)
		}
		m.offer = o
	})
	if open {
		g.shard.wake(g)
	} else {
		o.pending.resolve(ErrStopped)
	}
	return o.pending
}

// heedSnapshot takes a leader's message that there is a checkpoint for this replica. It is not for the library, which
// would take it for the checkpoint itself, unless the replica has all that is in it: then the library
// tells the leader so.
func (g *Group) heedSnapshot(m *pb.Message) {
	s := g.node.BasicStatus()
	switch {
	case m.GetTerm() < s.GetTerm():
	case m.GetSnapshot().GetMetadata().GetIndex() <= s.GetCommit():
		g.step(m)
	case g.install == nil && g.fetcher != nil:
		c, err := checkpointOf(m.GetSnapshot())
		if err != nil {
			g.logger().Warn("checkpoint not fetched", slog.Any("error", err))
			return
		}
		g.fetcher.Fetch(ReplicaID(m.GetFrom()), c)
	}
}

// takeOffer gives a fetched checkpoint to the library in the name of the leader, when there is one, and when the
// apply worker has done everything: what it was told of configurations before must not reach the
// library after that of the checkpoint.
//
// The checkpoint may come from any replica and be newer than what the leader knows of: what is in it
// is committed, so no leader of this term or a later one can commit anything else in its place. But
// its term must not be above this replica's, or the log would end in a term that the replica has not
// heard of.
func (g *Group) takeOffer() {
	if o := g.mail.offer; o != nil {
		g.dropOffer(ErrCheckpointUseless)
		g.offer = o
	}
	if g.offer == nil || g.install != nil || g.standsStill() {
		return
	}
	c, s := &g.offer.checkpoint, g.node.BasicStatus()
	switch {
	case uint64(c.Index) <= s.GetCommit():
		g.dropOffer(ErrCheckpointUseless)
		return
	case s.RaftState != etcdraft.StateFollower || s.Lead == etcdraft.None || uint64(c.Term) > s.GetTerm() ||
		g.handedOut != g.appliedIndex:
		return
	}
	snapshot, err := c.snapshot()
	if err != nil {
		g.dropOffer(ErrCheckpointUseless)
		return
	}
	g.install, g.offer = &install{offer: *g.offer}, nil
	g.step(&pb.Message{
		Type: pb.MsgSnap.Enum(), From: new(s.Lead), To: new(uint64(g.replica)), Term: new(s.GetTerm()),
		Snapshot: snapshot,
	})
}

func (g *Group) dropOffer(err error) {
	if g.offer != nil {
		g.offer.pending.resolve(err)
		g.offer = nil
	}
}

// followSnapshot takes over what a Ready tells of a checkpoint that was given to the library.
func (g *Group) followSnapshot(rd *etcdraft.Ready) {
	switch {
	case !etcdraft.IsEmptySnap(rd.Snapshot):
		if g.install == nil {
			panic("raft: the library takes over a checkpoint that nobody offered")
		}
		g.install.accepted = true
		g.conf = pb.EnsureConfState(rd.Snapshot.GetMetadata().GetConfState())
		g.storage.setConfIndex(rd.Snapshot.GetMetadata().GetIndex())
	case g.install != nil && !g.install.accepted:
		// The log has the checkpoint's last entry: it is committed now, and applied from the log.
		g.install.pending.resolve(ErrCheckpointUseless)
		g.install = nil
	}
}

// hold keeps the completion of an append back while a checkpoint is being installed. With the mark durable
// the apply worker gets its order.
func (g *Group) hold(done *appendDone) bool {
	switch in := g.install; {
	case done.mark:
		in.held = append(in.held, *done)
		g.applier.enqueue(applyOrder{tag: Term(g.hard.Term), install: &in.checkpoint})
	case in != nil && len(in.held) > 0:
		in.held = append(in.held, *done)
	default:
		return false
	}
	return true
}

// finishInstall goes on after the apply worker has installed the checkpoint.
func (g *Group) finishInstall(done *installDone) {
	in := g.install
	g.install = nil
	g.appliedIndex, g.handedOut = in.checkpoint.Index, in.checkpoint.Index
	g.setCharter(done.charter)
	g.dropOrders(ErrOvertaken)
	for i := range in.held {
		g.stepAppended(&in.held[i])
	}
	g.stepped.Store(uint64(in.checkpoint.Index))
	in.pending.resolve(nil)
}
