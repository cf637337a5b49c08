// Package engine is the data: the replicated in-memory state of one raft group. It has no goroutine, no
// clock and no logger; log time and random seeds are arguments, so that every node that applies the same
// log holds the same state.
//
// The nouns: a State holds namespaces; a View reads one at one instant; a Batch applies entries of the log
// and hands out a Tx for each atomic call; a Snapshot walks the state as of one moment, a Loader rebuilds a
// State from what it gave, and a Digester hashes it.
//
//	b := state.Begin(logTime, seed)
//	tx, err := b.Tx("tenant", engine.Ref{Number: 0})
//	tx.Set([]byte("key"), []byte("value"), 0)
//	tx.Commit()
//	b.Reap(100)
//	b.End()
//
//	tick, err := state.Read("tenant", engine.Ref{Number: 0}, now, func(v *engine.View) {
//		it, ok := v.Lookup([]byte("key"))
//		...
//	})
//
// Goroutines: one applier calls Begin and everything of a Batch and a Tx, Snapshot, Check, Digest and the
// replay functions. Any goroutine may Read and ask for published figures. A few Snapshots may be open at a
// time, each walked by one goroutine.
//
// Caveats: bytes that a View or an Item shows belong to the State, see Item.Value. A small value is
// overwritten in place. Functions passed to Scan and Ascend must not change the namespace. Bounds of keys
// and values are checked by the front doors; here they are invariants whose breach panics.
package engine
