package raft

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

const (
	// noSpaceRetry is how long the writer waits before it tries again what there was no space for.
	noSpaceRetry = 200 * time.Millisecond
	// sealAfter is how long nothing is appended before the log is sealed.
	sealAfter = 100 * time.Millisecond
)

// writer is the actor that makes the appends of all groups durable. It alone appends to the
// log and syncs it.
type writer struct {
	host   *Host
	signal signal

	mu    sync.Mutex
	queue []appendOrder // guarded by mu; bounded by Limits.AppendsInflightMax per group

	stalled atomic.Bool // the last append found no space; written by Turn

	// The fields below belong to Turn.
	pending  []appendOrder // taken from queue, not yet appended; in order
	unsynced bool          // a record that must be durable before later responses is not yet
	retryAt  time.Duration // boot clock; while stalled nothing is appended before
	unsealed bool          // something was appended since the last seal
	sealAt   time.Duration // boot clock; when unsealed
	record   wal.Record    // scratch
}

// appendOrder is one MsgStorageAppend.
type appendOrder struct {
	group *Group
	// hard is the hard state as of this append, in full.
	hard    wal.HardState
	entries []*pb.Entry
	// write: there is something to append. mandatory: it must be durable before any response
	// of this or a later order goes out. A commit index alone need not be: it may be lost, but
	// it must be written in order.
	write, mandatory bool
	responses        []*pb.Message
	mark             *wal.SnapshotMark // a checkpoint takes the place of the log; nil: none does
}

func (w *writer) enqueue(o appendOrder) {
	w.mu.Lock()
	w.queue = append(w.queue, o)
	w.mu.Unlock()
	w.signal.set()
}

// Turn appends what is queued, makes it durable with one sync and delivers the responses. When
// nothing has come for a while it seals the log.
func (w *writer) Turn() bool {
	if w.host.failed() {
		return false
	}
	w.mu.Lock()
	w.pending = append(w.pending, w.queue...)
	clear(w.queue)
	w.queue = w.queue[:0]
	w.mu.Unlock()
	now := w.host.clock.Boot()
	switch {
	case len(w.pending) == 0:
		return w.seal(now)
	case w.stalled.Load() && now < w.retryAt:
		return false
	}
	n, err := w.write(now)
	if err != nil {
		w.host.fail(err)
		return true
	}
	for i := range w.pending[:n] {
		w.deliver(&w.pending[i])
	}
	left := copy(w.pending, w.pending[n:])
	clear(w.pending[left:])
	w.pending = w.pending[:left]
	return n > 0
}

// write appends what is pending, as far as there is space, and makes it durable if need be. It
// returns how many orders may be delivered.
func (w *writer) write(now time.Duration) (n int, err error) {
	if w.stalled.Load() {
		// Space comes from segments that were released, and those go with a sync.
		if err := w.host.log.Sync(); err != nil {
			return 0, err
		}
		w.unsynced = false
	}
	if n, err = w.appendPending(now); err != nil || !w.syncNeeded(w.pending[:n]) {
		return n, err
	}
	if err := w.sync(); err != nil {
		return 0, err
	}
	w.unsynced = false
	return n, nil
}

// sync makes durable what was appended, and tells how long that took.
func (w *writer) sync() error {
	began := w.host.clock.Boot()
	err := w.host.log.Sync()
	if w.host.synced != nil {
		w.host.synced(w.host.clock.Boot() - began)
	}
	return err
}

// appendPending appends records until there is no space and returns how many orders it took.
func (w *writer) appendPending(now time.Duration) (n int, err error) {
	for ; n < len(w.pending); n++ {
		o := &w.pending[n]
		if !o.write {
			continue
		}
		w.fill(o)
		err := w.host.log.Append(&w.record)
		if errors.Is(err, wal.ErrNoSpace) {
			w.stall(o, now, err)
			return n, nil
		}
		if err != nil {
			return n, err
		}
		o.group.written.Store(o.hard.Commit)
		w.unsynced = w.unsynced || o.mandatory
		w.unsealed, w.sealAt = true, now+sealAfter
	}
	if w.stalled.Swap(false) {
		w.host.logger.Info("the raft log has disk space again")
	}
	return n, nil
}

// seal makes the last batch provable once the log is at rest.
func (w *writer) seal(now time.Duration) bool {
	if !w.unsealed || now < w.sealAt {
		return false
	}
	err := w.host.log.Seal()
	switch {
	case errors.Is(err, wal.ErrNoSpace):
		w.sealAt = now + noSpaceRetry
	case err != nil:
		w.host.fail(err)
	default:
		w.unsealed, w.unsynced = false, false
	}
	return err == nil
}

func (w *writer) fill(o *appendOrder) {
	clear(w.record.Entries)
	entries := w.record.Entries[:0]
	for _, e := range o.entries {
		entries = append(entries, wal.Entry{
			Term:  e.GetTerm(),
			Index: e.GetIndex(),
			Type:  uint8(e.GetType()),
			Data:  e.GetData(),
		})
	}
	w.record = wal.Record{Group: o.group.id, HardState: o.hard, Entries: entries, Snapshot: o.mark}
}

func (w *writer) stall(o *appendOrder, now time.Duration, err error) {
	w.retryAt = now + noSpaceRetry
	if !w.stalled.Swap(true) {
		w.host.logger.Error("no disk space for the raft log: writes wait until there is some",
			slog.Uint64("group", uint64(o.group.id)), slog.Any("error", err))
	}
}

// syncNeeded: there is a response to deliver, and something before it that must be durable.
func (w *writer) syncNeeded(orders []appendOrder) bool {
	if !w.unsynced {
		return false
	}
	for i := range orders {
		if len(orders[i].responses) > 0 {
			return true
		}
	}
	return false
}

// deliver hands the responses of a durable append to the replicas they are for.
func (w *writer) deliver(o *appendOrder) {
	done := appendDone{entries: len(o.entries) > 0, mark: o.mark != nil}
	var outbound []*pb.Message
	for _, m := range o.responses {
		if m.GetTo() == uint64(o.group.replica) {
			done.responses = append(done.responses, m)
		} else {
			outbound = append(outbound, m)
		}
	}
	if done.mark {
		done.outbound = outbound
	} else if len(outbound) > 0 {
		w.host.transport.Send(o.group.id, outbound)
	}
	o.group.inbox.put(func(m *mail) { m.appended = append(m.appended, done) })
	o.group.shard.wake(o.group)
}

// WakeAt returns when a stalled append is to be tried again, or the log to be sealed.
func (w *writer) WakeAt() (time.Duration, bool) {
	if w.stalled.Load() {
		return w.retryAt, true
	}
	return w.sealAt, w.unsealed
}

func (w *writer) signalled() <-chan struct{} { return w.signal }
