package raft

import "context"

// readsOrder is a change of how reads are served that was asked for here.
type readsOrder struct {
	reads   Reads
	pending *Pending
	term    Term // in which it was proposed
}

// ProposeReads changes how the group's reads are served and returns once the change is applied here.
// ErrNotLeader, ErrConfChangePending, ErrReadsInvalid, ErrProposalRefused and ErrNotApplied mean that
// nothing has changed; with any other error the outcome is unknown.
func (g *Group) ProposeReads(ctx context.Context, r Reads) error {
	return g.StartReads(r).Wait(ctx)
}

// StartReads is ProposeReads for a caller that must not block.
func (g *Group) StartReads(r Reads) *Pending {
	order := &readsOrder{reads: r, pending: newPending()}
	return g.ask(order.pending, ErrConfChangePending, func(m *mail) bool {
		if m.reads != nil {
			return false
		}
		m.reads = order
		return true
	})
}

func (g *Group) proposeReads(order *readsOrder) {
	if err := g.tryReads(order); err != nil {
		order.pending.resolve(err)
		return
	}
	order.term = g.tenure.term
	g.readsChange = order
}

func (g *Group) tryReads(order *readsOrder) error {
	if err := order.reads.check(); err != nil {
		return err
	}
	switch {
	case !g.serves():
		return ErrNotLeader
	case g.readsChange != nil:
		return ErrConfChangePending
	case !g.proposeHost(hostEntry{kind: hostReads, reads: order.reads}):
		return ErrProposalRefused
	}
	return nil
}

// settleReads resolves the change asked for here once it holds, or once an entry of a later term
// is applied: terms never fall along the log, so the change can come no more.
func (g *Group) settleReads(done *applyDone) {
	switch order := g.readsChange; {
	case order == nil:
		return
	case done.charter.Reads == order.reads:
		order.pending.resolve(nil)
	case done.last > order.term:
		order.pending.resolve(ErrNotApplied)
	default:
		return
	}
	g.readsChange = nil
}
