package engine

// Batch applies calls in the order of the log. A namespace is locked from the first call on it to Yield
// or End, so that readers meet at one lock per batch and not one per call.
type Batch struct {
	state   *State
	time    int64
	seed    uint64
	active  bool
	locked  []*namespace
	calls   []*Tx // handles of the current call are calls[:open]; the rest is kept for later ones
	open    int
	changes []change // undo log of the current call
	arena   []byte   // old bytes of values overwritten in place; change.value points here
	// memoryMax is what LimitMemory set.
	memoryMax int64
	listed    bool // the current call has changed the registry
}

// Bounds of what is kept from one call for the next.
const (
	arenaBytesKept = 1 << 20
	changesKept    = 1 << 12
)

// Begin starts a batch at a log time in ms, which is raised to that of the state if it lies before it.
// The seed is where random choices of its calls come from. There is one batch at a time.
func (s *State) Begin(logTime int64, seed uint64) *Batch {
	b := &s.batch
	if b.active {
		panic("engine: a batch is still active")
	}
	b.active, b.seed, b.memoryMax = true, seed, 0
	b.time = max(logTime, s.logTime.Load())
	s.logTime.Store(b.time)
	return b
}

// LimitMemory sets the memory, counted as Memory counts it, from which on MayGrow says no; 0 is no limit.
func (b *Batch) LimitMemory(bytesMax int64) { b.memoryMax = bytesMax }

// memory is Memory as of this moment of the batch.
func (b *Batch) memory() int64 {
	s := b.state
	memory := s.bytes.Load() + s.keys.Load()*keyOverhead + int64(s.working.byID.Len())*namespaceOverhead
	for _, ns := range b.locked {
		keys, bytes := ns.size()
		memory += bytes - ns.published.bytes.Load() + (keys-ns.published.keys.Load())*keyOverhead
	}
	return memory
}

// Tx starts one atomic call. It must end with Commit or Rollback before the next one starts. A numbered
// database that does not exist springs into being when something is written.
func (b *Batch) Tx(credential string, ref Ref) (*Tx, error) {
	if !b.active || b.open > 0 {
		panic("engine: no active batch, or a call is still open")
	}
	if credential == "" || len(credential) > CredentialBytesMax {
		return nil, ErrCredential
	}
	return b.handle(credential, ref)
}

// handle returns the current call's Tx for a namespace.
func (b *Batch) handle(credential string, ref Ref) (*Tx, error) {
	ns, err := b.state.working.find(credential, ref)
	if err != nil {
		return nil, err
	}
	for _, t := range b.calls[:b.open] {
		if t.ref == ref || ns != nil && t.ns == ns {
			t.ns = ns
			return t, nil
		}
	}
	if ns != nil {
		b.lock(ns)
	}
	if b.open == len(b.calls) {
		b.calls = append(b.calls, new(Tx))
	}
	t := b.calls[b.open]
	b.open++
	*t = Tx{batch: b, ref: ref, View: View{
		state: b.state, registry: b.state.working, ns: ns, credential: credential,
		time: b.time, clock: b.time, writing: true,
	}}
	return t, nil
}

func (b *Batch) lock(ns *namespace) {
	if !ns.held {
		ns.mu.Lock()
		ns.held = true
		b.locked = append(b.locked, ns)
	}
}

// Reap removes at most limit expired keys, those with the earliest deadlines first, and returns how many.
// It is the same on every node. To each namespace it is one atomic change.
func (b *Batch) Reap(limit int) int {
	if !b.active || b.open > 0 {
		panic("engine: no active batch, or a call is still open")
	}
	for _, ns := range b.locked {
		b.state.enqueue(ns)
	}
	reaped := 0
	for reaped < limit {
		ns, ok := b.state.deadlines.Min()
		if !ok || ns.queued > b.time {
			break
		}
		t, err := b.handle(ns.credential, Ref{ID: ns.id})
		if err != nil {
			panic("engine: a queued namespace is not in the registry")
		}
		for reaped < limit {
			it := ns.keys.expiry.min()
			if it == nil || !it.expired(b.time) {
				break
			}
			t.mutate(ns.keys.index.hash(it.key()), it, nil, splice{})
			reaped++
		}
		b.commit(OpExpire)
		b.state.enqueue(ns)
	}
	return reaped
}

// enqueue puts the namespace where its earliest deadline belongs.
func (s *State) enqueue(ns *namespace) {
	deadline := int64(0)
	if !ns.dropped {
		deadline = ns.keys.earliest()
	}
	if deadline == ns.queued {
		return
	}
	if ns.queued != 0 {
		s.deadlines.Delete(ns)
	}
	ns.queued = deadline
	if deadline != 0 {
		s.deadlines.Set(ns)
	}
}

// Yield lets readers in between two calls. The batch goes on.
func (b *Batch) Yield() {
	if b.open > 0 {
		panic("engine: a call is still open")
	}
	b.publish()
	for _, ns := range b.locked {
		ns.held = false
		ns.mu.Unlock()
	}
	clear(b.locked)
	b.locked = b.locked[:0]
}

// End ends the batch: all locks are released, and the figures of the state published.
func (b *Batch) End() {
	b.Yield()
	b.active = false
}

// publish shows readers the counters while the changed namespaces are still locked.
func (b *Batch) publish() {
	s := b.state
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ns := range b.locked {
		s.enqueue(ns)
		s.publish(ns)
	}
	earliest := int64(0)
	if ns, ok := s.deadlines.Min(); ok {
		earliest = ns.queued
	}
	s.earliest.Store(earliest)
}

// list shows readers the namespaces that there are now. It does not wait for the end of the batch: a call may
// be answered once it is committed, and whoever reads after that must not miss a namespace that it made. A
// new one is still locked, so that nothing of the batch is seen before its time.
func (b *Batch) list() {
	s := b.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registry.Store(s.working.copy())
}

func (s *State) publish(ns *namespace) {
	keys, bytes := ns.size()
	s.keys.Add(keys - ns.published.keys.Swap(keys))
	s.bytes.Add(bytes - ns.published.bytes.Swap(bytes))
	ns.published.expires.Store(int64(ns.keys.expiry.count))
	ns.published.revision.Store(ns.revision)
}
