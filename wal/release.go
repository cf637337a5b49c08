package wal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

const rewriteBytes = 1 << 20 // entries per record of a Rewrite, at least one

// Release says that a group's entries up to and including index are in a durable checkpoint and no longer
// needed; readers get ErrCompacted for them from now on. Only committed entries can be released. The next
// Sync removes the segments that no group needs any more.
func (l *Log) Release(id GroupID, index uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[id]
	if g == nil {
		return fmt.Errorf("%w: group %d", ErrUnavailable, id)
	}
	if index <= g.base.Index {
		return nil
	}
	if index > g.last || index > g.hard.Commit {
		return fmt.Errorf("%w: group %d: %d is released, %d is committed, %d is the last", ErrInvalidRecord,
			id, index, g.hard.Commit, g.last)
	}
	term, _ := g.term(index)
	g.release(SnapshotMark{index, term})
	l.released = true
	return nil
}

// Pin is a group's hold on the log.
type Pin struct {
	Group   GroupID
	Bytes   int64  // size of the log from the oldest segment that the group needs to the end
	Entries uint64 // the entries that Rewrite would write again
}

// Pins returns the groups that hold entries, those that hold the oldest segments first. A host looks for
// groups that hold much log with few entries, and checkpoints or rewrites them. Groups without entries hold
// nothing: the log restates them by itself.
func (l *Log) Pins() []Pin {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var pins []Pin
	for id, g := range l.groups {
		if len(g.anchors) > 0 {
			p := Pin{Group: id, Entries: g.last - g.from + 1, Bytes: l.end - headerBytes}
			for _, s := range l.segs[:len(l.segs)-1] {
				if s.seq >= g.anchors[0].seq {
					p.Bytes += s.size - headerBytes
				}
			}
			pins = append(pins, p)
		}
	}
	slices.SortFunc(pins, func(a, b Pin) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Group, b.Group))
	})
	return pins
}

// Rewrite writes all entries of a group again at the end of the log, so that it no longer holds older
// segments. They go with the next Sync. It is for groups that write seldom; its cost is the group's entries.
// After an error other than a final one the log is unharmed and it may be called again.
func (l *Log) Rewrite(id GroupID) error {
	l.mu.RLock()
	g := l.groups[id]
	l.mu.RUnlock()
	if g == nil {
		return fmt.Errorf("%w: group %d", ErrUnavailable, id)
	}
	var entries []Entry
	for next := uint64(0); ; next = entries[len(entries)-1].Index + 1 {
		first, last := l.bounds(g)
		if next = max(next, first); next > last {
			return nil
		}
		var err error
		entries, err = l.Entries(id, next, last+1, rewriteBytes, entries[:0])
		if errors.Is(err, ErrCompacted) {
			continue // released meanwhile; start from what is left
		}
		if err != nil {
			return err
		}
		if err := l.appendState(g, l.restate(id, g, entries), entries, flagCopy); err != nil {
			return err
		}
	}
}

func (l *Log) bounds(g *group) (first, last uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return g.base.Index + 1, g.last
}

// restate returns a body that says about a group what is known of it.
func (l *Log) restate(id GroupID, g *group, entries []Entry) state {
	l.mu.RLock()
	defer l.mu.RUnlock()
	st := state{group: id, hard: g.hard, mark: g.mark, base: g.base}
	if len(entries) > 0 {
		st.first, st.count = entries[0].Index, uint32(len(entries))
	}
	return st
}

// raiseFloor finds the oldest segment that is still needed. If older ones can go it adds the frames that
// must be durable before they do: the state of groups that is only found there, and a seal that names the
// floor. It returns the new floor, or 0.
func (l *Log) raiseFloor() (uint64, error) {
	floor, restate := l.planFloor()
	// Without room here it waits for the next segment: never is one begun just to remove others.
	if floor == 0 || l.room() < floorBytes(len(restate)) {
		return 0, nil
	}
	for _, id := range restate {
		g := l.groups[id]
		if err := l.putState(g, l.restate(id, g, nil), nil, 0, tableOffset); err != nil {
			return 0, err
		}
	}
	return floor, l.appendSeal(floor, sealBytes)
}

// floorBytes is the size of the frames that raise the floor when some groups must be restated.
func floorBytes(restated int) int64 { return int64(restated)*tableOffset + sealBytes }

// planFloor returns the floor that the log could have, 0 if it has it, and the groups to restate for it.
func (l *Log) planFloor() (floor uint64, restate []GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.released {
		return 0, nil
	}
	l.released = false
	floor = l.current().seq
	for _, g := range l.groups {
		if len(g.anchors) > 0 {
			floor = min(floor, g.anchors[0].seq)
		}
	}
	if floor <= l.segs[0].seq {
		return 0, nil
	}
	for id, g := range l.groups {
		if g.stated < floor || g.statedBase != g.base.Index {
			restate = append(restate, id)
		}
	}
	slices.Sort(restate) // the order of a map must not reach the disk: the simulator repeats runs
	return floor, restate
}

// dropBelow hands segments below a durable floor to the keeper. Reads under way keep theirs open.
func (l *Log) dropBelow(floor uint64) {
	l.mu.Lock()
	n := int(floor - l.segs[0].seq)
	dropped := slices.Clone(l.segs[:n])
	l.segs = slices.Delete(l.segs, 0, n)
	l.floor = floor
	l.mu.Unlock()
	l.keeper.doom(dropped)
	l.keeper.nudge()
}
