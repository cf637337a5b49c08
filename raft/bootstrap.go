package raft

import (
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/wal"
)

// Seed is the point in a group's log from which a replica begins: a checkpoint exists as of
// Index, and the log holds nothing up to it.
type Seed struct {
	Index     Index
	Term      Term
	ConfState []byte // marshalled raftpb.ConfState
}

// Founding is the seed that all founders of a group begin from: entry 1 of term 1, which never
// existed, so that whoever joins later starts from a checkpoint.
func Founding(voters ...ReplicaID) (Seed, error) {
	conf := pb.EnsureConfState(nil)
	for _, v := range voters {
		if err := checkReplicaID(v); err != nil {
			return Seed{}, err
		}
		conf.Voters = append(conf.Voters, uint64(v))
	}
	slices.Sort(conf.Voters)
	if len(conf.Voters) == 0 || len(slices.Compact(slices.Clone(conf.Voters))) != len(conf.Voters) {
		return Seed{}, fmt.Errorf("%w: founders %v", ErrConfChangeInvalid, voters)
	}
	data, err := proto.Marshal(conf)
	return Seed{Index: 1, Term: 1, ConfState: data}, err
}

// Bootstrap enters a group into a log that does not know it, durably. The checkpoint of the
// seed must be durable before. A log that knows the group fails with ErrGroupExists: what it
// holds was promised to others and must not be begun again. No host may run on the log yet.
func Bootstrap(log Log, id GroupID, seed Seed) (wal.HardState, error) {
	if log.LastIndex(id) != 0 {
		return wal.HardState{}, fmt.Errorf("%w: the log holds group %d up to entry %d",
			ErrGroupExists, id, log.LastIndex(id))
	}
	hard := wal.HardState{Term: uint64(seed.Term), Commit: uint64(seed.Index)}
	err := log.Append(&wal.Record{
		Group:     id,
		HardState: hard,
		Snapshot:  &wal.SnapshotMark{Index: uint64(seed.Index), Term: uint64(seed.Term)},
	})
	if err != nil {
		return wal.HardState{}, err
	}
	return hard, log.Sync()
}

// Enter enters a group into a log that does not know it, durably, for a replica that joins a running group and has
// nothing of it yet: from then on a log that does not know the group has been lost. No host may run on the log yet.
func Enter(log Log, id GroupID) error {
	if err := log.Append(&wal.Record{Group: id}); err != nil {
		return err
	}
	return log.Sync()
}

// openStorage makes the library's view of the log and checks all that the library would panic
// on: that hard state, log, loaded state and configuration belong together.
func openStorage(log Log, c *GroupConfig) (*storage, error) {
	conf := pb.EnsureConfState(nil)
	if err := proto.Unmarshal(c.ConfState, conf); err != nil {
		return nil, fmt.Errorf("%w: group %d: configuration: %w", ErrGroupState, c.ID, err)
	}
	conf = pb.EnsureConfState(conf)
	if _, err := newChanger(conf); err != nil {
		return nil, fmt.Errorf("%w: group %d: configuration: %w", ErrGroupState, c.ID, err)
	}
	floor, floorTerm, err := checkReach(log, c)
	if err != nil {
		return nil, fmt.Errorf("%w: group %d: %w", ErrGroupState, c.ID, err)
	}
	return &storage{
		log:        log,
		group:      c.ID,
		conf:       conf,
		source:     c.Source,
		confIndex:  uint64(c.Applied),
		floorIndex: floor,
		floorTerm:  floorTerm,
		ring:       newRing(log.LastIndex(c.ID)+1, c.Limits.RingBytes),
		hard: &pb.HardState{
			Term:   new(c.HardState.Term),
			Vote:   new(c.HardState.Vote),
			Commit: new(max(c.HardState.Commit, uint64(c.Applied))),
		},
	}, nil
}

// checkReach checks how far the log reaches, and returns the entry before its first one.
func checkReach(log Log, c *GroupConfig) (floor, floorTerm uint64, err error) {
	const lost = "it has lost entries that were acknowledged"
	floor, last := log.FirstIndex(c.ID)-1, log.LastIndex(c.ID)
	applied, commit := uint64(c.Applied), c.HardState.Commit
	switch {
	case applied > 0 && c.HardState.Term == 0:
		return 0, 0, fmt.Errorf("the log does not know the group, "+
			"though its state is loaded as of entry %d", applied)
	case floor > applied:
		return 0, 0, fmt.Errorf("the log begins at entry %d, the loaded state ends at %d", floor+1, applied)
	case last < applied:
		return 0, 0, fmt.Errorf("the log ends at entry %d, before the loaded state at %d: %s", last, applied, lost)
	case last < commit:
		return 0, 0, fmt.Errorf("the log ends at entry %d, but %d was committed: %s", last, commit, lost)
	}
	var terms [3]uint64
	for i, index := range []uint64{floor, applied, last} {
		if terms[i], err = log.Term(c.ID, index); err != nil {
			return 0, 0, fmt.Errorf("term of entry %d: %w", index, err)
		}
	}
	if terms[1] != uint64(c.AppliedTerm) {
		return 0, 0, fmt.Errorf("entry %d has term %d in the log, %d in the loaded state",
			applied, terms[1], c.AppliedTerm)
	}
	if c.HardState.Term < terms[2] {
		return 0, 0, fmt.Errorf("the hard state has term %d, the last entry %d", c.HardState.Term, terms[2])
	}
	return floor, terms[0], nil
}
