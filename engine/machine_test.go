package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// machine drives a State and a model through the same calls.
type machine struct {
	s *State
	m *model

	walks [2]walked

	watches []watch
	scan    *scanning
}

// walked is a snapshot under way.
type walked struct {
	snapshot   *Snapshot // nil: none
	got        *dumpSink
	want       string
	wantDigest [32]byte
	digester   *Digester
}

// Section and Put of a walked snapshot are for dump and digest alike.
func (w *walked) Section(id uint64, header []byte) error {
	return errors.Join(w.got.Section(id, header), w.digester.Section(id, header))
}

func (w *walked) Put(key, item []byte) error {
	return errors.Join(w.got.Put(key, item), w.digester.Put(key, item))
}

type watch struct {
	handle   string
	id       uint64
	key      string
	revision uint64
	alive    bool
}

// scanning is a SCAN under way: what was there all the time must be seen.
type scanning struct {
	handle string
	id     uint64
	cursor uint64
	stayed map[string]bool
	seen   map[string]bool
}

func TestStateAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{s: newState(), m: newModel()}
		t.Repeat(map[string]func(*rapid.T){
			"":         m.compare,
			"batch":    m.batch,
			"batches":  func(t *rapid.T) { m.batch(t); m.batch(t); m.batch(t) },
			"fill":     m.fill,
			"reap":     m.reap,
			"snapshot": m.stepSnapshot,
			"reload":   m.reload,
			"replay":   m.replay,
			"watch":    m.watch,
			"scan":     m.stepScan,
			"tick":     m.tick,
		})
	})
}

func (m *machine) handle(t *rapid.T) string { return rapid.SampledFrom(handles).Draw(t, "handle") }

func (m *machine) batch(t *rapid.T) {
	m.m.time += rapid.Int64Range(0, 3).Draw(t, "time")
	b := m.s.Begin(m.m.time, rapid.Uint64().Draw(t, "seed"))
	for range rapid.IntRange(1, 4).Draw(t, "calls") {
		m.call(t, b)
		if rapid.IntRange(0, 9).Draw(t, "yield") == 0 {
			b.Yield()
		}
	}
	b.End()
}

// call does one atomic call with savepoints, and mirrors it on a copy of the model.
func (m *machine) call(t *rapid.T, b *Batch) {
	before := m.m.clone()
	tx, err := b.Tx(tenant, NoNamespace)
	if err != nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(1, 4).Draw(t, "commands") {
		mark, saved := tx.Mark(), m.m.clone()
		for range rapid.IntRange(1, 3).Draw(t, "steps") {
			m.step(t, tx)
		}
		if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
			tx.RollbackTo(mark)
			m.m = saved
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "rollback") == 0 {
		tx.Rollback()
		m.m = before
		return
	}
	tx.Commit()
	m.m.commit()
}

