package raft

import (
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// applier is the actor that applies one group's committed entries. At a configuration change it
// stops until the shard loop has given the change to the library, and goes on with the
// configuration that came of it.
type applier struct {
	group  *Group
	signal signal

	mu        sync.Mutex
	queue     []applyOrder // guarded by mu; bounded by Limits.ApplyBytesMax
	confState []byte       // the loop's answer to a configuration change; guarded by mu
	removed   []ReplicaID  // that the change has removed; guarded by mu
	caughtUp  bool         // to be told to the state machine; guarded by mu
	wanted    Index        // a checkpoint is, at or above this index; 0: none; guarded by mu

	// The fields below belong to Turn.
	order    applyOrder // the batch in work; its entries are those still to apply
	waiting  bool       // order.entries[0] is a configuration change that the loop has
	led      Term       // the last term that StateMachine.Leading was told of
	scratch  []Entry
	ownTerm  bool // the batch in work holds an entry of the term it was handed out in
	lastTerm Term // term of the entry applied last
	bytes    int  // size of the payloads of the batch in work that are applied
	charter  Charter
}

// applyOrder is one MsgStorageApply, or a checkpoint to install.
type applyOrder struct {
	tag      Term // the replica's term in the turn that handed it out
	leads    bool // the replica led that term then
	entries  []*pb.Entry
	response *pb.Message
	install  *Checkpoint // instead of the others but tag
}

func (a *applier) enqueue(o applyOrder) {
	a.mu.Lock()
	a.queue = append(a.queue, o)
	a.mu.Unlock()
	a.signal.set()
}

// confApplied is the loop's answer to a configuration change.
func (a *applier) confApplied(confState []byte, removed []ReplicaID) {
	a.mu.Lock()
	a.confState, a.removed = confState, removed
	a.mu.Unlock()
	a.signal.set()
}

// catchUp has the state machine told that the replay is over.
func (a *applier) catchUp() {
	a.mu.Lock()
	a.caughtUp = true
	a.mu.Unlock()
	a.signal.set()
}

func (a *applier) tellCaughtUp() bool {
	a.mu.Lock()
	told := a.caughtUp
	a.caughtUp = false
	a.mu.Unlock()
	if told {
		a.group.stateMachine.CaughtUp()
	}
	return told
}

// wantCheckpoint has the source asked for a checkpoint at or above an index.
func (a *applier) wantCheckpoint(least Index) {
	a.mu.Lock()
	a.wanted = max(a.wanted, least)
	a.mu.Unlock()
	a.signal.set()
}

// tellWanted asks the source for a checkpoint once it can make it.
func (a *applier) tellWanted() bool {
	a.mu.Lock()
	least := a.wanted
	if least == 0 || uint64(least) > a.group.applied.Load() {
		a.mu.Unlock()
		return false
	}
	a.wanted = 0
	a.mu.Unlock()
	a.group.storage.source.Want(least)
	return true
}

// Turn applies one batch, or the part of it up to the next configuration change.
func (a *applier) Turn() bool {
	if a.group.host.failed() {
		return false
	}
	if a.tellCaughtUp() || a.tellWanted() {
		return true
	}
	if !a.next() {
		return false
	}
	if a.order.install != nil {
		a.install()
		return true
	}
	if a.waiting && !a.finishConfChange() {
		return false
	}
	for len(a.order.entries) > 0 {
		n := payloadPrefix(a.order.entries)
		switch e := a.order.entries[0]; {
		case n > 0:
			a.apply(a.order.entries[:n])
		case isHost(e):
			if err := a.applyHost(e); err != nil {
				a.group.host.fail(err)
				return true
			}
			// Whoever waited for it goes on before the next entry, also in a simulation.
			a.order.entries = a.order.entries[1:]
			return true
		default:
			a.startConfChange()
			return true
		}
		a.order.entries = a.order.entries[n:]
	}
	a.finish()
	return true
}

// next makes sure that there is a batch in work.
func (a *applier) next() bool {
	if a.order.response != nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return false
	}
	a.order = a.queue[0]
	left := copy(a.queue, a.queue[1:])
	a.queue[left] = applyOrder{}
	a.queue = a.queue[:left]
	return true
}

