// Package sim runs the code that ships - store, raft host, log - in one process with a virtual clock and
// disk, and decides by a seed what happens next: whose turn it is, what clients ask, when the power
// fails. It then holds everything that clients were told against what the log has kept.
//
// The nouns:
//
//   - world: one run. A seed gives its options and every choice after them.
//   - node: a disk that stays and a process that comes and goes.
//   - client: a connection, with at most one submission on its way.
//   - history: every call with its answer; check says what in it cannot be.
//   - plant: a bug put in on purpose, to show that check finds it.
//
// A world lives in a synctest bubble. The actors of the raft host have no goroutines here: the world
// gives them their turns one at a time, and after each waits until every client has got as far as it
// can. So a seed always gives the same run; the trace tells which.
//
// Caveats: checkpoints are real files, because bbolt needs mmap; they survive a power failure whole or
// as the rubbish of an unfinished one. There is one node; more of them need a network between their
// transports, and a world that picks among their actors.
package sim
