package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
)

// membership changes the members of a cluster: command.Membership over cluster.Node.
type membership struct{ node *cluster.Node }

// Add invites a node. Part of command.Membership, as all methods here are.
func (m membership) Add(ctx context.Context, addr string) *command.Error {
	return changed(m.node.Add(ctx, addr))
}

// Promote makes a learner a voter.
func (m membership) Promote(ctx context.Context, node string) *command.Error {
	return changed(m.node.Promote(ctx, node))
}

// Remove ends a membership.
func (m membership) Remove(ctx context.Context, node string, force bool) *command.Error {
	return changed(m.node.Remove(ctx, node, force))
}

// Transfer gives the leadership to another node.
func (m membership) Transfer(ctx context.Context, node string) *command.Error {
	return changed(m.node.Transfer(ctx, node))
}

// Replace lets a node take the place of another.
func (m membership) Replace(ctx context.Context, old, successor string) *command.Error {
	return changed(m.node.Replace(ctx, old, successor))
}

// SetReads says how reads are served.
func (m membership) SetReads(ctx context.Context, lease time.Duration) *command.Error {
	return changed(m.node.SetReads(ctx, lease))
}

// changed is the answer to a change of the members.
func changed(err error) *command.Error {
	if err == nil {
		return nil
	}
	code := command.Uncertain
	var refusal *cluster.Refusal
	if errors.As(err, &refusal) {
		switch refusal.Verdict {
		case cluster.Refused:
			code = command.Precondition
		case cluster.TryAgain:
			code = command.NotApplied
		}
	}
	return command.Errorf(code, "%s", err.Error())
}

// roster returns the members of the cluster to clients. To themselves a node's clients are told the address at
// which it listens.
func roster(seats []cluster.Seat, self uint64, resp command.Address) []command.Member {
	members := make([]command.Member, len(seats))
	for i := range seats {
		seat := &seats[i]
		members[i] = command.Member{
			ID: seat.Node, Name: seat.Name, RESP: clientAddress(seat.RESP), GRPC: seat.GRPC, Peer: seat.Peer,
			Voter: seat.Voter, Connected: seat.Connected, Match: seat.Match,
		}
		if seat.Node == self {
			members[i].RESP = resp
		}
	}
	return members
}

// told returns the address at which clients are to reach a door of this node that listens at an address: that, or
// one that the settings name, or where every interface is listened on the host of the address for peers.
func told(advertise, listens, peer string) string {
	host, port, err := net.SplitHostPort(listens)
	if ip := net.ParseIP(host); advertise == "" && err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		if peerHost, _, err := net.SplitHostPort(peer); err == nil {
			return net.JoinHostPort(peerHost, port)
		}
		return ""
	}
	return cmp.Or(advertise, listens)
}
