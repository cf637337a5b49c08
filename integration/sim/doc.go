// Package sim runs the code that ships - store, raft host, log, checkpoints, catching up - of one, three or five
// nodes in one process with virtual clocks, disks and network, and decides by a seed what happens next: whose turn it
// is, which letter arrives, what clients ask, when the power of a node fails. It then holds everything that clients
// were told against what the log has kept, and the nodes against each other.
//
// The nouns:
//
//   - world: one run. A seed gives its options and every choice after them.
//   - node: a disk that stays, a clock, and a process that comes and goes.
//   - network: links between nodes, which keep order, lose, are cut and end; and play tricks with messages of raft.
//   - client: a connection, with at most one submission on its way. It may stay open for several.
//   - history: every call about some kinds of keys, with its answer; check says what in it cannot be, key by key.
//   - ledger: every entry that a state machine was given, by its place in the log.
//   - audit: the ledger replayed through a model, and all that clients were told held against it.
//   - plant: a bug put in on purpose, to show that a check finds it. Only tests have them.
//   - trace: all that happens in a run, line by line.
//
// A world lives in a synctest bubble. The actors of the raft host have no goroutines here: the world gives them their
// turns one at a time, and after each waits until everything else has got as far as it can. What the goroutines of a
// node have sent at one moment goes out in an order of its own, timers fire one at a time, and nothing that goes on in
// the background is done before time passes. So a seed always gives the same run, to the last byte that is written,
// sent and answered; the trace tells.
//
// Caveats: checkpoints are real files, because bbolt needs mmap; they survive a power failure whole or as rubbish of an
// unfinished one. The network is none of raft/transport. Package cluster is not here: the world itself asks the leader
// for changes of the members.
package sim
