package engine

import "bytes"

// Tx is one atomic call on one namespace, valid until Commit or Rollback. Its reads see its own writes.
// Mutations of a namespace that the same call has dropped do nothing.
type Tx struct {
	View
	batch *Batch
	ref   Ref
}

// Mark is a point in a call to which RollbackTo can return.
type Mark int

// mutate is the one place where an item changes: old becomes next. Either may be nil; if both are the
// same item, s is written into it. What watches changes hangs on this place: undo, revision, expiry,
// accounting, pre-images for the snapshot and, at commit, WATCH and the Observer.
func (t *Tx) mutate(hash uint64, old, next *item, s splice) {
	ns := t.ns
	if old != nil {
		for _, capture := range ns.captures {
			capture.keep(old)
		}
	}
	c := change{op: OpSet, ns: ns, hash: hash, old: old, next: next}
	if old == next {
		c.header, c.value = *old, t.batch.save(old, s)
		ns.keys.rewrite(old, s)
	} else {
		ns.keys.replace(hash, old, next)
	}
	if next == nil {
		c.op = OpDelete
	} else {
		next.revision = ns.revision + 1
	}
	t.batch.changes = append(t.batch.changes, c)
}

// save returns what undoing s needs of the old value.
func (b *Batch) save(old *item, s splice) []byte {
	if old.form == heapForm {
		return old.value()
	}
	if s.offset >= old.valueLen() {
		return nil
	}
	start := len(b.arena)
	b.arena = append(b.arena, old.value()...)
	return b.arena[start:]
}

// find returns the item of a key, expired or not, and whether it is alive.
func (t *Tx) find(key []byte) (hash uint64, it *item, alive bool) {
	keys := t.keys()
	if keys == nil {
		return 0, nil, false
	}
	hash = keys.index.hash(key)
	it = keys.index.find(hash, key)
	return hash, it, it != nil && !it.expired(t.time)
}

// writable brings a numbered database into being. It returns false if the namespace was dropped.
func (t *Tx) writable() bool {
	if t.ns == nil {
		if t.ref == NoNamespace {
			panic("engine: mutation in a call without a namespace")
		}
		ns, _ := t.state.working.find(t.credential, t.ref)
		if ns == nil {
			ns = t.batch.create(t.credential, numberNames[t.ref.Number], t.ref.Number)
		}
		t.ns = ns
	}
	return !t.ns.dropped
}

// put writes s to a key, in place if it fits.
func (t *Tx) put(key []byte, s splice) {
	if len(key) > KeyBytesMax || s.length > ValueBytesMax {
		panic("engine: key or value is too long")
	}
	if !t.writable() {
		return
	}
	hash, old, _ := t.find(key)
	if old == nil {
		hash = t.ns.keys.index.hash(key)
	}
	s.deadline = max(s.deadline, 0)
	if old != nil && old.kind == String && old.fits(s.length) {
		t.mutate(hash, old, old, s)
		return
	}
	t.mutate(hash, old, spliced(key, old, s), s)
}

// Set gives the key a string value and a deadline in ms of log time, 0 for none. It replaces a value of
// any type.
func (t *Tx) Set(key, value []byte, deadline int64) {
	t.put(key, splice{data: value, length: len(value), deadline: deadline})
}

// Append writes behind the string of the key, which keeps its deadline, and returns the new length. A
// missing key counts as empty.
func (t *Tx) Append(key, value []byte) int {
	_, old, alive := t.find(key)
	if !alive {
		t.Set(key, value, 0)
		return len(value)
	}
	length := old.valueLen() + len(value)
	t.put(key, splice{offset: old.valueLen(), data: value, length: length, deadline: old.deadline})
	return length
}

// SetRange writes into the string of the key from the offset on, which must not be negative, and returns
// the new length. Zeros fill a gap; the deadline stays; a missing key counts as empty.
func (t *Tx) SetRange(key []byte, offset int, value []byte) int {
	_, old, alive := t.find(key)
	length := offset + len(value)
	if !alive {
		whole := make([]byte, length)
		copy(whole[offset:], value)
		t.Set(key, whole, 0)
		return length
	}
	length = max(length, old.valueLen())
	t.put(key, splice{offset: offset, data: value, length: length, deadline: old.deadline})
	return length
}

// SetDeadline changes when the key expires, 0 for never. It returns false if the key is missing.
func (t *Tx) SetDeadline(key []byte, deadline int64) bool {
	hash, it, alive := t.find(key)
	if alive {
		n := it.valueLen()
		t.mutate(hash, it, it, splice{offset: n, length: n, deadline: max(deadline, 0)})
	}
	return alive
}

// Delete removes the key. It returns false if the key was missing. An expired key is left to Reap.
func (t *Tx) Delete(key []byte) bool {
	hash, it, alive := t.find(key)
	if alive {
		t.mutate(hash, it, nil, splice{})
	}
	return alive
}

