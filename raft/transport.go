package raft

import (
	"errors"
	"fmt"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// Transport carries messages to the other replicas of a group. Send is called by shard loops
// and by the writer, possibly at once. It never blocks: what does not fit its bounded queues is
// dropped. It may keep the messages but must not change them, and must keep the order of the
// messages of one call and of later calls to the same replica.
type Transport interface {
	Send(group GroupID, messages []*pb.Message)
}

// noTransport is the transport of a host without peers.
type noTransport struct{}

func (noTransport) Send(GroupID, []*pb.Message) {}

// errMessageRefused is what a message from a peer fails with that no peer may send.
var errMessageRefused = errors.New("raft: message refused")

// admit decides whether a message that came from the authenticated replica peer may be stepped
// by the replica self. It keeps out what the library takes on trust: messages of a replica to
// itself, orders that only this process may give, and shapes that make it panic.
func admit(m *pb.Message, peer, self ReplicaID) error {
	refuse := func(why string) error {
		return fmt.Errorf("%w: %s from %x: %s", errMessageRefused, m.GetType(), m.GetFrom(), why)
	}
	switch {
	case m == nil:
		return fmt.Errorf("%w: no message", errMessageRefused)
	case etcdraft.IsLocalMsgTarget(m.GetFrom()) || m.GetFrom() == etcdraft.None:
		return refuse("reserved sender")
	case m.GetFrom() != uint64(peer):
		return refuse("sender is not the peer")
	case m.GetFrom() == uint64(self):
		return refuse("sender is this replica")
	case m.GetTo() != uint64(self):
		return refuse("addressed to another replica")
	case len(m.GetResponses()) != 0:
		return refuse("carries responses")
	}
	if why := shapeFault(m); why != "" {
		return refuse(why)
	}
	return nil
}

// positionBytes is the length of a heartbeat's context: the library's position in its queue
// of read indexes, which it decodes without a look at the length.
const positionBytes = 8

// shapeFault names what is wrong with the shape of a message, or returns "".
func shapeFault(m *pb.Message) string {
	switch m.GetType() {
	case pb.MsgApp:
		return entriesFault(m)
	case pb.MsgSnap:
		if why := snapshotFault(m); why != "" {
			return why
		}
	case pb.MsgVote, pb.MsgPreVote, pb.MsgVoteResp, pb.MsgPreVoteResp, pb.MsgAppResp, pb.MsgTimeoutNow:
		if m.GetTerm() == 0 {
			return "no term"
		}
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		if m.GetTerm() == 0 {
			return "no term"
		}
		if n := len(m.GetContext()); n != 0 && n != positionBytes {
			return "context of the wrong length"
		}
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		if len(m.GetEntries()) != 1 || m.GetEntries()[0] == nil {
			return "no read context"
		}
	default:
		return "type not accepted from peers"
	}
	if m.GetType() != pb.MsgReadIndex && m.GetType() != pb.MsgReadIndexResp && len(m.GetEntries()) != 0 {
		return "carries entries"
	}
	return ""
}

// entriesFault checks an append: consecutive indexes after the message's own, terms that
// neither fall nor exceed the message's.
func entriesFault(m *pb.Message) string {
	if m.GetTerm() == 0 {
		return "no term"
	}
	index, term := m.GetIndex(), m.GetLogTerm()
	for _, e := range m.GetEntries() {
		index++
		switch {
		case e == nil || e.GetIndex() != index:
			return "indexes are not consecutive"
		case e.GetTerm() < term || e.GetTerm() > m.GetTerm() || e.GetTerm() == 0:
			return "terms are out of order"
		}
		if _, err := decodeConfChange(e); err != nil {
			return "configuration change does not decode"
		}
		term = e.GetTerm()
	}
	return ""
}
