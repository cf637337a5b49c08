package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// checkpoints makes checkpoints in the background, one at a time.
type checkpoints struct {
	dir   string
	group raft.GroupID

	ctx     context.Context // ends when the node stops
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	busy    bool            // one is being written; guarded by mu
	last    checkpoint.Info // the newest complete one; guarded by mu
	lastAt  position        // what it is of; guarded by mu
	damaged bool            // the newest one is not as it was written: it is as if there were none; guarded by mu
	retryAt time.Duration   // boot clock before which none is begun, after a failure; guarded by mu
}

const (
	// checkpointShare is the part of the time that a background checkpoint works, one in so many.
	checkpointShare = 10
	// wantedShare is the same for one that another node waits for.
	wantedShare = 2
	// checkpointRetry is how long a failed checkpoint is left alone, for the disk to get room.
	checkpointRetry = 10 * time.Second
)

// begin reports whether a checkpoint may be written now, after so much log since the last one, and reserves
// the right to.
func (c *checkpoints) begin(since, atLeast int64, now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || since < max(atLeast, c.last.Bytes) && !c.damaged || now < c.retryAt {
		return false
	}
	c.busy = true
	return true
}

// beginWanted is begin for a checkpoint that another node needs, whatever there is of log since the last one.
func (c *checkpoints) beginWanted(least raft.Index, now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.last.Index >= uint64(least) && !c.damaged || now < c.retryAt {
		return false
	}
	c.busy = true
	return true
}

// end notes how it went.
func (c *checkpoints) end(info checkpoint.Info, at position, err error, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	if err != nil {
		c.retryAt = now + checkpointRetry
	}
	c.note(info, at)
}

// note takes a complete checkpoint for the newest one if it is. The caller holds mu.
func (c *checkpoints) note(info checkpoint.Info, at position) {
	if info.Index > c.last.Index || info.Index == c.last.Index && c.damaged {
		c.last, c.lastAt, c.damaged = info, at, false
	}
}

// reaches reports whether a good checkpoint holds what was applied up to an index.
func (c *checkpoints) reaches(index raft.Index) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Index >= uint64(index) && !c.damaged
}

// condemn notes that a checkpoint is damaged, and reports whether it is the newest and was thought to be good.
func (c *checkpoints) condemn(index uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.damaged || c.last.Index == 0 || c.last.Index != index {
		return false
	}
	c.damaged = true
	return true
}

// adopted notes a checkpoint that came from another node.
func (c *checkpoints) adopted(info checkpoint.Info, at position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(info, at)
}

// Newest names the newest complete checkpoint. See raft.CheckpointSource.
func (s *Store) Newest() (raft.Checkpoint, bool) {
	c := &s.checkpoints
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastAt.checkpoint(c.last.Bytes), c.last.Index > 0 && !c.damaged && !s.halted()
}

// Want begins a checkpoint that another node needs. See raft.CheckpointSource.
func (s *Store) Want(least raft.Index) {
	if !s.halted() && s.checkpoints.beginWanted(least, s.source.Boot()) {
		s.beginCheckpoint(s.sinceCheckpoint.Load(), wantedShare)
	}
}

// errHole is why a store that could not apply an entry makes no checkpoint.
var errHole = errors.New("store: no checkpoint, because an entry of the log could not be applied")

// LastCheckpoint returns the newest complete checkpoint; its Index is 0 if there is none.
func (s *Store) LastCheckpoint() checkpoint.Info {
	s.checkpoints.mu.Lock()
	defer s.checkpoints.mu.Unlock()
	return s.checkpoints.last
}

// checkpointIfDue begins a checkpoint when enough log has been applied since the last one. It runs on the
// apply worker and costs it a lock per namespace; the writing is done elsewhere.
func (s *Store) checkpointIfDue() {
	c := &s.checkpoints
	since := s.sinceCheckpoint.Load()
	if s.halted() {
		return
	}
	if since >= s.limits.CheckpointBytesMin && c.begin(since, s.limits.CheckpointBytesMin, s.source.Boot()) {
		s.beginCheckpoint(since, checkpointShare)
	}
}