// Rename moves the value and the deadline of src to dst, whose old value is lost. It returns false if
// src is missing.
func (t *Tx) Rename(src, dst []byte) bool {
	if !t.Copy(src, t, dst) {
		return false
	}
	return bytes.Equal(src, dst) || t.Delete(src)
}

// Copy gives dstKey, in the namespace of dst, the value and the deadline of src. It returns false if src
// is missing. dst is a Tx of the same call.
func (t *Tx) Copy(src []byte, dst *Tx, dstKey []byte) bool {
	_, it, alive := t.find(src)
	if !alive {
		return false
	}
	if len(dstKey) > KeyBytesMax {
		panic("engine: key is too long")
	}
	if t.ns == dst.ns && bytes.Equal(src, dstKey) || !dst.writable() {
		return true
	}
	hash := dst.ns.keys.index.hash(dstKey)
	dst.mutate(hash, dst.ns.keys.index.find(hash, dstKey), it.clone(dstKey), splice{})
	return true
}

// Clear removes all keys, at a cost that does not depend on their number.
func (t *Tx) Clear() {
	if t.Len() == 0 {
		return
	}
	ns := t.ns
	ns.handOver()
	t.batch.changes = append(t.batch.changes, change{op: OpClear, ns: ns, keys: ns.keys})
	ns.keys = newKeyspace(t.state.hashKey, ns.keys.order != nil)
}

// ClearAll removes all keys of all numbered databases of the credential.
func (t *Tx) ClearAll() {
	for number := range int16(NumberedMax) {
		if in, ok := t.In(Ref{Number: number}); ok {
			in.Clear()
		}
	}
}

// In returns the Tx of the same call for another namespace of the credential, false if there is none.
func (t *Tx) In(ref Ref) (*Tx, bool) {
	in, err := t.batch.handle(t.credential, ref)
	return in, err == nil
}

// Seed returns a number to draw random choices from: the same on every node, another one at each use.
func (t *Tx) Seed() uint64 {
	t.batch.seed += 0x9e3779b97f4a7c15
	return mix(t.batch.seed)
}

// Mark returns the present point of the call, over all its namespaces.
func (t *Tx) Mark() Mark { return Mark(len(t.batch.changes)) }

// RollbackTo undoes what the call has changed since the mark, in all its namespaces. The call goes on.
func (t *Tx) RollbackTo(m Mark) { t.batch.rollback(int(m)) }

// Commit makes the call's changes final. The revision of each namespace that has changed grows by one.
// No Tx of the call may be used afterwards.
func (t *Tx) Commit() { t.batch.commit(OpDelete) }

// Rollback undoes all that the call has changed. No Tx of the call may be used afterwards.
func (t *Tx) Rollback() {
	t.batch.rollback(0)
	t.batch.close()
}

// CreateNamespace creates a namespace, empty and owned by the credential. If it exists already with that
// owner, nothing changes. "0" to "15" mean the numbered databases of the credential.
func (t *Tx) CreateNamespace(credential, name string) (Info, error) {
	if credential == "" || len(credential) > CredentialBytesMax {
		return Info{}, ErrCredential
	}
	number, numbered := Numbered(name)
	if numbered {
		ns, _ := t.state.working.find(credential, Ref{Number: number})
		if ns == nil {
			ns = t.batch.create(credential, name, number)
		}
		return ns.info(true), nil
	}
	if !ValidName(name) {
		return Info{}, ErrName
	}
	ns, ok := t.state.working.byName.Get(name)
	if ok && ns.credential != credential {
		return Info{}, ErrNameTaken
	}
	if !ok {
		if t.state.working.countNamed(credential) >= NamespacesMax {
			return Info{}, ErrTooMany
		}
		ns = t.batch.create(credential, name, -1)
	}
	return ns.info(true), nil
}

// MayGrow reports whether a call that makes the state grow may still be carried out.
func (t *Tx) MayGrow() bool { return t.batch.memoryMax == 0 || t.batch.memory() < t.batch.memoryMax }

func (b *Batch) create(credential, name string, number int16) *namespace {
	s := b.state
	ns := &namespace{id: s.nextID, credential: credential, name: name, number: number}
	ns.keys = newKeyspace(s.hashKey, !s.replaying)
	s.nextID++
	b.listed = true
	b.lock(ns)
	s.working.add(ns)
	b.changes = append(b.changes, change{op: OpCreate, ns: ns})
	return ns
}

// DropNamespace removes a named namespace of the Tx's credential and all its keys, at a cost that does
// not depend on their number.
func (t *Tx) DropNamespace(id uint64) error {
	if id == 0 {
		return ErrNoNamespace
	}
	ns, err := t.state.working.find(t.credential, Ref{ID: id})
	if err != nil {
		return err
	}
	if ns.number >= 0 {
		return ErrNumbered
	}
	b := t.batch
	b.lock(ns)
	b.listed = true
	ns.dropped = true
	t.state.working.remove(ns)
	b.changes = append(b.changes, change{op: OpDrop, ns: ns})
	return nil
}
