package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

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
	log      *wal.Log
	store    *store.Store
	host     *raft.Host
	group    *raft.Group
}

// startCore opens a data directory, making it if there is none, and starts the raft group on it.
func startCore(o Options) (_ *core, err error) {
	c := &core{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.release())
		}
	}()
	dir := o.Config.Storage.DataDir
	if c.nodedb, err = nodedb.Open(dir, nodedb.Options{Random: rand.Reader}); err != nil {
		return nil, err
	}
	c.identity = c.nodedb.Identity()
	var recovery *wal.Recovery
	c.log, recovery, err = wal.Open(wal.Options{
		FS: vfs.OS, Dir: filepath.Join(dir, "wal"), ID: logID(c.identity), Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	if torn := recovery.TornTail; torn != nil {
		o.Logger.Warn("cut off a write that a crash kept from finishing; it was never acknowledged",
			"file", torn.File, "offset", torn.Offset, "bytes", torn.Bytes, "copy", torn.Copy)
	}
	if err = c.load(o, recovery.Groups[groupID].HardState); err != nil {
		return nil, err
	}
	c.host.Start()
	return c, nil
}

// load loads the state and puts it behind the log. hard is what the log holds of the group, zero if it does not
// know it.
func (c *core) load(o Options, hard wal.HardState) (err error) {
	replica := raft.ReplicaID(c.identity.Node)
	founding, err := raft.Founding(replica)
	if err != nil {
		return err
	}
	limits := store.DefaultLimits()
	limits.Deadline = o.Config.Limits.CallTimeout
	limits.MemoryBytesMax = int64(o.Config.Limits.MaxMemory)
	limits.CheckpointBytesMin = int64(o.Config.Storage.CheckpointAfter)
	c.store, err = store.Open(store.Options{
		Group: groupID, Dir: filepath.Join(o.Config.Storage.DataDir, "checkpoint"),
		Node: c.identity.Node, Process: c.identity.Process,
		Clock: clock.System, Logger: o.Logger, Limits: limits, Fatal: o.Fatal,
	}, founding, hashKey(c.identity.Cluster))
	if err != nil {
		return err
	}
	term, index, confState := c.store.Position()
	if hard == (wal.HardState{}) && index == founding.Index {
		if hard, err = raft.Bootstrap(c.log, groupID, founding); err != nil {
			return err
		}
	}
	c.host, err = raft.NewHost(raft.HostConfig{
		Log: c.log, Clock: clock.System, Logger: o.Logger, Process: c.identity.Process, Fatal: o.Fatal,
	})
	if err != nil {
		return err
	}
	c.group, err = c.host.AddGroup(raft.GroupConfig{
		ID: groupID, Replica: replica, Applied: index, AppliedTerm: term, ConfState: confState,
		HardState: hard, StateMachine: c.store, Proposer: c.store.Proposer(),
	})
	if err != nil {
		return fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, err)
	}
	c.store.Join(c.group)
	return nil
}

// stop ends the raft host, writes a checkpoint of what was applied, and lets go of the data directory.
func (c *core) stop(ctx context.Context) error {
	c.host.Stop()
	return errors.Join(c.store.Close(ctx), c.release())
}

// release closes what is open of the data directory, in reverse.
func (c *core) release() error {
	var failed error
	if c.log != nil {
		failed = c.log.Close()
	}
	if c.nodedb != nil {
		failed = errors.Join(failed, c.nodedb.Close())
	}
	return failed
}
