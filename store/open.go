package store

import (
	"context"
	"fmt"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// foundingIndex is the index that a group's log begins behind: the founding state is as of it.
const foundingIndex = 1

// Open loads the state of a group: from its newest checkpoint or, if there is none, the state that every
// founder of the group begins with, which is empty and follows from the founding and the hash key.
// If the log goes on from a checkpoint that was fetched and not moved yet, that is done first. A damaged one is an
// error: what it held may not be in the log any more.
func Open(o Options, founding raft.Seed, hashKey [16]byte) (*Store, error) {
	if err := adoptMarked(&o); err != nil {
		return nil, err
	}
	removed, err := checkpoint.Clean(o.Dir)
	if err != nil {
		return nil, err
	}
	if len(removed) > 0 {
		o.Logger.Info("removed an unfinished checkpoint", "files", removed)
	}
	newest, found, err := newestCheckpoint(o.Dir, o.Group)
	if err != nil {
		return nil, err
	}
	state := engine.New(hashKey)
	at := position{Term: founding.Term, Index: founding.Index, ConfState: founding.ConfState}
	if found {
		if state, at, err = load(newest); err != nil {
			return nil, err
		}
	} else {
		state.BeginReplay()
	}
	reason, quarantined, err := checkpoint.Quarantined(o.Dir, uint64(o.Group))
	if err != nil {
		return nil, err
	}
	s := newStore(o, state, at)
	if quarantined {
		s.quarantined.Store(&reason)
		s.tellQuarantine(reason)
	}
	s.checkpoints.last, s.checkpoints.lastAt = newest, at
	s.checkpoints.ctx, s.checkpoints.cancel = context.WithCancel(context.Background())
	return s, nil
}

func newestCheckpoint(dir string, group raft.GroupID) (checkpoint.Info, bool, error) {
	all, err := checkpoint.List(dir)
	if err != nil {
		return checkpoint.Info{}, false, err
	}
	for _, info := range all {
		if info.Group == uint64(group) {
			return info, true, nil
		}
	}
	return checkpoint.Info{}, false, nil
}

// load reads a checkpoint into a state that is in replay.
func load(info checkpoint.Info) (*engine.State, position, error) {
	r, err := checkpoint.Open(info.Path)
	if err != nil {
		return nil, position{}, err
	}
	defer r.Close()
	meta := r.Meta()
	loader, err := engine.NewLoader(meta.State)
	if err != nil {
		return nil, position{}, fmt.Errorf("%s: %w", info.Path, err)
	}
	if err := r.Sections(loader.Section, loader.Put); err != nil {
		return nil, position{}, fmt.Errorf("%s: %w", info.Path, err)
	}
	state, err := loader.Finish()
	if err != nil {
		return nil, position{}, fmt.Errorf("%s: %w", info.Path, err)
	}
	charter, err := raft.DecodeCharter(meta.Charter)
	if err != nil {
		return nil, position{}, fmt.Errorf("%s: %w", info.Path, err)
	}
	return state, position{
		raft.Term(meta.Term), raft.Index(meta.Index), meta.ConfState, charter, raft.Term(meta.Seen),
	}, nil
}

// Position returns as of which log entry the state was loaded, for the raft group's configuration. It is
// valid until the group runs.
func (s *Store) Position() (raft.Term, raft.Index, []byte) {
	return s.applied.Term, s.applied.Index, s.applied.ConfState
}
