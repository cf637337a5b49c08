package raft

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// ChangeKind is what a Change does to a replica.
type ChangeKind uint8

// The kinds of change.
const (
	AddVoter   ChangeKind = iota + 1 // adds a voter, or promotes a learner
	AddLearner                       // adds a learner, or demotes a voter
	RemoveReplica
)

// Change is one step of a configuration change.
type Change struct {
	Kind    ChangeKind
	Replica ReplicaID
}

// confChangeOrder is a configuration change that was asked for here.
type confChangeOrder struct {
	changes []Change
	pending *Pending
	term    Term   // in which it was proposed
	context []byte // names it in the log
	index   Index  // at which it was applied; 0: not yet
}

// ProposeConfChange changes the group's configuration and returns once the change is applied
// here. Several changes go through a joint configuration, which the library leaves by itself.
// Only one change may be under way. ErrNotLeader, ErrConfChangePending, ErrConfChangeInvalid,
// ErrProposalRefused and ErrNotApplied mean that nothing has changed; with any other error the
// outcome is unknown.
func (g *Group) ProposeConfChange(ctx context.Context, changes ...Change) error {
	return g.StartConfChange(changes...).Wait(ctx)
}

// StartConfChange is ProposeConfChange for a caller that must not block.
func (g *Group) StartConfChange(changes ...Change) *Pending {
	order := &confChangeOrder{changes: changes, pending: newPending()}
	return g.ask(order.pending, ErrConfChangePending, func(m *mail) bool {
		if m.change != nil {
			return false
		}
		m.change = order
		return true
	})
}

// ask puts an order into the mail of the next turn. It is resolved at once with taken if place finds
// another one of its kind there, and with ErrStopped if the group has stopped.
func (g *Group) ask(order *Pending, taken error, place func(m *mail) bool) *Pending {
	placed := false
	open := g.inbox.put(func(m *mail) { placed = place(m) })
	switch {
	case !open:
		order.resolve(ErrStopped)
	case !placed:
		order.resolve(taken)
	default:
		g.shard.wake(g)
	}
	return order
}

// proposeConfChange checks a change and steps it. The library replaces a change that it refuses
// by an empty entry and reports no error, so everything is checked before.
func (g *Group) proposeConfChange(order *confChangeOrder) {
	if err := g.tryConfChange(order); err != nil {
		order.pending.resolve(err)
		return
	}
	g.change = order
}

// changing reports whether a configuration change is under way.
func (g *Group) changing() bool { return g.change != nil || len(g.conf.GetVotersOutgoing()) > 0 }

func (g *Group) tryConfChange(order *confChangeOrder) error {
	switch {
	case !g.serves():
		return ErrNotLeader
	case g.changing() || g.memberChange != nil:
		return ErrConfChangePending
	}
	g.changeSeq++
	order.term = Term(g.hard.Term)
	order.context = binary.LittleEndian.AppendUint64(nil, g.hard.Term)
	order.context = binary.LittleEndian.AppendUint64(order.context, g.changeSeq)
	cc, err := g.newConfChange(order)
	if err != nil {
		return err
	}
	data, err := proto.Marshal(cc)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfChangeInvalid, err)
	}
	entries := []*pb.Entry{{Type: pb.EntryConfChangeV2.Enum(), Data: data}}
	err = g.node.Step(&pb.Message{
		Type:    pb.MsgProp.Enum(),
		From:    new(uint64(g.replica)),
		Entries: entries,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProposalRefused, err)
	}
	if entries[0].GetType() == pb.EntryNormal {
		return ErrProposalRefused
	}
	return nil
}

// newConfChange builds the library's form of a change and tries it on the configuration: the
// library panics when it applies a change that does not fit.
func (g *Group) newConfChange(order *confChangeOrder) (*pb.ConfChangeV2, error) {
	cc := &pb.ConfChangeV2{Context: order.context}
	if len(order.changes) == 0 {
		return nil, fmt.Errorf("%w: empty", ErrConfChangeInvalid)
	}
	for _, c := range order.changes {
		if err := checkReplicaID(c.Replica); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfChangeInvalid, err)
		}
		if g.charter.HasRemoved(c.Replica) {
			return nil, fmt.Errorf("%w: replica %x was removed and never comes back", ErrConfChangeInvalid,
				uint64(c.Replica))
		}
		if c.Replica == g.replica && c.Kind != AddVoter {
			return nil, fmt.Errorf("%w: the leader cannot demote or remove itself before a transfer",
				ErrConfChangeInvalid)
		}
		var kind pb.ConfChangeType
		switch c.Kind {
		case AddVoter:
			kind = pb.ConfChangeAddNode
		case AddLearner:
			kind = pb.ConfChangeAddLearnerNode
		case RemoveReplica:
			kind = pb.ConfChangeRemoveNode
			if len(g.charter.Removed)+len(order.changes) > removedMax {
				return nil, fmt.Errorf("%w: too many replicas have been removed", ErrConfChangeInvalid)
			}
		default:
			return nil, fmt.Errorf("%w: kind %d", ErrConfChangeInvalid, c.Kind)
		}
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{
			Type:   kind.Enum(),
			NodeId: new(uint64(c.Replica)),
		})
	}
	if err := fits(g.conf, cc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfChangeInvalid, err)
	}
	return cc, nil
}

