package raft

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// Group is one replica of one raft group.
type Group struct {
	host         *Host
	shard        *shard
	id           GroupID
	replica      ReplicaID
	limits       Limits
	stateMachine StateMachine
	proposer     Proposer
	fetcher      CheckpointFetcher // nil: none
	storage      *storage
	applier      *applier
	inbox        inbox

	queued  atomic.Bool          // the shard's queue holds the group
	view    atomic.Pointer[view] // what the group shows to others; never nil
	applied atomic.Uint64        // index up to which the state machine has applied
	stepped atomic.Uint64        // index up to which the library knows of that
	written atomic.Uint64        // commit index in the record last appended to the log
	dropped atomic.Uint64        // messages from peers that found the inbox full
	// shownCharter is the charter as of a recent turn, and shownPeers what this leader knew of its
	// peers at the last tick. Never nil, and what they point to is never written to.
	shownCharter atomic.Pointer[Charter]
	shownPeers   atomic.Pointer[[]Peer]
	owed         atomic.Uint64 // index from which on a replica that fetches a checkpoint needs the log; 0: none does

	// The fields below belong to the shard loop.
	node *etcdraft.RawNode
	mail mail
	// backlog is what is left to step of messages, which is what was last taken of the inbox.
	messages, backlog []*pb.Message
	// hard is the hard state last handed to the writer, in full.
	hard wal.HardState
	// leader and role are the library's as of the last Ready; if ahead, they have followed it
	// since, because no Ready was taken.
	leader ReplicaID
	role   Role
	ahead  bool
	conf   *pb.ConfState
	// appliedIndex is what the library knows as applied; it follows applied.
	appliedIndex Index
	// ownTerm is the last term that this replica led and applied an entry of.
	ownTerm Term
	// replayEnd is the index up to which the log was known as committed at the start; caughtUp: the apply
	// worker was told that it has come there.
	replayEnd Index
	caughtUp  bool
	// campaign: a lone voter that was just started need not wait for an election timeout.
	campaign bool
	// appends and entryAppends count the MsgStorageAppends at the writer, and those of them
	// that carry entries.
	appends, entryAppends int
	// appendedAt are the ticks at which the appends were handed to the writer, and giveAwayAt the instant of the
	// boot clock before which this leader does not give its leadership away again.
	appendedAt []int
	giveAwayAt time.Duration
	// unappliedBytes is the size of what this leader has proposed and not yet applied. Entries of
	// former leaders count down too, so it is a low estimate; it never falls below 0.
	unappliedBytes int
	reads          readQueue
	lease          lease
	tenure         tenure
	transfer       transfer
	charter        Charter          // as of appliedIndex
	readsChange    *readsOrder      // proposed here and not yet applied
	memberChange   *memberOrder     // proposed here and not yet applied
	change         *confChangeOrder // proposed here and not yet applied
	// handedOut is the index up to which the apply worker has its orders.
	handedOut Index
	offer     *offer   // a checkpoint that waits until it can be given to the library; nil: none
	install   *install // a checkpoint that was given to the library; nil: none
	sent      sentSnapshots
	changeSeq uint64
	// refusedAt is the tick at which the library last refused a proposal; 0: it never did. Until the
	// next tick it is not asked again.
	refusedAt int
	// want: the proposer may have something to take.
	want      bool
	wakeAtSet bool
	wakeAt    time.Duration // boot clock; when wakeAtSet
	tickDue   bool
	// again: the turn has changed something that its earlier steps depend on.
	again    bool
	ticks    int               // since start
	heardOf  map[ReplicaID]int // the tick at which a peer was active last, while this replica leads
	proposal proposalScratch
}

// view is what a group's loop publishes, in one piece and before the messages of the same turn
// go out.
type view struct {
	term   Term
	leader ReplicaID
	role   Role
	commit Index
	reads  readRule
	lease  time.Duration // boot clock at which the lease ends; for readsUnderLease
	conf   *pb.ConfState // never written to
}

// readRule tells how a read may be served from memory without asking anyone.
type readRule uint8

const (
	// readsByIndex: not at all, a read index is needed.
	readsByIndex readRule = iota
	// readsUnderLease: before the lease ends, once everything committed is applied here.
	readsUnderLease
	// readsWhenApplied: once everything committed is applied here, because another replica may
	// have applied and answered it already.
	readsWhenApplied
	// readsAlways: at any time, because nothing is answered anywhere before it is applied here.
	readsAlways
)

// Notify tells that the group's proposer has something to take. It is cheap, may be called from
// any goroutine, and calls coalesce.
func (g *Group) Notify() {
	if g.inbox.put(func(m *mail) { m.notified = true }) {
		g.shard.wake(g)
	}
}

// Leader returns this replica's term and who leads it, 0 if that is not known here; as of the last turn.
func (g *Group) Leader() (Term, ReplicaID) {
	v := g.view.Load()
	return v.term, v.leader
}

