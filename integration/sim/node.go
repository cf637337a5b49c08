package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
	"github.com/primatomic/primatomic/wal"
)

const theGroup raft.GroupID = 1

// node is a disk and, while it is up, the process on it.
type node struct {
	id      uint64
	disk    *disk
	clock   *clock.Fake
	rate    float64                      // of its clock, by true time
	asleep  time.Duration                // of true time: until then the process stands still
	starved map[raft.Actor]time.Duration // of true time: until when an actor gets no turn
	options *options
	voters  []raft.ReplicaID // that the cluster was founded by; nil for a node that joins
	network *network         // with links, unless it is alone
	trace   *trace
	logs    *logs
	ledger  *ledger
	process uint64 // number of starts

	up    bool
	fatal error // what has ended the process
	log   *wal.Log
	host  *raft.Host
	group *raft.Group
	store *store.Store
}

func (n *node) replica() raft.ReplicaID { return raft.ReplicaID(n.id) }

// start brings a process up on the disk.
func (n *node) start() error {
	n.process++
	n.up, n.fatal, n.starved = false, nil, map[raft.Actor]time.Duration{}
	var founding raft.Seed
	var err error
	if n.voters != nil {
		if founding, err = raft.Founding(n.voters...); err != nil {
			return err
		}
	}
	logger := slog.New(slog.DiscardHandler)
	fatal := func(err error) {
		if n.fatal == nil {
			n.fatal = err
		}
	}
	l, recovery, err := wal.Open(wal.Options{
		FS: n.disk.files, Dir: "wal", ID: [16]byte{byte(n.id)}, SegmentBytes: n.options.segmentBytes,
		Inline: true, Random: rand.NewChaCha8([32]byte{byte(n.process)}),
	})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	group, known := recovery.Groups[theGroup]
	mark := group.Snapshot
	o := store.Options{
		Group: theGroup, Dir: n.disk.checkpoints, Node: n.id, Process: n.process, Clock: leisure{n.clock},
		Logger: logger, Limits: n.options.limits(), Seed: n.process, Fatal: fatal,
		Mark: store.Mark{Index: raft.Index(mark.Index), Term: raft.Term(mark.Term)},
	}
	var transport raft.Transport
	if len(n.network.links) > 0 {
		transport, o.Courier, o.Bulk = raftEnd{n}, packetEnd{n}, bulkEnd{n}
	}
	n.store, err = store.Open(o, founding, [16]byte{3})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	term, index, conf := n.store.Position()
	if !known {
		if group.HardState, err = n.enter(l, founding); err != nil {
			return fmt.Errorf("enter the group: %w", err)
		}
	}
	n.host, err = raft.NewHost(raft.HostConfig{
		Log: watched{l, n.logs}, Clock: leisure{n.clock}, Logger: logger, Process: n.process, Fatal: fatal,
		Transport: transport,
	})
	if err != nil {
		return err
	}
	n.group, err = n.host.AddGroup(raft.GroupConfig{
		ID: theGroup, Replica: raft.ReplicaID(n.id), Applied: index, AppliedTerm: term, ConfState: conf,
		Charter: n.store.Charter(), HardState: group.HardState,
		StateMachine: n.machine(index, term), Proposer: n.store.Proposer(),
		Source: n.store, Fetcher: n.store, Limits: raft.Limits{TailBytes: n.options.tailBytes},
	})
	if err != nil {
		return err
	}
	n.store.Join(n.group)
	n.log, n.up = l, true
	return nil
}

// machine returns what the raft host applies to, with the state as of a place.
func (n *node) machine(at raft.Index, term raft.Term) raft.StateMachine {
	return n.ledger.keep(n.store, n.id, at, term)
}

// enter begins the group's log.
func (n *node) enter(l *wal.Log, founding raft.Seed) (wal.HardState, error) {
	if n.voters == nil {
		return wal.HardState{}, raft.Enter(l, theGroup)
	}
	return raft.Bootstrap(l, theGroup, founding)
}

// wait lets everything in the node go on until it waits for the world.
func (n *node) wait() {
	synctest.Wait()
	n.network.post()
	n.disk.report()
}

// settle gives turns until nobody has anything to do.
func (n *node) settle() {
	for worked := true; worked && n.fatal == nil; {
		worked = false
		for _, a := range n.host.Actors() {
			worked = a.Turn() || worked
			n.wait()
		}
	}
}

// die ends the process as a power failure or an exit does: nothing is written any more.
func (n *node) die() {
	if !n.up {
		return
	}
	n.up = false
	n.host.Stop()
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(errPower)
	_ = n.store.Close(gone) // stops the background work; what it answers is nobody's any more
	n.wait()
}

// stop ends the process in order.
func (n *node) stop() error {
	n.up = false
	n.host.Stop()
	return errors.Join(n.store.Close(context.Background()), n.log.Close())
}

// digestAt replays the disk until index is applied, and returns the state's digest there.
func (n *node) digestAt(index raft.Index) ([32]byte, error) {
	for turns := 0; n.group.Status().Applied < index; turns++ {
		if n.fatal != nil {
			return [32]byte{}, n.fatal
		}
		if turns > 100_000 {
			return [32]byte{}, fmt.Errorf("the replay stands still at %d, want %d", n.group.Status().Applied, index)
		}
		actors := n.host.Actors()
		actors[turns%len(actors)].Turn()
		n.wait()
	}
	return n.store.Verify()
}
