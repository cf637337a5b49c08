package store

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/raft"
)

// A node that lacks what the leader's log has let go of fetches a checkpoint: from where the leader said there
// is one, into the directory incoming, and from there into memory. Only then the group is offered it; when it has
// taken it, the apply worker swaps the state, and the file moves to the others. Until it has moved, the log's
// mark leads a restart to it.

// catchUpRetry is how long a fetch that failed is left alone. The leader goes on to say that it is needed.
const catchUpRetry = 2 * time.Second

// stream returns what brings checkpoints from node to node. It begins with the first use: a node alone has none.
func (s *Store) stream() *stream.Stream {
	c := &s.checkpoints
	s.streaming.Do(func() {
		s.streamed = stream.New(stream.Config{
			Dir: c.dir, Send: s.bulk.Send, Clock: s.source, Logger: s.logger,
			BytesPerSecond: s.limits.CatchUpBytesPerSecond, Damaged: s.noteDamaged,
		})
		c.working.Go(func() {
			<-c.ctx.Done()
			s.streamed.Close()
		})
	})
	return s.streamed
}

// noteDamaged takes note of a checkpoint on the disk that is not as it was written. What it is of is in memory and in
// the log after it, so another one is written in its place, while this process lives.
func (s *Store) noteDamaged(name stream.Name, damage *checkpoint.CorruptError) {
	if s.checkpoints.condemn(name.Index) {
		s.sinceCheckpoint.Add(s.limits.CheckpointBytesMin) // one is due with the next entry at the latest
		s.logger.Error("the newest checkpoint is damaged on the disk, which may be failing. A new one is written "+
			"from memory; a node that is stopped before that does not start again and must be rebuilt",
			"file", damage.File, "offset", damage.Offset, "reason", damage.Reason)
	}
}

// ReceiveBulk takes a packet that another node has sent through Options.Bulk. It does not block.
func (s *Store) ReceiveBulk(from uint64, packet []byte) {
	if err := s.stream().Receive(from, packet); err != nil {
		s.logger.Error("a packet of another node does not decode",
			"node", nodeName(from), "bytes", len(packet), "error", err)
	}
}

// Fetch fetches a checkpoint unless one is being fetched. See raft.CheckpointFetcher.
func (s *Store) Fetch(from raft.ReplicaID, asked raft.Checkpoint) {
	if s.source.Boot() < time.Duration(s.fetchAt.Load()) || !s.fetching.CompareAndSwap(false, true) {
		return
	}
	s.checkpoints.working.Go(func() {
		if err := s.catchUp(s.checkpoints.ctx, uint64(from), asked); err != nil && s.checkpoints.ctx.Err() == nil {
			s.logger.Warn("this node cannot catch up by a checkpoint yet; it tries again", "from", from.String(),
				"index", uint64(asked.Index), "error", err)
		}
		s.fetchAt.Store(int64(s.source.Boot() + catchUpRetry))
		s.fetching.Store(false)
	})
}

// catchUp gets a checkpoint and offers it to the group.
func (s *Store) catchUp(ctx context.Context, from uint64, asked raft.Checkpoint) error {
	group := uint64(s.checkpoints.group)
	name := stream.Name{Group: group, Term: uint64(asked.Term), Index: uint64(asked.Index)}
	info, err := s.stream().Fetch(ctx, from, name)
	if err != nil {
		return err
	}
	incoming := stream.Incoming(s.checkpoints.dir)
	state, at, err := load(info)
	if err != nil {
		return errors.Join(err, stream.Discard(incoming, nil))
	}
	state.EndReplay()
	s.arrivals.put(&arrival{state, at})
	pending := s.group.Offer(at.checkpoint(info.Bytes))
	select {
	case <-pending.Done():
	case <-ctx.Done():
		return nil
	}
	s.arrivals.put(nil)
	switch err := pending.Err(); {
	case errors.Is(err, raft.ErrCheckpointUseless):
		return stream.Discard(incoming, nil)
	case err != nil:
		return err
	}
	s.adopt(ctx, info, at)
	return nil
}

// checkpoint names the checkpoint of a position.
func (p *position) checkpoint(bytes int64) raft.Checkpoint {
	return raft.Checkpoint{
		Index: p.Index, Term: p.Term, ConfState: p.ConfState,
		// Its size, for whoever watches. The name says all that is needed to ask for it.
		Descriptor: binary.AppendUvarint(nil, uint64(bytes)),
	}
}

// adopt moves an installed checkpoint to the others, and lets go of what it makes unnecessary. It does not give up
// before ctx ends: the log goes on from this checkpoint, so nothing else may take its place.
func (s *Store) adopt(ctx context.Context, info checkpoint.Info, at position) {
	for {
		adopted, err := checkpoint.Adopt(s.checkpoints.dir, info)
		if errors.Is(err, fs.ErrNotExist) && s.LastCheckpoint().Index >= info.Index {
			return
		}
		if err == nil {
			s.checkpoints.adopted(adopted, at)
			s.logger.Info("caught up by a checkpoint", "index", info.Index, "bytes", info.Bytes)
			if err := s.retire(adopted); err != nil {
				s.logger.Warn("checkpoint is good, but what it replaces is still there; the next one tries again",
					"error", err)
			}
			return
		}
		s.logger.Error("a fetched checkpoint cannot be moved yet; it will be tried again", "error", err)
		timer := s.source.NewTimer(checkpointRetry)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// dropFetched removes what was fetched and is of no use, because this node has made a checkpoint itself. It must not be
// called before that.
func (s *Store) dropFetched() {
	if s.checkpoints.ctx.Err() != nil || !s.fetching.CompareAndSwap(false, true) {
		return
	}
	defer s.fetching.Store(false)
	if err := stream.Discard(stream.Incoming(s.checkpoints.dir), nil); err != nil {
		s.logger.Warn("what was fetched of a checkpoint cannot be removed", "error", err)
	}
}

// adoptMarked looks at start for the checkpoint that the log goes on from, if it was installed before a crash and
// has not moved to the others. What else was fetched and is too old is removed.
func adoptMarked(o *Options) error {
	newest, found, err := newestCheckpoint(o.Dir, o.Group)
	if err != nil {
		return err
	}
	incoming := stream.Incoming(o.Dir)
	fetched, err := checkpoint.List(incoming)
	if err != nil {
		return err
	}
	for _, info := range fetched {
		switch {
		case info.Group != uint64(o.Group):
		case info.Index == uint64(o.Mark.Index) && info.Term == uint64(o.Mark.Term) &&
			(!found || newest.Index < info.Index):
			o.Logger.Info("going on from the checkpoint that was fetched last", "index", info.Index)
			_, err = checkpoint.Adopt(o.Dir, info)
			return err
		case found && info.Index <= newest.Index:
			return stream.Discard(incoming, nil)
		}
	}
	return nil
}
