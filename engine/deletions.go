package engine

import "sort"

// deletion records that a key with this hash was deleted at the revision.
type deletion struct {
	hash     uint64
	revision uint64
}

// deletionsMax bounds one generation of deletions. It is part of the state machine: the same on all
// nodes of a cluster.
const deletionsMax = 2048

// deletions remembers the latest deletions of a namespace, so that WATCH sees a key that was missing,
// created and deleted again. EXEC asks on every node, so this is replicated state. There are two
// generations, both only ever appended to: a snapshot keeps slices of them and copies nothing.
//
// Guarded by the mutex of the namespace.
type deletions struct {
	older, newer []deletion // ascending revisions; every one in older <= every one in newer
	forgotten    uint64     // deletions up to this revision may be missing
}

func (d *deletions) add(hash, revision uint64) {
	if len(d.newer) == deletionsMax {
		if n := len(d.older); n > 0 {
			d.forgotten = d.older[n-1].revision
		}
		d.older, d.newer = d.newer, nil
	}
	d.newer = append(d.newer, deletion{hash, revision})
}

// forget drops everything: all keys were deleted at the revision.
func (d *deletions) forget(revision uint64) { *d = deletions{forgotten: revision} }

// since tells whether a key with this hash may have been deleted after the revision.
func (d *deletions) since(hash, revision uint64) bool {
	if revision < d.forgotten {
		return true
	}
	return deletedIn(d.older, hash, revision) || deletedIn(d.newer, hash, revision)
}

func deletedIn(generation []deletion, hash, revision uint64) bool {
	first := sort.Search(len(generation), func(i int) bool { return generation[i].revision > revision })
	for _, d := range generation[first:] {
		if d.hash == hash {
			return true
		}
	}
	return false
}