// step does one mutation in a namespace of the call.
func (m *machine) step(t *rapid.T, call *Tx) {
	handle := m.handle(t)
	if op := rapid.IntRange(0, 19).Draw(t, "registry"); op < 2 && handle >= "a" {
		m.createOrDrop(t, call, handle, op == 0)
		return
	}
	tx, ok := call.In(m.m.ref(handle))
	if exists := m.m.spaces[handle] != nil || handle < "a"; ok != exists {
		t.Fatalf("namespace %s: found %v, want %v", handle, ok, exists)
	}
	if !ok {
		return
	}
	key := drawKey(t)
	item, alive := m.m.spaces[handle].alive(string(key), m.m.time)
	if got, ok := tx.Lookup(key); ok != alive || ok && string(got.Value()) != item.value {
		t.Fatalf("key %s in a call: found %v, want %v", key, ok, alive)
	}
	switch op := rapid.IntRange(0, 20).Draw(t, "op"); {
	case op < 8:
		value, deadline := drawValue(t), int64(0)
		if rapid.Bool().Draw(t, "expires") {
			deadline = m.m.time + rapid.Int64Range(1, 20).Draw(t, "ttl")
		}
		tx.Set(key, value, deadline)
		m.m.space(handle).set(string(key), string(value), deadline)
	case op < 10:
		m.write(t, tx, handle, string(key), item, alive)
	case op < 12:
		deadline := m.m.time + rapid.Int64Range(0, 20).Draw(t, "ttl")
		if tx.SetDeadline(key, deadline) != alive {
			t.Fatalf("SetDeadline of %s does not find it as %v", key, alive)
		}
		if alive {
			m.m.space(handle).set(string(key), item.value, deadline)
		}
	case op < 17:
		if tx.Delete(key) != alive {
			t.Fatalf("Delete of %s does not find it as %v", key, alive)
		}
		if alive {
			m.m.space(handle).delete(string(key))
		}
	case op < 20:
		m.move(t, call, tx, handle, string(key), item, alive)
	default:
		tx.Clear()
		if space := m.m.spaces[handle]; space != nil && len(space.keys) > 0 {
			for key := range space.keys {
				space.delete(key)
			}
			space.cleared = space.revision + 1
		}
	}
}

// write mirrors Append and SetRange.
func (m *machine) write(t *rapid.T, tx *Tx, handle, key string, item modelItem, alive bool) {
	value := drawValue(t)
	if !alive {
		item = modelItem{}
	}
	if rapid.Bool().Draw(t, "append") {
		item.value += string(value)
		if n := tx.Append([]byte(key), value); n != len(item.value) {
			t.Fatalf("Append returns %d, want %d", n, len(item.value))
		}
	} else {
		offset := rapid.IntRange(0, 1200).Draw(t, "offset")
		whole := make([]byte, max(offset+len(value), len(item.value)))
		copy(whole, item.value)
		copy(whole[offset:], value)
		item.value = string(whole)
		if n := tx.SetRange([]byte(key), offset, value); n != len(whole) {
			t.Fatalf("SetRange returns %d, want %d", n, len(whole))
		}
	}
	m.m.space(handle).set(key, item.value, item.deadline)
}

// move mirrors Rename and Copy.
func (m *machine) move(t *rapid.T, call, tx *Tx, handle, key string, item modelItem, alive bool) {
	to := drawKey(t)
	if rapid.Bool().Draw(t, "rename") {
		if tx.Rename([]byte(key), to) != alive {
			t.Fatalf("Rename of %s does not find it as %v", key, alive)
		}
		if alive && key != string(to) {
			m.m.space(handle).set(string(to), item.value, item.deadline)
			m.m.space(handle).delete(key)
		}
		return
	}
	dstHandle := m.handle(t)
	dst, ok := call.In(m.m.ref(dstHandle))
	if !ok {
		return
	}
	if tx.Copy([]byte(key), dst, to) != alive {
		t.Fatalf("Copy of %s does not find it as %v", key, alive)
	}
	if alive && (handle != dstHandle || key != string(to)) {
		m.m.space(dstHandle).set(string(to), item.value, item.deadline)
	}
}

func (m *machine) createOrDrop(t *rapid.T, tx *Tx, handle string, create bool) {
	space := m.m.spaces[handle]
	if create {
		info, err := tx.CreateNamespace(tenant, handle)
		if err != nil || info.ID != m.m.space(handle).id {
			t.Fatalf("CreateNamespace returns %v, %v", info, err)
		}
		return
	}
	err := tx.DropNamespace(m.m.ref(handle).ID)
	if (err == nil) != (space != nil) {
		t.Fatalf("DropNamespace returns %v", err)
	}
	delete(m.m.spaces, handle)
}