// TryRead reports whether the local state machine may be read linearizably right now. If not,
// Read waits until it may. The call must begin after what is to be read was asked for.
func (g *Group) TryRead() bool {
	// Lease and commit index are of one instant, and the clock is read after it: while the lease held,
	// nobody else had committed anything.
	v := g.view.Load()
	switch v.reads {
	case readsUnderLease:
		return g.host.clock.Boot() < v.lease && g.applied.Load() >= uint64(v.commit)
	case readsAlways:
		return true
	case readsWhenApplied:
		return g.applied.Load() >= uint64(v.commit)
	}
	return false
}

// Read waits until the local state machine shows everything that was acknowledged anywhere
// before the call. Calls share read index rounds. Without a leader it waits until ctx ends;
// the error is then both ErrNoLeader and the context's.
func (g *Group) Read(ctx context.Context) error {
	p := g.StartRead()
	select {
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		if g.view.Load().leader == 0 {
			return fmt.Errorf("%w: %w", ErrNoLeader, ctx.Err())
		}
		return ctx.Err()
	}
}

// StartRead is Read for a caller that must not block.
func (g *Group) StartRead() *Pending {
	p := g.inbox.joinRead()
	if p == nil {
		p = newPending()
		p.resolve(ErrStopped)
		return p
	}
	g.shard.wake(g)
	return p
}

// Compact tells that a durable checkpoint holds everything up to index, which must be applied.
// The entries up to index are let go of, but for a bounded tail and for what the log does not
// know as committed yet, or the library as applied.
func (g *Group) Compact(index Index) error {
	if uint64(index) > g.applied.Load() {
		return fmt.Errorf("%w: %d, applied %d", ErrCompactBeyondApplied, index, g.applied.Load())
	}
	floor, err := g.storage.compact(min(g.compactTo(index), g.stepped.Load(), g.written.Load()))
	if err != nil || floor == 0 {
		return err
	}
	return g.host.log.Release(g.id, floor)
}

// receive takes a message from the authenticated replica peer. Messages may be refused or
// dropped; the peer repeats what matters.
func (g *Group) receive(peer ReplicaID, m *pb.Message) error {
	if err := admit(m, peer, g.replica); err != nil {
		return err
	}
	if !g.inbox.receive(m) {
		g.dropped.Add(1)
		return nil
	}
	g.shard.wake(g)
	return nil
}

// leads reports whether this replica leads, as of the last turn.
func (g *Group) leads() bool { return g.role == RoleLeader }

// follows reports whether this replica follows a leader that it knows.
func (g *Group) follows() bool {
	return g.role == RoleFollower && g.leader != 0 && g.leader != g.replica
}

// serves reports whether this replica leads, has applied an entry of its term, and no former leader
// can hold a lease.
func (g *Group) serves() bool {
	return g.leads() && g.ownTerm == Term(g.hard.Term) && g.tenure.term == g.ownTerm && g.tenure.waited
}

// lone reports whether this replica is the only voter.
func (g *Group) lone() bool {
	return len(g.conf.GetVoters()) == 1 && len(g.conf.GetVotersOutgoing()) == 0 &&
		g.conf.GetVoters()[0] == uint64(g.replica)
}

// readRule returns how memory may be read as of this turn.
func (g *Group) readRule() readRule {
	switch {
	case !g.announced() || !g.settled():
		return readsByIndex
	case !g.lone():
		if g.lease.until == 0 {
			return readsByIndex
		}
		return readsUnderLease
	case len(g.conf.GetLearners()) > 0:
		return readsWhenApplied
	}
	return readsAlways
}

// publish shows the loop's state to others.
func (g *Group) publish() {
	g.boundLease()
	now := view{
		term:   Term(g.hard.Term),
		leader: g.leader,
		role:   g.role,
		commit: Index(g.hard.Commit),
		reads:  g.readRule(),
		lease:  g.lease.until,
		conf:   g.conf,
	}
	if old := g.view.Load(); old == nil || *old != now {
		g.view.Store(&now)
	}
	if g.host.failed() {
		g.revoke()
	}
}

// revoke takes back everything that was published, for a host that has failed.
func (g *Group) revoke() {
	for {
		old := g.view.Load()
		now := *old
		now.role, now.leader, now.reads = RoleFollower, 0, readsByIndex
		if g.view.CompareAndSwap(old, &now) {
			return
		}
	}
}

// shutdown resolves everything that waits for the group; the actors no longer run.
func (g *Group) shutdown() {
	g.revoke()
	g.inbox.close(ErrStopped)
	g.reads.fail(ErrStopped)
	g.dropOffer(ErrStopped)
	if g.install != nil {
		g.install.pending.resolve(ErrStopped)
		g.install = nil
	}
	g.dropOrders(ErrStopped)
	if g.transfer.order != nil {
		g.transfer.order.pending.resolve(ErrStopped)
		g.transfer.order = nil
	}
}

// dropOrders ends the wait for what was proposed here and not seen applied.
func (g *Group) dropOrders(err error) {
	if g.change != nil {
		g.change.pending.resolve(err)
		g.change = nil
	}
	if g.readsChange != nil {
		g.readsChange.pending.resolve(err)
		g.readsChange = nil
	}
	if g.memberChange != nil {
		g.memberChange.pending.resolve(err)
		g.memberChange = nil
	}
}

func (g *Group) logger() *slog.Logger {
	return g.host.logger.With(slog.Uint64("group", uint64(g.id)))
}
