// Package raft hosts groups of replicas that run etcd's raft library.
//
// A [Host] owns the machinery of one process: shard loops that step raft groups, one writer
// that makes the records of all groups durable with one sync, and an apply worker per group.
// A [Group] is one replica of one raft group. A [StateMachine] receives what the group has
// committed, in log order. A [Proposer] is asked for payloads while this replica leads. A
// [Transport] carries messages to other replicas; a single node has none.
//
// The way of a payload:
//
//	Proposer.Take -> shard loop -> MsgApp to peers (at once)
//	                            -> writer: append, one sync, then the responses
//	                            -> committed -> apply worker -> StateMachine.Apply
//
// All three are actors: a method Turn does what is there to do and reports whether it did
// anything. In production each actor is a goroutine of the Host that sleeps until it is
// signalled; a simulator calls Turn itself, from one goroutine and in an order of its choice,
// with a virtual clock, disk and network. No actor blocks in Turn except on the disk.
//
// What the host guarantees beyond the library:
//
//   - A response that promises durability (a vote, an acknowledged append) leaves only when
//     every record up to it is durable. An error of the log ends the host: nothing more is
//     delivered and HostConfig.Fatal is called once.
//   - No read is served before an entry of the leader's own term is applied. The library
//     answers a lone voter's read index from an unconfirmed commit index.
//   - A leader answers reads from memory under a lease of its own making, never the library's: it
//     counts from when a round was sent that a majority has answered. A new leader takes no
//     proposal and answers no read index until the leases of former leaders have ended, then
//     puts a SERVE entry into the log; until that is applied, no replica may show what it applied
//     in the new term. A planned transfer releases the lease first and needs no wait. It holds as
//     long as no clock runs more than 1.2 times as fast as another, and none stands still.
//   - Role, commit index and lease are published in one piece before the messages of the same
//     turn go out.
//
// A replica that needs entries which the leader's log has let go of gets a checkpoint instead: see
// install.go. The messages only name it; how it travels is the business of a [CheckpointFetcher].
//
// Caveats: the library draws election timeouts from crypto/rand; a simulator makes that deterministic
// with testing/cryptotest.
package raft
