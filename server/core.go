package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
	"github.com/primatomic/primatomic/wal"
)

// core is a node without its doors: the data, the log, and the raft host that moves one into the other.
type core struct {
	identity nodedb.Identity
	nodedb   *nodedb.DB
	cluster  *cluster.Node
	log      *wal.Log
	store    *store.Store
	host     *raft.Host
	group    *raft.Group
	meters   *meters
	clock    *clockGuard // nil of a node alone
}

// startCore opens a data directory, making it if there is none, and starts the raft group on it. A node that is to
// found a cluster waits for the other founders as long as ctx lasts.
func startCore(ctx context.Context, o Options) (_ *core, err error) {
	c := &core{meters: new(meters)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.release())
		}
	}()
	if c.nodedb, err = nodedb.Open(o.Config.Storage.DataDir, nodedb.Options{Random: rand.Reader}); err != nil {
		return nil, err
	}
	if err = c.openCluster(o); err != nil {
		return nil, err
	}
	place, err := c.cluster.Settle(ctx)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, err)
	}
	c.identity = c.nodedb.Identity()
	recovery, err := c.openLog(o)
	if err != nil {
		return nil, err
	}
	if err = c.load(o, &place, recovery); err != nil {
		return nil, err
	}
	c.host.Start()
	if err = c.cluster.Run(c.group); err != nil {
		c.host.Stop()
		return nil, err
	}
	return c, nil
}

// The directories in a data directory.
func logDir(data string) string        { return filepath.Join(data, "wal") }
func checkpointDir(data string) string { return filepath.Join(data, "checkpoint") }

// errLogLost says that a node which has begun a log does not have it any more.
var errLogLost = errors.New("the write-ahead log of this node is gone, and with it writes that were acknowledged. " +
	"Nothing was changed. Put the directory wal back as it was; or, in a cluster, remove the node, empty its data " +
	"directory and let it join again as a new node; or, alone, restore the latest backup. " +
	"To begin again with nothing, empty the whole data directory")

// openLog opens the write-ahead log. A node that has begun one must still have it.
func (c *core) openLog(o Options) (*wal.Recovery, error) {
	dir := logDir(o.Config.Storage.DataDir)
	fsys := o.logFS
	if fsys == nil {
		fsys = vfs.OS
	}
	there, err := wal.Exists(fsys, dir)
	if err == nil && !there && c.nodedb.Founded() {
		err = fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, errLogLost)
	}
	if err != nil {
		return nil, err
	}
	var recovery *wal.Recovery
	c.log, recovery, err = wal.Open(wal.Options{
		FS: fsys, Dir: dir, ID: logID(c.identity), SegmentBytes: o.segmentBytes, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	if torn := recovery.TornTail; torn != nil {
		o.Logger.Warn("cut off a write that a crash kept from finishing; it was never acknowledged",
			"file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes, "copy", torn.Copy)
	}
	return recovery, nil
}

// begin enters the group into the log of a new node, and returns what the log holds of the group: what recovery has
// found, if the log knows it. The mark in node.db comes last: a crash before it leaves a log that knows the group,
// and the next start sets it.
func (c *core) begin(
	place *cluster.Place, recovery *wal.Recovery, applied raft.Index,
) (hard wal.HardState, err error) {
	found, known := recovery.Groups[groupID]
	hard = found.HardState
	if !known {
		switch {
		case c.nodedb.Founded() || applied != place.Seed.Index:
			err = errLogLost
		case place.Joined:
			err = raft.Enter(c.log, groupID)
		default:
			hard, err = raft.Bootstrap(c.log, groupID, place.Seed)
		}
	}
	if err != nil || c.nodedb.Founded() {
		return hard, err
	}
	return hard, c.nodedb.SetFounded()
}

// proposalsInflightMax is how many appends a lone voter has on their way to the disk: one. What comes during a sync
// shares the next one; a second append, begun early, would be small and make everything behind it wait longer.
// SET at 50 connections: 5 % more per second than with two, 11 % more at a pipeline of 16.
const proposalsInflightMax = 1

// proposalsInflight is how many appends this node has on their way when it leads.
func (c *core) proposalsInflight() int {
	if c.cluster.Transport() == nil {
		return proposalsInflightMax
	}
	return 0 // raft's default: with others there is also their answer to wait for
}

// load loads the state and puts it behind the log, of which recovery tells what it holds.
func (c *core) load(o Options, place *cluster.Place, recovery *wal.Recovery) (err error) {
	replica, mark := raft.ReplicaID(c.identity.Node), recovery.Groups[groupID].Snapshot
	limits := store.DefaultLimits()
	limits.Deadline = o.Config.Limits.CallTimeout
	limits.MemoryBytesMax = int64(o.Config.Limits.MaxMemory)
	limits.CheckpointBytesMin = int64(o.Config.Storage.CheckpointAfter)
	limits.DigestInterval = o.Config.Cluster.DigestInterval
	limits.CatchUpBytesPerSecond = int64(o.Config.Storage.CatchUpRate)
	c.store, err = store.Open(store.Options{
		Group: groupID, Dir: checkpointDir(o.Config.Storage.DataDir),
		Node: c.identity.Node, Process: c.identity.Process,
		Clock: clock.System, Logger: o.Logger, Limits: limits, Fatal: o.Fatal,
		Courier: courier{c.cluster, kindStore}, Bulk: courier{c.cluster, kindCheckpoint}, Committed: c.meters.committed,
		Mark: store.Mark{Index: raft.Index(mark.Index), Term: raft.Term(mark.Term)},
	}, place.Seed, hashKey(c.identity.Cluster))
	if err != nil {
		return err
	}
	term, index, confState := c.store.Position()
	hard, err := c.begin(place, recovery, index)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, err)
	}
	c.host, err = raft.NewHost(raft.HostConfig{
		Log: c.log, Clock: clock.System, Logger: o.Logger, Process: c.identity.Process, Fatal: o.Fatal,
		Transport: c.cluster.Transport(), Synced: c.meters.synced,
	})
	if err != nil {
		return err
	}
	c.group, err = c.host.AddGroup(raft.GroupConfig{
		ID: groupID, Replica: replica, Applied: index, AppliedTerm: term, ConfState: confState,
		Charter: c.store.Charter(), HardState: hard, StateMachine: c.store, Proposer: c.store.Proposer(),
		Source: c.store, Fetcher: c.store,
		Limits: raft.Limits{
			ProposalsInflightMax: c.proposalsInflight(), TailBytes: o.tailBytes, RingBytes: o.tailBytes,
		},
	})
	if err != nil {
		return fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, err)
	}
	c.store.Join(c.group)
	return nil
}

// stop ends the raft host, writes a checkpoint of what was applied, and lets go of the data directory.
func (c *core) stop(ctx context.Context) error {
	c.cluster.Close()
	c.host.Stop()
	return errors.Join(c.store.Close(ctx), c.release())
}

// alone reports whether this node is the only one of its cluster.
func (c *core) alone() bool {
	s := c.group.Status()
	return len(s.Outgoing) == 0 && len(s.Learners) == 0 && slices.Equal(s.Voters, []raft.ReplicaID{s.Replica})
}

// release closes what is open of the data directory, in reverse.
func (c *core) release() error {
	if c.cluster != nil {
		c.cluster.Close()
	}
	var failed error
	if c.log != nil {
		failed = c.log.Close()
	}
	if c.nodedb != nil {
		failed = errors.Join(failed, c.nodedb.Close())
	}
	return failed
}
