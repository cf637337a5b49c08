// Package integration holds black-box tests: the real binary in processes of its own, real clients, real
// sockets on loopback, real kills. It has no code of its own outside of the tests.
//
// The nouns: a node is a data directory and the process that runs on it, if one does; a wire is a raw RESP
// connection; a ledger knows what was sent to a node under load and what became of it; a history is what
// concurrent clients saw, for the checker of linearizability.
//
// A fleet is several nodes that found a cluster. Where links between them are to be cut, each of them is in a network
// namespace of its own, on the bridge of a network; that takes root. NETNS=skip skips such tests where there are no
// namespaces. A crowd is the clients of a fleet, which go on whatever happens to its nodes. What they write is of
// six kinds, each with a checker: scrolls, which are appended to; banks, of transactions; mortals, which have a TTL;
// registers, whose history goes to the checker of linearizability; hours, which tell log time; a shelf of keys that
// come and go and are listed. A vigil calls nodes at a steady pace, whatever became of the calls before, and so knows
// how long there was no service, and which calls have failed. A middleman stands between nodes, plays tricks with their
// frames and makes the weather in which those travel. A warp is a clock that can be set, of a node that runs a binary
// of its own, built for that. A brittle disk can be made to fail. A fault is what is done to a fleet under a crowd and
// undone again: most have a test of their own, and TestSoak (make soak) picks from them at random, or two at once: one
// on a ground, which is something that is wrong already, for as long as SOAK says.
//
// PRIMATOMIC_BIN names the binary under test. Without it, the binary is built once per run, under the race
// detector. Tests that measure memory build one without the detector. KILLS is the number of kills of
// TestKillLoop, SEED repeats the random choices of a run that failed; every random test logs its seed.
// With -short nothing is started.
package integration
