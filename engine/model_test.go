package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// model is the engine written down plainly: maps that are copied whole where the engine saves differences.
type model struct {
	time   int64
	spaces map[string]*modelSpace // by handle, see handleOf
	nextID uint64
}

type modelSpace struct {
	id       uint64
	keys     map[string]modelItem
	revision uint64
	touched  map[string]uint64 // revision of the last change of each key ever
	cleared  uint64
}

type modelItem struct {
	value    string
	deadline int64
	revision uint64
}

func newModel() *model { return &model{spaces: map[string]*modelSpace{}, nextID: 1} }

func (m *model) clone() *model {
	c := *m
	c.spaces = map[string]*modelSpace{}
	for handle, space := range m.spaces {
		copied := *space
		copied.keys, copied.touched = maps.Clone(space.keys), maps.Clone(space.touched)
		c.spaces[handle] = &copied
	}
	return &c
}

// handle names a place where a namespace may be: "0" to "2" are numbered databases, letters named ones.
var handles = []string{"0", "1", "2", "a", "b"}

func (m *model) ref(handle string) Ref {
	if number, ok := Numbered(handle); ok {
		return Ref{Number: number}
	}
	if space := m.spaces[handle]; space != nil {
		return Ref{ID: space.id}
	}
	return Ref{ID: 1 << 40}
}

// space returns the namespace, which springs into being if it is numbered.
func (m *model) space(handle string) *modelSpace {
	space := m.spaces[handle]
	if space == nil {
		space = &modelSpace{id: m.nextID, keys: map[string]modelItem{}, touched: map[string]uint64{}}
		m.nextID++
		m.spaces[handle] = space
	}
	return space
}

func (s *modelSpace) alive(key string, time int64) (modelItem, bool) {
	if s == nil {
		return modelItem{}, false
	}
	it, ok := s.keys[key]
	return it, ok && (it.deadline == 0 || it.deadline > time)
}

func (s *modelSpace) set(key, value string, deadline int64) {
	s.keys[key] = modelItem{value, deadline, s.revision + 1}
	s.touched[key] = s.revision + 1
}

func (s *modelSpace) delete(key string) {
	delete(s.keys, key)
	s.touched[key] = s.revision + 1
}

// commit raises the revisions of the spaces that have changed.
func (m *model) commit() {
	for _, space := range m.spaces {
		if space.cleared > space.revision || space.touchedAfter(space.revision) {
			space.revision++
		}
	}
}

func (s *modelSpace) touchedAfter(revision uint64) bool {
	for _, r := range s.touched {
		if r > revision {
			return true
		}
	}
	return false
}

// reap mirrors Batch.Reap.
func (m *model) reap(limit int) int {
	type expired struct {
		deadline int64
		id       uint64
	}
	reaped := 0
	for reaped < limit {
		var first *modelSpace
		at := expired{}
		for _, space := range m.spaces {
			for _, it := range space.keys {
				e := expired{it.deadline, space.id}
				if it.deadline != 0 && it.deadline <= m.time &&
					(first == nil || e.deadline < at.deadline || e.deadline == at.deadline && e.id < at.id) {
					first, at = space, e
				}
			}
		}
		if first == nil {
			break
		}
		reaped += first.reap(m.time, limit-reaped)
	}
	return reaped
}

func (s *modelSpace) reap(time int64, limit int) int {
	var keys []string
	for key, it := range s.keys {
		if it.deadline != 0 && it.deadline <= time {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := s.keys[a].deadline - s.keys[b].deadline; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	keys = keys[:min(limit, len(keys))]
	for _, key := range keys {
		s.delete(key)
	}
	s.revision++
	return len(keys)
}

// changedSince is what ChangedSince must answer exactly, as long as its memory is not overrun.
func (s *modelSpace) changedSince(key string, revision uint64, alive bool, time int64) bool {
	if s == nil {
		return alive
	}
	if _, now := s.alive(key, time); alive && !now {
		return true
	}
	_, there := s.keys[key]
	return s.touched[key] > revision || !there && s.cleared > revision
}

// dump prints the items that a snapshot must hold.
func (m *model) dump() string {
	var b strings.Builder
	byID := map[uint64]*modelSpace{}
	for _, space := range m.spaces {
		byID[space.id] = space
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		space := byID[id]
		fmt.Fprintf(&b, "section %d revision %d\n", id, space.revision)
		for _, key := range slices.Sorted(maps.Keys(space.keys)) {
			it := space.keys[key]
			fmt.Fprintf(&b, "%s=%s,%d,%d\n", key, abridge(it.value), it.deadline, it.revision)
		}
	}
	return b.String()
}

func abridge(value string) string {
	if len(value) <= 20 {
		return value
	}
	return fmt.Sprintf("%s...%x(%d)", value[:10], mix(uint64(len(value))+sumOf(value)), len(value))
}

func sumOf(value string) (sum uint64) {
	for i := range len(value) {
		sum = mix(sum + uint64(value[i]))
	}
	return sum
}

// dumpSink prints a snapshot as dump does.
type dumpSink struct{ strings.Builder }

func (d *dumpSink) Section(id uint64, header []byte) error {
	h, err := decodeSectionHeader(header)
	fmt.Fprintf(d, "section %d revision %d\n", id, h.revision)
	return err
}

func (d *dumpSink) Put(key, data []byte) error {
	it, err := decodeItem(key, data)
	if err == nil {
		fmt.Fprintf(d, "%s=%s,%d,%d\n", key, abridge(string(it.value())), it.deadline, it.revision)
	}
	return err
}

// drawValue draws lengths on both sides of every bound of the representation.
func drawValue(t *rapid.T) []byte {
	length := rapid.OneOf(
		rapid.IntRange(0, 20), rapid.SampledFrom([]int{100, 400, inlineBytesMax, inlineBytesMax + 1, 3000}),
	).Draw(t, "length")
	return bytes.Repeat([]byte{byte('a' + rapid.IntRange(0, 25).Draw(t, "letter"))}, length)
}

func drawKey(t *rapid.T) []byte {
	return fmt.Appendf(nil, "k%02d", rapid.IntRange(0, 40).Draw(t, "key"))
}
