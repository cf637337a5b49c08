package raft

import (
	"bytes"
	"context"
)

// memberOrder is a member that is to be settled, asked for here.
type memberOrder struct {
	member  Member
	pending *Pending
	term    Term // in which it was proposed
}

// ProposeMember settles who a replica is, which need not be in the configuration, and returns once that is applied
// here. Without data nothing is settled about it any more. ErrNotLeader, ErrConfChangePending, ErrMemberInvalid,
// ErrProposalRefused and ErrNotApplied mean that nothing has changed; with any other error the outcome is unknown.
func (g *Group) ProposeMember(ctx context.Context, m Member) error {
	return g.StartMember(m).Wait(ctx)
}

// StartMember is ProposeMember for a caller that must not block.
func (g *Group) StartMember(m Member) *Pending {
	order := &memberOrder{member: m, pending: newPending()}
	order.member.Data = bytes.Clone(m.Data)
	return g.ask(order.pending, ErrConfChangePending, func(mail *mail) bool {
		if mail.member != nil {
			return false
		}
		mail.member = order
		return true
	})
}

func (g *Group) proposeMember(order *memberOrder) {
	if err := g.tryMember(order); err != nil {
		order.pending.resolve(err)
		return
	}
	order.term = g.tenure.term
	g.memberChange = order
}

// tryMember proposes a member, but not beside a configuration change: that might remove the replica, and the entry
// would then change nothing.
func (g *Group) tryMember(order *memberOrder) error {
	m := order.member
	switch {
	case checkReplicaID(m.Replica) != nil || len(m.Data) > MemberBytesMax:
		return ErrMemberInvalid
	case !g.serves():
		return ErrNotLeader
	case g.memberChange != nil || g.changing():
		return ErrConfChangePending
	case !g.charter.admits(m):
		return ErrMemberInvalid
	case !g.proposeHost(hostEntry{kind: hostMember, member: m}):
		return ErrProposalRefused
	}
	return nil
}

// settleMember resolves what was asked for here once it holds, or once an entry of a later term is applied: terms
// never fall along the log, so it can come no more.
func (g *Group) settleMember(done *applyDone) {
	switch order := g.memberChange; {
	case order == nil:
		return
	case bytes.Equal(done.charter.Member(order.member.Replica), order.member.Data):
		order.pending.resolve(nil)
	case done.last > order.term:
		order.pending.resolve(ErrNotApplied)
	default:
		return
	}
	g.memberChange = nil
}