// payloadPrefix counts the entries before the first one that is not for the state machine.
func payloadPrefix(entries []*pb.Entry) int {
	for i, e := range entries {
		if e.GetType() != pb.EntryNormal || isHost(e) {
			return i
		}
	}
	return len(entries)
}

func (a *applier) apply(entries []*pb.Entry) {
	clear(a.scratch)
	a.scratch = a.scratch[:0]
	for _, e := range entries {
		a.bytes += len(e.GetData())
		a.scratch = append(a.scratch, Entry{
			Term:  Term(e.GetTerm()),
			Index: Index(e.GetIndex()),
			Data:  e.GetData(),
		})
	}
	a.group.stateMachine.Apply(a.order.tag, a.scratch)
	a.passed(entries[len(entries)-1])
}

// applyHost applies an entry of the host's own.
func (a *applier) applyHost(e *pb.Entry) error {
	host, err := decodeHostEntry(e.GetData())
	if err != nil {
		return fmt.Errorf("group %d: entry %d: %w", a.group.id, e.GetIndex(), err)
	}
	a.bytes += len(e.GetData())
	at := Entry{Term: Term(e.GetTerm()), Index: Index(e.GetIndex())}
	switch host.kind {
	case hostServe:
		a.charter.Serving, a.charter.Voters = host.term, host.voters
	case hostReads:
		a.charter.Reads = host.reads
	case hostMember:
		a.charter.setMember(host.member)
	default:
		a.scratch = append(a.scratch[:0], at)
		a.group.stateMachine.Apply(a.order.tag, a.scratch)
		a.passed(e)
		return nil
	}
	a.group.stateMachine.SetCharter(a.order.tag, at, a.charter)
	a.passed(e)
	return nil
}

// passed notes that everything up to e is applied.
func (a *applier) passed(e *pb.Entry) {
	a.lastTerm = Term(e.GetTerm())
	a.ownTerm = a.ownTerm || a.lastTerm == a.order.tag
	a.group.applied.Store(e.GetIndex())
}

func (a *applier) startConfChange() {
	a.waiting = true
	e := a.order.entries[0]
	a.group.inbox.put(func(m *mail) { m.conf = e })
	a.group.shard.wake(a.group)
}

// finishConfChange applies the configuration that the loop answered, if it has.
func (a *applier) finishConfChange() bool {
	a.mu.Lock()
	confState, removed := a.confState, a.removed
	a.confState, a.removed = nil, nil
	a.mu.Unlock()
	if confState == nil {
		return false
	}
	a.waiting = false
	e := a.order.entries[0]
	for _, r := range removed {
		a.charter.remove(r)
	}
	a.group.stateMachine.SetConfState(Index(e.GetIndex()), confState, a.charter)
	a.passed(e)
	a.order.entries = a.order.entries[1:]
	return true
}

// install has the state machine replace its state.
func (a *applier) install() {
	c, tag := a.order.install, a.order.tag
	a.order = applyOrder{}
	charter, err := a.group.stateMachine.Install(tag, c)
	if err != nil {
		a.group.host.fail(fmt.Errorf("group %d: checkpoint %d: %w", a.group.id, c.Index, err))
		return
	}
	charter.setDefaults()
	a.charter, a.lastTerm = charter, c.Term
	a.group.applied.Store(uint64(c.Index))
	a.group.inbox.put(func(m *mail) { m.install = &installDone{charter} })
	a.group.shard.wake(a.group)
}

// finish reports the batch as applied.
func (a *applier) finish() {
	if a.order.leads && a.ownTerm && a.led < a.order.tag {
		a.led = a.order.tag
		a.group.stateMachine.Leading(a.led)
	}
	done := applyDone{
		index:    Index(a.group.applied.Load()),
		last:     a.lastTerm,
		bytes:    a.bytes,
		charter:  a.charter,
		response: a.order.response,
	}
	a.order = applyOrder{}
	a.ownTerm, a.bytes = false, 0
	a.group.inbox.put(func(m *mail) { m.applied = append(m.applied, done) })
	a.group.shard.wake(a.group)
}

// WakeAt: the worker has nothing to do by the clock.
func (a *applier) WakeAt() (time.Duration, bool) { return 0, false }

func (a *applier) signalled() <-chan struct{} { return a.signal }
