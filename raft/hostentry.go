package raft

import (
	"encoding/binary"
	"errors"
	"fmt"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// A host entry is a normal entry that the host itself has put into the log. It begins with
// hostMark, which no payload may begin with, and a byte that tells its kind:
//
//	serve     uvarint term, uvarint count and uvarint of each voter
//	release   nothing
//	resume    nothing
//	reads     1 byte mode, uvarint ms of a lease
//	member    uvarint replica, uvarint count and bytes of what is settled about it
const hostMark = 0x00

type hostKind byte

// The kinds of host entries. They stand in logs.
const (
	// hostServe: the leader of the entry's term has waited out the leases of former leaders.
	hostServe hostKind = 1
	// hostRelease: the leader has given up its lease, for a transfer of the leadership.
	hostRelease hostKind = 2
	// hostResume: the transfer has failed, and the leader goes on. Any entry would do.
	hostResume hostKind = 3
	// hostReads: how reads are served from here on.
	hostReads hostKind = 4
	// hostMember: who a replica is from here on.
	hostMember hostKind = 5
)

// hostEntry is a decoded host entry.
type hostEntry struct {
	kind   hostKind
	term   Term        // of hostServe
	voters []ReplicaID // of hostServe
	reads  Reads       // of hostReads
	member Member      // of hostMember
}

var errHostEntry = errors.New("raft: the log holds a host entry that this binary does not know")

func (e hostEntry) encode() []byte {
	buf := []byte{hostMark, byte(e.kind)}
	switch e.kind {
	case hostServe:
		buf = binary.AppendUvarint(buf, uint64(e.term))
		buf = appendReplicas(buf, e.voters)
	case hostReads:
		buf = appendReads(buf, e.reads)
	case hostMember:
		buf = appendMember(buf, e.member)
	}
	return buf
}

// decodeHostEntry takes the data of an entry for which isHost holds.
func decodeHostEntry(data []byte) (hostEntry, error) {
	if len(data) < 2 {
		return hostEntry{}, errHostEntry
	}
	e := hostEntry{kind: hostKind(data[1])}
	d := decoder{data: data[2:]}
	switch e.kind {
	case hostServe:
		e.term, e.voters = Term(d.number()), d.replicas(votersMax)
	case hostReads:
		e.reads = d.reads()
	case hostMember:
		e.member = d.member()
	case hostRelease, hostResume:
	default:
		return hostEntry{}, fmt.Errorf("%w: kind %d", errHostEntry, e.kind)
	}
	if d.end() != nil {
		return hostEntry{}, fmt.Errorf("%w: damaged, kind %d", errHostEntry, e.kind)
	}
	return e, nil
}

// isHost reports whether an entry is the host's own.
func isHost(e *pb.Entry) bool {
	data := e.GetData()
	return len(data) > 0 && data[0] == hostMark && e.GetType() == pb.EntryNormal
}

// isKind reports whether an entry is a host entry of a kind.
func isKind(e *pb.Entry, kind hostKind) bool {
	return isHost(e) && len(e.GetData()) > 1 && hostKind(e.GetData()[1]) == kind
}

// proposeHost puts a host entry into the log; false means that it certainly is not there.
func (g *Group) proposeHost(e hostEntry) bool {
	err := g.node.Step(&pb.Message{
		Type:    pb.MsgProp.Enum(),
		From:    new(uint64(g.replica)),
		Entries: []*pb.Entry{{Data: e.encode()}},
	})
	if err != nil && !errors.Is(err, etcdraft.ErrProposalDropped) {
		panic(fmt.Sprintf("raft: unexpected error of a proposal: %v", err))
	}
	return err == nil
}
