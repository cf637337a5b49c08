// Package store is where a command meets consensus. It carries calls out: a read at a linearizable
// read point, a write through the log.
//
// The nouns:
//
//   - Store: the executor of calls (command.Executor) and the state machine of a raft group.
//   - run: the calls of one submission that are on their way together, and their answers.
//   - batcher: turns the writes of all connections that wait into few log entries.
//   - envelope: the form of a log entry. Everything that apply needs stands in it: time, seed, and of
//     each call its origin, credential, namespace, name and arguments.
//   - waiter: what a run is to its writes while they are in the log. It is found again by origin (node,
//     process, sequence) when this node applies the entry, so an outcome is never lost on the way.
//   - curtain: hides what was applied in a raft term that nobody serves yet, from replies and reads.
//   - digest: what the state as of one entry hashes to. Nodes compare theirs, and one that differs from the
//     majority goes into quarantine.
//
// The way of a write: Do -> gate -> run -> batcher -> raft -> Apply -> run -> Do. The way of a read:
// Do -> gate -> read point -> engine. A read behind a write of its own submission rides on it: it is
// answered by Apply right after that write.
//
// Outcomes: an error says whether the call was refused, applied, or is unknown. NotApplied is said
// only of calls that never reached the log (still queued, dropped by raft) or that a later term has
// provably passed over; Uncertain of all others that could not be followed to their end.
package store
