package engine

import (
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// State is the replicated state of one raft group. One goroutine, the applier, changes it; any number
// of others read it through Read and the published figures.
type State struct {
	// Observer, if set, is called at each commit for each change, in order, on the apply goroutine and
	// with the namespace locked. It must not call back into the State. Set it before the first batch.
	Observer func(Change)

	hashKey [16]byte

	logTime  atomic.Int64 // ms; never goes back
	earliest atomic.Int64 // earliest deadline of all namespaces, 0: none
	keys     atomic.Int64
	bytes    atomic.Int64
	registry atomic.Pointer[registry] // what readers see

	// mu lets a reader of the registry hold all published figures still. The applier takes it last, to
	// publish; a reader that holds it waits for nothing else.
	mu sync.RWMutex

	views     sync.Pool
	snapshots atomic.Int32 // that are open

	// Of the applier alone.
	working   *registry
	nextID    uint64                    // ids below were given; never given twice
	deadlines *btree.BTreeG[*namespace] // by (queued, id)
	replaying bool
	batch     Batch
}

// New returns an empty state. All nodes of a group need the same hash key, because SCAN shows the order
// of the hashes; it is secret to clients, so that they cannot make keys collide.
func New(hashKey [16]byte) *State {
	s := &State{hashKey: hashKey, working: newRegistry(), nextID: 1}
	s.deadlines = btree.NewBTreeGOptions(func(a, b *namespace) bool {
		if a.queued != b.queued {
			return a.queued < b.queued
		}
		return a.id < b.id
	}, btree.Options{NoLocks: true})
	s.registry.Store(s.working.copy())
	s.views.New = func() any { return new(View) }
	s.batch.state = s
	return s
}

// LogTime returns the applied log time in ms.
func (s *State) LogTime() int64 { return s.logTime.Load() }

// EarliestDeadline returns the earliest deadline of any key that is not yet reaped, in ms of log time.
func (s *State) EarliestDeadline() (deadline int64, ok bool) {
	deadline = s.earliest.Load()
	return deadline, deadline != 0
}

// Totals returns the number of keys, with expired ones, and the bytes of their keys and values.
func (s *State) Totals() (keys, bytes int64) { return s.keys.Load(), s.bytes.Load() }

// Memory returns what the state is counted to hold in memory: keys and values, and a fixed cost for each key
// and each namespace.
func (s *State) Memory() int64 {
	namespaces := int64(s.registry.Load().byID.Len())
	return s.bytes.Load() + s.keys.Load()*keyOverhead + namespaces*namespaceOverhead
}

// NamespaceCount returns how many namespaces there are, numbered databases that were written to included.
func (s *State) NamespaceCount() int { return s.registry.Load().byID.Len() }

// Namespaces calls fn for every namespace, by id, until it returns false.
func (s *State) Namespaces(fn func(Info) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.registry.Load().byID.Scan(func(_ uint64, ns *namespace) bool { return fn(ns.info(false)) })
}

// Read gives fn a View of one namespace at one instant. The clock (ms) is the time that the caller
// answers for: its own if it leads, the leader's log time if it follows, 0 for a stale read.
//
// If tick is not 0, fn met a key whose deadline has passed by the clock, though not by the log: what fn
// read must be discarded, an entry with log time >= tick committed, and the read done again. Otherwise the
// key could come back after a failover.
//
// A numbered database that was never written reads as empty. fn runs under a lock: it must be short, or
// leave the lock now and then (View.Unlocked), and keep nothing of the View but keys, copies and values of
// immutable items.
func (s *State) Read(credential string, ref Ref, clock int64, fn func(v *View)) (tick int64, err error) {
	ns, err := s.registry.Load().find(credential, ref)
	if err != nil {
		return 0, err
	}
	lock := &s.mu
	if ns != nil {
		lock = &ns.mu
	}
	lock.RLock()
	defer lock.RUnlock()
	if ns != nil && ns.dropped {
		return 0, ErrNoNamespace
	}
	v := s.views.Get().(*View)
	*v = View{state: s, ns: ns, credential: credential, clock: clock, lock: lock}
	v.look()
	fn(v)
	tick = v.behind
	*v = View{}
	s.views.Put(v)
	return tick, nil
}

// BeginReplay says that many calls follow which hardly ever need key order: the trees for it are dropped
// and not kept until EndReplay. No reader and no snapshot may be active. A State from a Loader is in replay.
func (s *State) BeginReplay() {
	s.replaying = true
	s.working.byID.Scan(func(_ uint64, ns *namespace) bool {
		ns.keys.order = nil
		return true
	})
}

// EndReplay builds the trees in key order.
func (s *State) EndReplay() {
	s.replaying = false
	s.keepOrder()
}

// keepOrder makes sure that every namespace keeps its tree in key order.
func (s *State) keepOrder() {
	s.working.byID.Scan(func(_ uint64, ns *namespace) bool {
		ns.mu.Lock()
		ns.keys.ordered(true)
		ns.mu.Unlock()
		return true
	})
}
