// Package command is the language: which commands there are, what each means, and how a call of
// one is described, answered and refused.
//
// The nouns:
//
//   - Spec: one row of the table. Name, grammar, flags and the one function that carries the command
//     out. Everything else (arity, key positions, categories, COMMAND DOCS) is derived from the row.
//   - Registry: all rows, looked up by name.
//   - Call: one command line on its way: its row, its arguments, who calls and in which namespace.
//   - Reply: the bytes of an answer, in RESP2 or RESP3, appended to.
//   - Session: what a connection has said about itself: credential, namespace, protocol, MULTI.
//   - Executor: the door behind which calls are carried out. Front doors call it, package store is it.
//
// A function of a row sees an engine.View or an engine.Tx and never a socket, a clock or the log, so
// one body serves RESP2, RESP3, gRPC, MULTI and the apply of the log on every node. Functions of
// writes are deterministic: time and randomness come from the log entry through the Tx.
package command
