package raft

import "errors"

var (
	// ErrStopped: the host is stopped or has failed. The outcome of what was asked is unknown.
	ErrStopped = errors.New("raft: host is stopped")
	// ErrNoLeader: no leader was known when the caller's context ended.
	ErrNoLeader = errors.New("raft: no leader")
	// ErrNotLeader: this replica does not lead, has not yet applied an entry of its own term, or
	// waits until the leases of former leaders have ended. Nothing was proposed.
	ErrNotLeader = errors.New("raft: not the leader, or not serving yet")
	// ErrNotApplied: a change was proposed and certainly did not come into the log; a later
	// leader's entries took its place.
	ErrNotApplied = errors.New("raft: the change was superseded by a later leader")
	// ErrConfChangePending: another change of the same kind is under way. Nothing was proposed.
	ErrConfChangePending = errors.New("raft: another configuration change is under way")
	// ErrConfChangeInvalid: the change does not fit the current configuration. Nothing was
	// proposed.
	ErrConfChangeInvalid = errors.New("raft: invalid configuration change")
	// ErrReadsInvalid: no group can serve reads that way. Nothing was proposed.
	ErrReadsInvalid = errors.New("raft: invalid setting of reads")
	// ErrMemberInvalid: there are too many members, or the replica was removed, or its data is too
	// large. Nothing was proposed.
	ErrMemberInvalid = errors.New("raft: invalid member")
	// ErrTransferPending: a transfer or a configuration change is under way. Nothing was begun.
	ErrTransferPending = errors.New("raft: a transfer or a configuration change is under way")
	// ErrTransferInvalid: the successor is no other voter of the group. Nothing was begun.
	ErrTransferInvalid = errors.New("raft: the successor is no other voter")
	// ErrTransferFailed: the successor did not come to lead. This replica goes on, or another leads.
	ErrTransferFailed = errors.New("raft: the leadership was not transferred")
	// ErrProposalRefused: the library refused the proposal. It is certainly not in the log.
	ErrProposalRefused = errors.New("raft: proposal refused")
	// ErrOvertaken: a checkpoint took the place of the part of the log in which the outcome stands. It
	// is unknown.
	ErrOvertaken = errors.New("raft: the log was replaced by a checkpoint, the outcome is unknown")
	// ErrCheckpointUseless: the group has what is in the checkpoint, or was offered another one, or the
	// checkpoint's configuration lacks this replica. It will not be installed.
	ErrCheckpointUseless = errors.New("raft: no use for the checkpoint")
	// ErrCompactBeyondApplied: only applied entries may be released.
	ErrCompactBeyondApplied = errors.New("raft: index to compact is not applied yet")
	// ErrGroupExists: the log already knows the group, or the host already holds it.
	ErrGroupExists = errors.New("raft: group exists already")
	// ErrGroupState: the log, the hard state and the loaded state do not belong together.
	ErrGroupState = errors.New("raft: inconsistent state of the group")
)
