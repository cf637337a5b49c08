package raft

import (
	"context"
	"slices"
)

// transferOrder is a transfer of the leadership that was asked for here.
type transferOrder struct {
	to      ReplicaID
	pending *Pending
}

// transfer is what a leader gives its leadership away with.
type transfer struct {
	order *transferOrder // under way; nil: none
	term  Term           // in which it was begun
	// released: a release is in the log and no entry after it yet.
	released bool
}

// Transfer gives the leadership to another voter and returns once that leads. It proposes a
// release of the lease first, so that the successor need not wait the lease out. ErrNotLeader,
// ErrTransferInvalid and ErrTransferPending mean that nothing was begun; ErrTransferFailed, that this
// replica goes on, or that another than the one named leads. With the context's error the
// transfer goes on.
func (g *Group) Transfer(ctx context.Context, to ReplicaID) error {
	return g.StartTransfer(to).Wait(ctx)
}

// StartTransfer is Transfer for a caller that must not block.
func (g *Group) StartTransfer(to ReplicaID) *Pending {
	order := &transferOrder{to: to, pending: newPending()}
	return g.ask(order.pending, ErrTransferPending, func(m *mail) bool {
		if m.transfer != nil {
			return false
		}
		m.transfer = order
		return true
	})
}

// beginTransfer checks an order, releases the lease and asks the library for the transfer.
func (g *Group) beginTransfer(order *transferOrder) {
	if err := g.tryTransfer(order); err != nil {
		order.pending.resolve(err)
		return
	}
	g.transfer = transfer{order: order, term: g.tenure.term, released: true}
	g.node.TransferLeader(uint64(order.to))
}

func (g *Group) tryTransfer(order *transferOrder) error {
	switch {
	case !g.serves():
		return ErrNotLeader
	case g.transfer.order != nil || g.change != nil || !g.settled():
		return ErrTransferPending
	case order.to == g.replica || !slices.Contains(g.conf.GetVoters(), uint64(order.to)):
		return ErrTransferInvalid
	case !g.proposeHost(hostEntry{kind: hostRelease}):
		return ErrProposalRefused
	}
	return nil
}

// followTransfer resolves a transfer whose end can be seen. A leader whose transfer has failed
// appends an entry after the release, so that a successor by a late message waits again.
func (g *Group) followTransfer() {
	t := &g.transfer
	if t.order != nil {
		if err, ended := g.transferEnd(); ended {
			t.order.pending.resolve(err)
			t.order = nil
		}
	}
	if t.released && t.order == nil && g.serves() {
		t.released = !g.proposeHost(hostEntry{kind: hostResume})
	}
}

// transferEnd returns how the transfer under way has ended, if it has.
func (g *Group) transferEnd() (err error, ended bool) {
	switch {
	case g.leads() && Term(g.hard.Term) == g.transfer.term:
		aborted := g.stillLeads() && g.node.BasicStatus().LeadTransferee == 0
		return ErrTransferFailed, aborted
	case g.leader == 0:
		return nil, false
	case g.leader == g.transfer.order.to:
		return nil, true
	}
	return ErrTransferFailed, true
}

// transferring reports whether the library takes no proposals because of a transfer.
func (g *Group) transferring() bool { return g.transfer.order != nil || g.transfer.released }
