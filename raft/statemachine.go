package raft

import "time"

// StateMachine receives what a group has committed. Its methods are called by the group's
// apply worker only, one at a time and in log order.
type StateMachine interface {
	// Apply applies committed entries with consecutive indexes; configuration changes are left
	// out, and the host's own entries have no Data. tag is this replica's raft term in the turn
	// that handed the entries out, which may be above the entries' own terms. entries is reused
	// after Apply returns, its Data is not.
	Apply(tag Term, entries []Entry)
	// SetCharter reports an applied entry of the host's that changes the charter: at is applied,
	// and c holds from it on, to be stored with the applied state. tag is as in Apply.
	//
	// What a state machine has applied may be shown to anybody, in replies and in reads, only while
	// the tag of the latest batch is not above c.Serving: until then another replica may still
	// answer reads from before. It must hide before it changes anything for a higher tag.
	SetCharter(tag Term, at Entry, c Charter)
	// SetConfState reports an applied configuration change: the entry at index is applied, and
	// confState (a marshalled raftpb.ConfState) is the configuration and c the charter from index on.
	// All are to be stored together with the applied state.
	SetConfState(index Index, confState []byte, c Charter)
	// Install replaces the state by that of a checkpoint given to Group.Offer before, and returns the
	// charter in it. Everything up to its index is applied then, though nobody knows what became of
	// what was in flight. tag is as in Apply, and what holds of it there holds here. An error ends the host.
	Install(tag Term, c *Checkpoint) (Charter, error)
	// Leading reports that this replica led term when the batch just applied was handed out,
	// and that the batch held the first entry of that term. Called at most once per term.
	Leading(term Term)
	// CaughtUp reports that this replica has applied everything that its log knew as committed when it
	// was started: what follows is no replay. Called once.
	CaughtUp()
}

// Proposer hands payloads to a group's loop. Its methods are called by the group's shard loop
// and must not block.
type Proposer interface {
	// Take returns payloads to propose, one entry each: at most 65536 of them, and at most about
	// bytesMax bytes in all, though a single payload may exceed that alone. It is asked while
	// this replica leads term and no former leader can hold a lease, once per turn, and only while
	// few appends are in flight, so that batches grow under load. An empty answer means: not again
	// before Notify or WakeAt. No payload is empty or begins with a byte 0x00. The payloads may be
	// reused when Take is called next.
	Take(term Term, bytesMax int) [][]byte
	// Dropped gives back what Take returned last: certainly not appended, as a whole.
	Dropped(term Term, payloads [][]byte)
	// WakeAt returns the instant of the boot clock at which Take wants to be asked although
	// nobody calls Notify.
	WakeAt() (time.Duration, bool)
	// Forward is asked instead of Take while this replica follows leader in term, once per turn after
	// Notify and when either has changed. It sends what waits to the leader by means of its own. true
	// means that something could not be sent, and that it wants to be asked again at the next tick.
	Forward(term Term, leader ReplicaID) (again bool)
	// Stamp returns what goes with this leader's answer to a replica that asks for a read index:
	// Pending.Stamp there. It is taken after the question came.
	Stamp() int64
}
