package engine

import (
	"bytes"
	"math/bits"
	"sync"
)

// View is one namespace at one instant, or at several if it is Unlocked between them. It is valid only inside
// the function that got it. It sees no expired keys.
type View struct {
	state      *State
	registry   *registry
	ns         *namespace // nil: nothing was ever written, reads as empty
	credential string
	time       int64 // log time: deadlines up to it have passed
	clock      int64 // time the answer is for, >= time
	behind     int64 // latest deadline met with time < deadline <= clock
	writing    bool  // part of a Tx: on the apply goroutine, with the lock held for writing

	lock *sync.RWMutex // of a Read, which holds it for reading; nil in a Tx
	held bool          // Hold was called
}

// Time returns the current time in ms for answers such as TTL. In a Tx it is the entry's log time.
func (v *View) Time() int64 { return v.clock }

// keys returns nil if there is nothing to see.
func (v *View) keys() *keyspace {
	if v.ns == nil || v.ns.dropped {
		return nil
	}
	return v.ns.keys
}

// Unlocked runs fn with the lock released, so that writers get through a long read. Afterwards the View shows a
// later instant, and nothing more of a namespace that was dropped meanwhile. fn must not use the View; keys that
// it got before stay valid. If the View is Atomic, fn runs under the lock.
func (v *View) Unlocked(fn func()) {
	if v.Atomic() {
		fn()
		return
	}
	v.lock.RUnlock()
	defer v.relock() // if fn panics too: Read releases it once more
	fn()
}

func (v *View) relock() {
	v.lock.RLock()
	v.look()
}

// look makes the View show the present instant. The lock is held.
func (v *View) look() {
	v.registry = v.state.registry.Load()
	v.time = v.state.logTime.Load()
	v.clock = max(v.clock, v.time)
}

// Hold makes the View stay at one instant to the end.
func (v *View) Hold() { v.held = true }

// Atomic reports whether the View stays at one instant: in a Tx, or after Hold. All others wait for its end.
func (v *View) Atomic() bool { return v.writing || v.held }

// alive tells whether the item is to be seen, and notes a deadline that only the clock has passed.
func (v *View) alive(it *item) bool {
	if it.deadline == 0 {
		return true
	}
	if it.deadline <= v.time {
		return false
	}
	if it.deadline <= v.clock {
		v.behind = max(v.behind, it.deadline)
	}
	return true
}

// Lookup returns the item of a key.
func (v *View) Lookup(key []byte) (Item, bool) {
	keys := v.keys()
	if keys == nil {
		return Item{}, false
	}
	it := keys.index.find(keys.index.hash(key), key)
	if it == nil || !v.alive(it) {
		return Item{}, false
	}
	return Item{it}, true
}

// Len returns the number of keys, with those that are expired but not yet reaped.
func (v *View) Len() int {
	if keys := v.keys(); keys != nil {
		return keys.len()
	}
	return 0
}

// Revision returns the number of atomic calls that have changed the namespace.
func (v *View) Revision() uint64 {
	if v.ns == nil {
		return 0
	}
	return v.ns.revision
}

// cursorShift keeps cursors to 52 bits: clients that hold them in a float64 lose larger ones.
const cursorShift = 12

// Scan calls fn for keys in the order of their hashes, from the cursor on; 0 starts. It looks at about
// count items, at least one, and returns the cursor for the next call, 0 at the end. A key that exists from
// the first call to the last is seen at least once, whatever changes meanwhile. The bytes of keys stay valid
// and never change. fn must change nothing.
func (v *View) Scan(cursor uint64, count int, fn func(key []byte, it Item)) (next uint64) {
	keys := v.keys()
	if keys == nil {
		return 0
	}
	looked, last := 0, uint64(0)
	keys.index.walk(cursor<<cursorShift, func(hash uint64, it *item) bool {
		// Keys that a cursor cannot tell apart come together.
		if looked >= max(count, 1) && hash>>cursorShift != last {
			next = hash >> cursorShift
			return false
		}
		looked, last = looked+1, hash>>cursorShift
		if v.alive(it) {
			fn(it.key(), Item{it})
		}
		return true
	})
	return next
}

// Ascend calls fn for the keys >= from in byte order until it returns false. It looks at no more than count
// items and returns the first key that it has not come to, from which to go on, or nil if the end was reached
// or fn returned false. The bytes of keys stay valid and never change. fn must change nothing.
func (v *View) Ascend(from []byte, count int, fn func(key []byte, it Item) bool) (next []byte) {
	keys := v.keys()
	if keys == nil {
		return nil
	}
	visit := func(it *item) bool {
		if count--; count < 0 {
			next = it.key()
			return false
		}
		if !v.alive(it) || bytes.Compare(it.key(), from) < 0 {
			return true
		}
		return fn(it.key(), Item{it})
	}
	var pivot *item
	if len(from) > 0 {
		pivot = newItem(from[:min(len(from), KeyBytesMax)], 0, 0)
	}
	keys.ordered(v.writing).ascend(pivot, visit)
	return next
}

// randomChoice is the number of keys among which Random chooses. The gaps between hashes differ, so the
// first key after a random point would be far from fair; among 16 the odds differ by a quarter or so.
const randomChoice = 16

// Random returns a key chosen by n, the same on every node that has the same keys.
func (v *View) Random(n uint64) (key []byte, ok bool) {
	keys := v.keys()
	if keys == nil {
		return nil, false
	}
	var found [randomChoice]*item
	count := 0
	collect := func(_ uint64, it *item) bool {
		if v.alive(it) {
			found[count] = it
			count++
		}
		return count < randomChoice
	}
	keys.index.walk(n, collect)
	if count < randomChoice {
		keys.index.walk(0, func(hash uint64, it *item) bool { return hash < n && collect(hash, it) })
	}
	if count == 0 {
		return nil, false
	}
	chosen, _ := bits.Mul64(mix(n), uint64(count))
	return found[chosen].key(), true
}

// mix spreads a number over 64 bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// ChangedSince tells whether a key may have changed since it was watched: at the revision of the
// namespace then, when it was alive or not. It is never wrong when it says no. A key that was alive and has
// expired has changed.
func (v *View) ChangedSince(key []byte, revision uint64, alive bool) bool {
	keys := v.keys()
	if keys == nil {
		return alive || v.ns != nil
	}
	hash := keys.index.hash(key)
	it := keys.index.find(hash, key)
	switch {
	case it == nil:
		return alive || v.ns.deletions.since(hash, revision)
	case it.revision > revision:
		return true
	}
	return alive && it.expired(v.time)
}

// Namespaces calls fn for the namespaces of a credential, numbered databases first, then by name, until
// it returns false. Counters agree with each other in a Tx and in a View of NoNamespace; in a View of one
// namespace those of others may be newer.
func (v *View) Namespaces(credential string, fn func(Info) bool) {
	v.registry.ofCredential(credential, func(ns *namespace) bool { return fn(ns.info(v.writing)) })
}

// NamespaceByName finds a named namespace of any credential.
func (v *View) NamespaceByName(name string) (Info, bool) {
	ns, ok := v.registry.byName.Get(name)
	if !ok {
		return Info{}, false
	}
	return ns.info(v.writing), true
}
