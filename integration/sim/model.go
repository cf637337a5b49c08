package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/primatomic/primatomic/engine"
)

// state is a model of what the nodes hold: Go maps, nothing clever, and no code of theirs. A state never changes;
// an entry of the log makes the next one of it.
type state struct {
	time   int64 // log time, ms since the epoch
	spaces map[engine.Ref]*space
	names  map[string]engine.Ref // of named spaces
	ids    uint64                // that were given to spaces, and are never given again
}

// space is what is in one namespace.
type space struct {
	id       uint64
	items    map[string]item   // and those that have expired and were not removed yet
	revision uint64            // grows by one with each call that changes something
	deleted  map[string]uint64 // the revision at which a key was deleted last
	cleared  uint64            // the revision at which all keys were deleted last
}

// item is what is under one key.
type item struct {
	value    string
	deadline int64  // ms of log time; 0: none
	revision uint64 // of the space when the item was changed last
}

// find returns what is under a key, unless it has expired.
func (s *state) find(at engine.Ref, key string) (item, bool) {
	in := s.spaces[at]
	if in == nil {
		return item{}, false
	}
	it, there := in.items[key]
	return it, there && (it.deadline == 0 || it.deadline > s.time)
}

// keys returns the keys that begin with a prefix, in byte order, without those that have expired.
func (s *state) keys(at engine.Ref, begin string) []string {
	var keys []string
	if in := s.spaces[at]; in != nil {
		for key := range in.items {
			if _, alive := s.find(at, key); alive && len(key) >= len(begin) && key[:len(begin)] == begin {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// size returns how many keys a space has, with those that have expired and were not removed yet.
func (s *state) size(at engine.Ref) int {
	if in := s.spaces[at]; in != nil {
		return len(in.items)
	}
	return 0
}

// What a key and a namespace cost beside their bytes, by docs/SEMANTICS.md.
const (
	keyBytes   = 64
	spaceBytes = 1536
)

// memory returns what the state takes of the memory that it may take.
func (s *state) memory() int64 {
	n := len(s.spaces) * spaceBytes
	for _, in := range s.spaces {
		for key, it := range in.items {
			n += keyBytes + len(key) + len(it.value)
		}
	}
	return int64(n)
}

// later returns the state at another log time.
func (s *state) later(time int64) *state { return &state{time, s.spaces, s.names, s.ids} }

// draft is a state that a call is making.
type draft struct {
	state
	mine      map[engine.Ref]bool // the spaces that the call has changed, and which are the draft's own
	memoryMax int64               // 0: no limit
}

func (s *state) draft(memoryMax int64) *draft {
	return &draft{
		state{s.time, maps.Clone(s.spaces), maps.Clone(s.names), s.ids}, map[engine.Ref]bool{}, memoryMax,
	}
}

func (d *draft) newSpace() *space {
	d.ids++
	return &space{id: d.ids, items: map[string]item{}, deleted: map[string]uint64{}}
}

// gone reports whether a namespace that has a name once is there no more. Numbered ones are always there.
func (s *state) gone(at engine.Ref) bool { return at.ID != 0 && s.spaces[at] == nil }

// change returns a space to be changed. All that one call changes in it has one revision.
func (d *draft) change(at engine.Ref) *space {
	if d.mine[at] {
		return d.spaces[at]
	}
	old := d.spaces[at]
	if old == nil {
		old = d.newSpace()
	}
	mine := &space{old.id, maps.Clone(old.items), old.revision + 1, maps.Clone(old.deleted), old.cleared}
	d.spaces[at], d.mine[at] = mine, true
	return mine
}

// put stores a value. If its deadline has passed nothing is left of the key.
func (d *draft) put(at engine.Ref, key, value string, deadline int64) {
	if deadline != 0 && deadline <= d.time {
		d.remove(at, key)
		return
	}
	in := d.change(at)
	in.items[key] = item{value, deadline, in.revision}
}

// remove deletes a key, and tells whether it was there.
func (d *draft) remove(at engine.Ref, key string) bool {
	if _, alive := d.find(at, key); !alive {
		return false
	}
	d.change(at).drop(key)
	return true
}

func (in *space) drop(key string) {
	delete(in.items, key)
	in.deleted[key] = in.revision
}

// clear deletes all keys.
func (d *draft) clear(at engine.Ref) {
	if d.size(at) > 0 {
		in := d.change(at)
		in.items, in.deleted, in.cleared = map[string]item{}, map[string]uint64{}, in.revision
	}
}

// changed tells whether EXEC must take a key for changed that was watched at a revision of its space, alive or not.
func (s *state) changed(at engine.Ref, key string, revision uint64, alive bool) bool {
	in := s.spaces[at]
	if in == nil {
		return alive
	}
	it, there := in.items[key]
	if !there {
		return alive || in.deleted[key] > revision || in.cleared > revision
	}
	return it.revision > revision || alive && it.deadline != 0 && it.deadline <= s.time
}

// reaped returns the state without its expired keys, at most so many of them removed: those of the space with the
// earliest deadline first, and of a space those with the earliest deadlines.
func (s *state) reaped(limit int) *state {
	for limit > 0 {
		at, keys := s.overdue()
		if len(keys) == 0 {
			break
		}
		d := s.draft(0)
		in := d.change(at)
		for _, key := range keys[:min(limit, len(keys))] {
			in.drop(key)
			limit--
		}
		s = &d.state
	}
	return s
}

// overdue returns the space with the earliest deadline, the older of two, and its expired keys by their deadlines.
func (s *state) overdue() (at engine.Ref, expired []string) {
	var first int64
	var id uint64
	for ref, in := range s.spaces {
		var keys []string
		for key := range in.items {
			if _, alive := s.find(ref, key); !alive {
				keys = append(keys, key)
			}
		}
		if len(keys) == 0 {
			continue
		}
		slices.SortFunc(keys, func(a, b string) int {
			return cmp.Or(cmp.Compare(in.items[a].deadline, in.items[b].deadline), cmp.Compare(a, b))
		})
		due := in.items[keys[0]].deadline
		if expired == nil || cmp.Or(cmp.Compare(due, first), cmp.Compare(in.id, id)) < 0 {
			at, expired, first, id = ref, keys, due, in.id
		}
	}
	return at, expired
}