// beginCheckpoint has a checkpoint written of what is applied, after so much log since the last one, in one of share
// parts of the time. In a replay the state must keep the order of keys from then on.
func (s *Store) beginCheckpoint(since int64, share int) {
	c := &s.checkpoints
	if s.replaying {
		s.state().EndReplay()
	}
	s.sinceCheckpoint.Add(-since)
	snapshot, meta, at := s.state().Snapshot(), s.meta(), s.applied
	c.working.Add(1)
	go func() {
		defer c.working.Done()
		info, err := s.writeCheckpoint(c.ctx, snapshot, meta, s.pace(share))
		if err != nil {
			s.sinceCheckpoint.Add(since)
		}
		c.end(info, at, err, s.source.Boot())
		if err == nil {
			s.dropFetched()
		} else if c.ctx.Err() == nil {
			s.logger.Error("checkpoint failed, the log is kept and it will be tried again", "error", err)
		}
	}()
}

// meta says what a checkpoint of the applied state is of.
func (s *Store) meta() checkpoint.Meta {
	return checkpoint.Meta{
		Group: uint64(s.checkpoints.group), Term: uint64(s.applied.Term), Index: uint64(s.applied.Index),
		ConfState: s.applied.ConfState, Charter: s.applied.Charter.Encode(), LogTime: s.state().LogTime(),
		Seen: uint64(s.curtain.tag),
	}
}

// writeCheckpoint writes a snapshot out, lets go of the log that it makes unnecessary, and removes the
// checkpoints before it.
func (s *Store) writeCheckpoint(
	ctx context.Context, snapshot *engine.Snapshot, meta checkpoint.Meta, pace func(int),
) (checkpoint.Info, error) {
	defer snapshot.Close()
	began := s.source.Boot()
	meta.State = snapshot.Header()
	w, err := checkpoint.Create(s.checkpoints.dir, meta)
	if err != nil {
		return checkpoint.Info{}, err
	}
	w.Pace = pace
	for done := false; !done; {
		if err := context.Cause(ctx); err != nil {
			w.Abort()
			return checkpoint.Info{}, err
		}
		if done, err = snapshot.Next(w); err != nil {
			w.Abort()
			return checkpoint.Info{}, err
		}
	}
	info, err := w.Commit(ctx)
	if err != nil {
		return checkpoint.Info{}, err
	}
	s.logger.Info("checkpoint written", "index", info.Index, "bytes", info.Bytes,
		"took", s.source.Boot()-began)
	if err := s.retire(info); err != nil {
		s.logger.Warn("checkpoint is good, but what it replaces is still there; the next one tries again",
			"error", err)
	}
	return info, nil
}

// retire lets go of what a checkpoint makes unnecessary.
func (s *Store) retire(newest checkpoint.Info) error {
	if err := s.group.Compact(raft.Index(newest.Index)); err != nil {
		return err
	}
	all, err := checkpoint.List(s.checkpoints.dir)
	if err != nil {
		return err
	}
	for _, info := range all {
		if info.Group == newest.Group && info.Index < newest.Index {
			if err := checkpoint.Remove(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// pace returns a function that sleeps as long as keeps the checkpoint to its share of the time. It sleeps less
// the more log has come since the checkpoint began, and not at all when the next one is due: else a
// checkpoint under load would never catch up with the log that it is to replace.
func (s *Store) pace(share int) func(int) {
	last := s.source.Boot()
	due := float64(max(s.limits.CheckpointBytesMin, s.LastCheckpoint().Bytes))
	return func(int) {
		worked := float64(s.source.Boot() - last)
		leisure := max(0, 1-float64(s.sinceCheckpoint.Load())/due)
		timer := s.source.NewTimer(time.Duration(worked * float64(share-1) * leisure))
		defer timer.Stop()
		select {
		case <-timer.C():
		case <-s.checkpoints.ctx.Done():
		}
		last = s.source.Boot()
	}
}

// Close ends the background work. With the raft host stopped before, it then writes a checkpoint of all
// that was applied, so that the next start has no log to replay.
func (s *Store) Close(ctx context.Context) error {
	c := &s.checkpoints
	c.cancel()
	c.working.Wait()
	s.digests.stop()
	if s.failed.Load() {
		return errHole
	}
	if _, yes := s.Quarantined(); yes {
		return nil
	}
	if s.replaying || s.applied.Index <= foundingIndex || c.reaches(s.applied.Index) {
		return nil
	}
	_, err := s.writeCheckpoint(ctx, s.state().Snapshot(), s.meta(), nil)
	return err
}