// fill writes enough keys in one call for buckets to split and tree nodes too.
func (m *machine) fill(t *rapid.T) {
	handle, tag := m.handle(t), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "tag")
	tx, err := m.s.Begin(m.m.time, 0).Tx(tenant, m.m.ref(handle))
	if err == nil {
		for i := range 100 {
			key := fmt.Sprintf("%s%02d", tag, i)
			tx.Set([]byte(key), []byte(tag), m.m.time+int64(i))
			m.m.space(handle).set(key, tag, m.m.time+int64(i))
		}
		tx.Commit()
		m.m.commit()
	}
	m.s.batch.End()
}

func (m *machine) reap(t *rapid.T) {
	b := m.s.Begin(m.m.time, 0)
	limit := rapid.SampledFrom([]int{1, 3, 10, 200}).Draw(t, "limit")
	if got, want := b.Reap(limit), m.m.reap(limit); got != want {
		t.Fatalf("reaped %d, want %d", got, want)
	}
	b.End()
}

func (m *machine) tick(t *rapid.T) {
	m.m.time += rapid.Int64Range(1, 10).Draw(t, "time")
	m.s.Begin(m.m.time, 0).End()
}

// stepSnapshot starts one of two snapshots, or walks it on, and compares it when it is complete.
func (m *machine) stepSnapshot(t *rapid.T) {
	w := &m.walks[rapid.IntRange(0, 1).Draw(t, "which")]
	if w.snapshot == nil {
		p := m.s.Snapshot()
		p.itemsMax = rapid.IntRange(1, 8).Draw(t, "items")
		*w = walked{p, &dumpSink{}, m.m.dump(), m.s.Digest(), NewDigester(p.Header())}
		return
	}
	for range rapid.IntRange(1, 4).Draw(t, "pieces") {
		done, err := w.snapshot.Next(w)
		if err != nil {
			t.Fatal(err)
		}
		if done {
			w.end()
			if got := w.got.String(); got != w.want {
				t.Fatalf("snapshot is\n%s\nwant\n%s", got, w.want)
			}
			if w.digester.Sum() != w.wantDigest {
				t.Fatal("the digest of the snapshot is not that of the state it was taken of")
			}
			return
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "give up") == 0 {
		w.end()
	}
}

func (w *walked) end() {
	if w.snapshot != nil {
		w.snapshot.Close()
		w.snapshot = nil
	}
}

func (m *machine) endSnapshots() {
	for i := range m.walks {
		m.walks[i].end()
	}
}

// reload replaces the state by one rebuilt from its snapshot.
func (m *machine) reload(t *rapid.T) {
	m.endSnapshots()
	p := m.s.Snapshot()
	loader, err := NewLoader(p.Header())
	for done := false; !done && err == nil; {
		done, err = p.Next(loader)
	}
	p.Close()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if m.s.Digest() != loaded.Digest() {
		t.Fatal("digest differs after a reload")
	}
	if rapid.Bool().Draw(t, "end replay") {
		loaded.EndReplay()
	}
	m.s = loaded
}

func (m *machine) replay(t *rapid.T) {
	m.endSnapshots()
	if m.s.replaying {
		m.s.EndReplay()
		return
	}
	m.s.BeginReplay()
}

// watch remembers a key, and asks whether the remembered ones have changed.
func (m *machine) watch(t *rapid.T) {
	for _, w := range m.watches {
		space := m.m.spaces[w.handle]
		if w.id != 0 && (space == nil || space.id != w.id) {
			continue
		}
		m.read(t, w.handle, 0, func(v *View) {
			want := space.changedSince(w.key, w.revision, w.alive, m.m.time)
			if got := v.ChangedSince([]byte(w.key), w.revision, w.alive); got != want {
				t.Fatalf("watch %+v: changed %v, want %v", w, got, want)
			}
		})
	}
	w := watch{handle: m.handle(t), key: string(drawKey(t))}
	space := m.m.spaces[w.handle]
	if space != nil {
		w.id, w.revision = space.id, space.revision
	} else if w.handle >= "a" {
		return
	}
	_, w.alive = space.alive(w.key, m.m.time)
	m.watches = append(m.watches[:min(len(m.watches), 9)], w)
}

// stepScan goes on with a SCAN; compare keeps track of what has stayed.
func (m *machine) stepScan(t *rapid.T) {
	if m.scan == nil {
		handle := m.handle(t)
		space := m.m.spaces[handle]
		if space == nil {
			return
		}
		m.scan = &scanning{handle: handle, id: space.id, stayed: map[string]bool{}, seen: map[string]bool{}}
		for key := range space.keys {
			m.scan.stayed[key] = true
		}
		m.dropUnstayed()
	}
	m.read(t, m.scan.handle, 0, func(v *View) {
		m.scan.cursor = v.Scan(m.scan.cursor, 3, func(key []byte, it Item) { m.scan.seen[string(key)] = true })
	})
	if m.scan.cursor >= 1<<52 {
		t.Fatalf("cursor %x is larger than 52 bits", m.scan.cursor)
	}
	if m.scan.cursor != 0 {
		return
	}
	for key := range m.scan.stayed {
		if !m.scan.seen[key] {
			t.Fatalf("scan missed %s", key)
		}
	}
	m.scan = nil
}

func (m *machine) dropUnstayed() {
	if m.scan == nil {
		return
	}
	space := m.m.spaces[m.scan.handle]
	if space == nil || space.id != m.scan.id {
		m.scan = nil
		return
	}
	for key := range m.scan.stayed {
		if _, ok := space.alive(key, m.m.time); !ok {
			delete(m.scan.stayed, key)
		}
	}
}

func (m *machine) read(t *rapid.T, handle string, clock int64, fn func(v *View)) (tick int64) {
	tick, err := m.s.Read(tenant, m.m.ref(handle), clock, fn)
	if err != nil {
		t.Fatal(err)
	}
	return tick
}

// compare checks the state itself, and all that can be read against the model.
func (m *machine) compare(t *rapid.T) {
	if err := m.s.Check(); err != nil {
		t.Fatal(err)
	}
	m.dropUnstayed()
	for _, handle := range handles {
		space := m.m.spaces[handle]
		if space == nil && handle >= "a" {
			continue
		}
		clock := m.m.time + rapid.Int64Range(0, 4).Draw(t, "clock")
		want, wantTick := m.wantDump(space, clock)
		var got, scanned []string
		tick := m.read(t, handle, clock, func(v *View) {
			v.Ascend(nil, 1000, func(key []byte, it Item) bool {
				got = append(got, fmt.Sprintf("%s=%s,%d", key, abridge(string(it.Value())), it.Deadline()))
				return true
			})
			if end := v.Scan(0, 1000, func(key []byte, _ Item) { scanned = append(scanned, string(key)) }); end != 0 {
				t.Fatalf("scan of all ends at %x", end)
			}
			if key, ok := v.Random(rapid.Uint64().Draw(t, "random")); ok != (len(want) > 0) ||
				ok && !slices.Contains(scanned, string(key)) {
				t.Fatalf("random key %q, %v", key, ok)
			}
		})
		if !slices.Equal(got, want) {
			t.Fatalf("namespace %s holds\n%s\nwant\n%s", handle, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(scanned) != len(want) || tick != wantTick {
			t.Fatalf("scanned %d keys, want %d; tick %d, want %d", len(scanned), len(want), tick, wantTick)
		}
	}
}

func (m *machine) wantDump(space *modelSpace, clock int64) (want []string, tick int64) {
	if space == nil {
		return nil, 0
	}
	for key := range space.keys {
		it, ok := space.alive(key, m.m.time)
		if !ok {
			continue
		}
		want = append(want, fmt.Sprintf("%s=%s,%d", key, abridge(it.value), it.deadline))
		if it.deadline != 0 && it.deadline <= clock {
			tick = max(tick, it.deadline)
		}
	}
	slices.Sort(want)
	return want, tick
}