// fits tries a change on a configuration.
func fits(conf *pb.ConfState, cc *pb.ConfChangeV2) error {
	changer, err := newChanger(conf)
	if err != nil {
		return err
	}
	if autoLeave, joint := cc.EnterJoint(); joint {
		_, _, err = changer.EnterJoint(autoLeave, cc.Changes...)
	} else {
		_, _, err = changer.Simple(cc.Changes...)
	}
	return err
}

// newChanger checks a configuration and returns what changes of it can be tried on.
func newChanger(conf *pb.ConfState) (confchange.Changer, error) {
	changer := confchange.Changer{Tracker: tracker.MakeProgressTracker(1, 0)}
	config, progress, err := confchange.Restore(changer, conf)
	changer.Tracker.Config, changer.Tracker.Progress = config, progress
	return changer, err
}

// decodeConfChange returns the configuration change in an entry, nil for a normal one. An empty
// one leaves a joint configuration.
func decodeConfChange(e *pb.Entry) (pb.ConfChangeI, error) {
	switch e.GetType() {
	case pb.EntryNormal:
		return nil, nil
	case pb.EntryConfChange:
		cc := new(pb.ConfChange)
		return cc, proto.Unmarshal(e.GetData(), cc)
	case pb.EntryConfChangeV2:
		cc := new(pb.ConfChangeV2)
		return cc, proto.Unmarshal(e.GetData(), cc)
	}
	return nil, fmt.Errorf("entry of type %d", e.GetType())
}

// applyConfChange gives a committed change to the library, which must have it before it hears
// that the entry is applied, and the resulting configuration to the apply worker.
func (g *Group) applyConfChange(e *pb.Entry) {
	cc, err := decodeConfChange(e)
	if err != nil {
		g.host.fail(fmt.Errorf("%w: group %d: entry %d: %w", ErrGroupState, g.id, e.GetIndex(), err))
		return
	}
	before := g.conf
	g.conf = g.node.ApplyConfChange(cc)
	g.storage.setConfIndex(e.GetIndex())
	if g.change != nil && bytes.Equal(cc.AsV2().GetContext(), g.change.context) {
		g.change.index = Index(e.GetIndex())
	}
	data, err := proto.Marshal(g.conf)
	if err != nil {
		panic(fmt.Sprintf("raft: configuration does not encode: %v", err))
	}
	g.applier.confApplied(data, gone(before, g.conf))
}

// gone returns the replicas of a configuration that are not in another one.
func gone(before, after *pb.ConfState) []ReplicaID {
	left := map[uint64]bool{}
	for _, ids := range everyone(after) {
		for _, id := range ids {
			left[id] = true
		}
	}
	var removed []ReplicaID
	for _, ids := range everyone(before) {
		for _, id := range ids {
			if !left[id] {
				left[id] = true
				removed = append(removed, ReplicaID(id))
			}
		}
	}
	return removed
}

func everyone(c *pb.ConfState) [][]uint64 {
	return [][]uint64{c.GetVoters(), c.GetVotersOutgoing(), c.GetLearners(), c.GetLearnersNext()}
}

// settleConfChange resolves the change asked for here once it is applied, or once an entry of a
// later term is: terms never fall along the log, so the change can come no more.
func (g *Group) settleConfChange(done *applyDone) {
	if g.change == nil {
		return
	}
	switch {
	case g.change.index != 0 && done.index >= g.change.index:
		g.change.pending.resolve(nil)
	case g.change.index == 0 && done.last > g.change.term:
		g.change.pending.resolve(ErrNotApplied)
	default:
		return
	}
	g.change = nil
}
