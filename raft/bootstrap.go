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
	r := reach{log: log, group: c.ID, first: log.FirstIndex(c.ID), last: log.LastIndex(c.ID)}
	if err := r.check(c); err != nil {
		return nil, fmt.Errorf("%w: group %d: %w", ErrGroupState, c.ID, err)
	}
	s := &storage{
		log:        log,
		group:      c.ID,
		conf:       conf,
		floorIndex: r.floor,
		floorTerm:  r.floorTerm,
		ring:       newRing(r.last+1, c.Limits.RingBytes),
		hard: &pb.HardState{
			Term:   new(c.HardState.Term),
			Vote:   new(c.HardState.Vote),
			Commit: new(max(c.HardState.Commit, uint64(c.Applied))),
		},
	}
	return s, nil
}

// reach is how far a group's log reaches.
type reach struct {
	log              Log
	group            GroupID
	first, last      uint64 // entries that can be read; none if first > last
	floor, floorTerm uint64 // entry before the first one of the library's view
}

func (r *reach) check(c *GroupConfig) error {
	applied := uint64(c.Applied)
	if applied > 0 && c.HardState.Term == 0 {
		return fmt.Errorf("the log does not know the group, though its state is loaded as of entry %d", applied)
	}
	if r.first > r.last {
		r.first, r.last = applied+1, applied
	}
	switch {
	case r.first > applied+1:
		return fmt.Errorf("the log begins at entry %d, the loaded state ends at %d", r.first, applied)
	case r.last < applied:
		return fmt.Errorf("the log ends at entry %d, before the loaded state at %d: "+
			"it has lost entries that were acknowledged", r.last, applied)
	case c.HardState.Commit > r.last:
		return fmt.Errorf("the log ends at entry %d, but %d was committed: "+
			"it has lost entries that were acknowledged", r.last, c.HardState.Commit)
	}
	return r.checkTerms(c)
}

// checkTerms compares terms, and chooses the floor: the first entry that the log holds, if the
// loaded state covers it, because then its term is known.
func (r *reach) checkTerms(c *GroupConfig) error {
	applied := uint64(c.Applied)
	r.floor, r.floorTerm = applied, uint64(c.AppliedTerm)
	last := r.floorTerm
	if r.first <= applied {
		at, err := r.log.Term(r.group, applied)
		if err != nil {
			return fmt.Errorf("term of entry %d: %w", applied, err)
		}
		if at != r.floorTerm {
			return fmt.Errorf("entry %d has term %d in the log, %d in the loaded state", applied, at, r.floorTerm)
		}
		r.floor = r.first
		if r.floorTerm, err = r.log.Term(r.group, r.first); err != nil {
			return fmt.Errorf("term of entry %d: %w", r.first, err)
		}
	}
	if r.last > applied {
		var err error
		if last, err = r.log.Term(r.group, r.last); err != nil {
			return fmt.Errorf("term of entry %d: %w", r.last, err)
		}
	}
	if c.HardState.Term < last {
		return fmt.Errorf("the hard state has term %d, the last entry %d", c.HardState.Term, last)
	}
	return nil
}
