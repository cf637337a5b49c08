package raft

import (
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Checkpoint names a durable checkpoint of a group's state.
type Checkpoint struct {
	// Index and Term are those of the last entry whose effects are in it.
	Index Index
	Term  Term
	// ConfState (a marshalled raftpb.ConfState) is the configuration as of Index.
	ConfState []byte
	// Descriptor tells whoever fetches the checkpoint what to ask for, at most DescriptorBytesMax. It
	// means nothing here.
	Descriptor []byte
}

// DescriptorBytesMax bounds Checkpoint.Descriptor.
const DescriptorBytesMax = 4 << 10

// CheckpointSource knows the checkpoints that this replica can give to others.
type CheckpointSource interface {
	// Newest returns the newest durable checkpoint, if there is one. The group's shard loop calls it; it
	// must not block.
	Newest() (c Checkpoint, ok bool)
	// Want asks for a checkpoint of an index at or above least, which is applied, soon: another replica
	// needs it. The group's apply worker calls it, between entries, again and again until there is one.
	Want(least Index)
}

// CheckpointFetcher gets checkpoints from other replicas.
type CheckpointFetcher interface {
	// Fetch tells that this replica needs a checkpoint and that replica from has c. When one is here, be it
	// that or a newer one, whole, verified and durable, it is given to Group.Offer. Fetch is called by the
	// group's shard loop, again and again while the need lasts; it must not block.
	Fetch(from ReplicaID, c Checkpoint)
}

// snapshot returns the library's form of a checkpoint.
func (c *Checkpoint) snapshot() (*pb.Snapshot, error) {
	conf, err := c.conf()
	if err != nil {
		return nil, err
	}
	if len(c.Descriptor) > DescriptorBytesMax {
		return nil, fmt.Errorf("raft: a checkpoint's descriptor of %d bytes", len(c.Descriptor))
	}
	return &pb.Snapshot{Data: c.Descriptor, Metadata: &pb.SnapshotMetadata{
		ConfState: conf, Index: new(uint64(c.Index)), Term: new(uint64(c.Term)),
	}}, nil
}

// conf decodes the configuration and checks it.
func (c *Checkpoint) conf() (*pb.ConfState, error) {
	conf := new(pb.ConfState)
	if err := proto.Unmarshal(c.ConfState, conf); err != nil {
		return nil, fmt.Errorf("raft: configuration of checkpoint %d: %w", c.Index, err)
	}
	if _, err := newChanger(conf); err != nil {
		return nil, fmt.Errorf("raft: configuration of checkpoint %d: %w", c.Index, err)
	}
	return pb.EnsureConfState(conf), nil
}

// checkpointOf takes over what a peer's message says of its checkpoint, which has passed snapshotFault.
func checkpointOf(s *pb.Snapshot) (Checkpoint, error) {
	meta := s.GetMetadata()
	conf, err := proto.Marshal(meta.GetConfState())
	return Checkpoint{
		Index: Index(meta.GetIndex()), Term: Term(meta.GetTerm()), ConfState: conf, Descriptor: s.GetData(),
	}, err
}

// snapshotFault names what is wrong with the shape of a message that announces a checkpoint, or
// returns "".
func snapshotFault(m *pb.Message) string {
	meta := m.GetSnapshot().GetMetadata()
	switch {
	case m.GetTerm() == 0:
		return "no term"
	case meta.GetIndex() == 0 || meta.GetTerm() == 0:
		return "no checkpoint"
	case meta.GetTerm() > m.GetTerm():
		return "the checkpoint is of a later term"
	case len(m.GetSnapshot().GetData()) > DescriptorBytesMax:
		return "the descriptor is too long"
	case meta.GetConfState() == nil || !isMember(meta.GetConfState(), m.GetTo()):
		return "the checkpoint's configuration lacks this replica"
	}
	if _, err := newChanger(meta.GetConfState()); err != nil {
		return "the checkpoint's configuration does not hold"
	}
	return ""
}

// isMember reports whether a replica is part of a configuration, as the library looks for it.
func isMember(conf *pb.ConfState, replica uint64) bool {
	return slices.Contains(conf.GetVoters(), replica) || slices.Contains(conf.GetLearners(), replica) ||
		slices.Contains(conf.GetVotersOutgoing(), replica)
}
