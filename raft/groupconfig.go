package raft

import (
	"errors"
	"fmt"

	etcdraft "go.etcd.io/raft/v3"

	"github.com/primatomic/primatomic/wal"
)

// GroupConfig is what a replica is brought up from. ID, Replica, StateMachine and Proposer are
// required.
type GroupConfig struct {
	ID      GroupID
	Replica ReplicaID
	// Applied and AppliedTerm name the entry as of which the state machine was loaded, and
	// ConfState (a marshalled raftpb.ConfState) is the configuration as of it. All are empty on
	// a replica that joins a running group.
	Applied     Index
	AppliedTerm Term
	ConfState   []byte
	// Charter is what the log had settled as of Applied; the zero value if that is nothing.
	Charter Charter
	// HardState is what the log recovered for the group, or Bootstrap returned.
	HardState    wal.HardState
	StateMachine StateMachine
	Proposer     Proposer
	// Source knows the checkpoints for replicas that the log cannot help any more; nil if there are none.
	Source CheckpointSource
	// Fetcher gets such checkpoints from others; nil: this replica cannot.
	Fetcher CheckpointFetcher
	Limits  Limits
}

// Limits bounds what a group holds in memory and has under way. 0 takes the default.
type Limits struct {
	// RingBytes bounds the recent entries kept in memory: 16 MiB.
	RingBytes int
	// ProposalBytesMax is what a proposer is asked for at once: 1 MiB.
	ProposalBytesMax int
	// ProposalsInflightMax is the number of appends under way above which a proposer is not
	// asked, so that what comes meanwhile shares the next one: 2.
	ProposalsInflightMax int
	// UnappliedBytesMax is the size of what a leader has proposed and not applied above which a
	// proposer is not asked: 8 MiB. It stays below RingBytes, so that what is applied need not be
	// read back.
	UnappliedBytesMax int
	// UncommittedBytesMax is the size of the same above which the library refuses proposals: 128
	// MiB, which is out of reach unless one batch is that large.
	UncommittedBytesMax int
	// ApplyBytesMax bounds the entries handed to the apply worker and not applied: 8 MiB.
	ApplyBytesMax int
	// AppendsInflightMax bounds the appends handed to the writer and not durable: 256. Beyond
	// it the group stands still.
	AppendsInflightMax int
	// MessageBytesMax bounds the entries of one message to a peer: 1 MiB. MessagesInflightMax
	// (256) and BytesInflightMax (32 MiB) bound what a peer has not acknowledged.
	MessageBytesMax     int
	MessagesInflightMax int
	BytesInflightMax    int
	// TailBytes is how much of the log is kept behind a checkpoint, for replicas that lag: 64 MiB. It is kept only
	// by a group of several replicas, and sixteen times of it while one fetches a checkpoint.
	TailBytes int
	// InboxBytesMax bounds the messages from peers that wait for a turn: 64 MiB.
	InboxBytesMax int
}

const mebibyte = 1 << 20

func (l *Limits) setDefaults() {
	setDefault(&l.RingBytes, 16*mebibyte)
	setDefault(&l.ProposalBytesMax, mebibyte)
	setDefault(&l.ProposalsInflightMax, 2)
	setDefault(&l.UnappliedBytesMax, 8*mebibyte)
	setDefault(&l.UncommittedBytesMax, 128*mebibyte)
	setDefault(&l.ApplyBytesMax, 8*mebibyte)
	setDefault(&l.AppendsInflightMax, 256)
	setDefault(&l.MessageBytesMax, mebibyte)
	setDefault(&l.MessagesInflightMax, 256)
	setDefault(&l.BytesInflightMax, 32*mebibyte)
	setDefault(&l.TailBytes, 64*mebibyte)
	setDefault(&l.InboxBytesMax, 64*mebibyte)
}

func (l *Limits) check() error {
	for _, n := range []int{
		l.RingBytes, l.ProposalBytesMax, l.ProposalsInflightMax, l.UnappliedBytesMax,
		l.UncommittedBytesMax, l.ApplyBytesMax, l.AppendsInflightMax, l.MessageBytesMax,
		l.MessagesInflightMax, l.BytesInflightMax, l.TailBytes, l.InboxBytesMax,
	} {
		if n <= 0 {
			return errors.New("raft: limits must be positive")
		}
	}
	if l.BytesInflightMax < l.MessageBytesMax {
		return errors.New("raft: BytesInflightMax must not be below MessageBytesMax")
	}
	return nil
}

func (c *GroupConfig) check() error {
	if err := checkReplicaID(c.Replica); err != nil {
		return err
	}
	if c.StateMachine == nil || c.Proposer == nil {
		return errors.New("raft: a group needs a state machine and a proposer")
	}
	c.Charter.setDefaults()
	c.Limits.setDefaults()
	return c.Limits.check()
}

func checkReplicaID(id ReplicaID) error {
	if uint64(id) == etcdraft.None || etcdraft.IsLocalMsgTarget(uint64(id)) {
		return fmt.Errorf("raft: replica id %x is reserved", uint64(id))
	}
	return nil
}
