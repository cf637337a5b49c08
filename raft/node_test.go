package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/internal/clock"
)

const testGroup GroupID = 7

// machine is the trivial state machine: the list of what was applied. It checks what it is
// promised.
type machine struct {
	t       testing.TB
	mu      sync.Mutex
	applied Index
	term    Term
	conf    []byte
	charter Charter
	tag     Term     // the highest of a batch
	ids     []uint64 // payloads in order
	tags    []Term
	leading []Term
	confs   []Index

	caughtUp, installed int

	onApply func(id uint64)
	vault   *vault
}

func (m *machine) Apply(tag Term, entries []Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(entries) == 0 {
		m.t.Errorf("empty batch")
	}
	for _, e := range entries {
		m.pass(e.Index, e.Term)
		if tag < e.Term {
			m.t.Errorf("entry %d of term %d has tag %d", e.Index, e.Term, tag)
		}
		if len(e.Data) == 0 {
			continue
		}
		id := payloadID(e.Data)
		m.ids = append(m.ids, id)
		if m.onApply != nil {
			m.onApply(id)
		}
	}
	m.tags = append(m.tags, tag)
	m.tag = max(m.tag, tag)
}

func (m *machine) SetCharter(tag Term, at Entry, c Charter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass(at.Index, at.Term)
	m.charter = c
	m.tag = max(m.tag, tag)
}

func (m *machine) pass(index Index, term Term) {
	if index != m.applied+1 || term < m.term {
		m.t.Errorf("entry (%d, %d) applied after (%d, %d)", index, term, m.applied, m.term)
	}
	m.applied, m.term = index, term
}

func (m *machine) SetConfState(index Index, confState []byte, c Charter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pass(index, m.term)
	m.conf, m.charter = confState, c
	m.confs = append(m.confs, index)
}

func (m *machine) Leading(term Term) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if term != m.term || slices.Contains(m.leading, term) {
		m.t.Errorf("leading term %d said at term %d, after %v", term, m.term, m.leading)
	}
	m.leading = append(m.leading, term)
}

func (m *machine) Install(tag Term, c *Checkpoint) (Charter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.vault.fetched[c.Index]
	switch {
	case from == nil || from.term != c.Term:
		return Charter{}, errors.New("nothing was fetched")
	case from.applied <= m.applied:
		m.t.Errorf("checkpoint %d installed after %d", from.applied, m.applied)
	}
	m.tag = max(m.tag, tag)
	m.applied, m.term, m.conf, m.charter = from.applied, from.term, from.conf, from.charter
	m.ids = slices.Clone(from.ids)
	m.installed++
	m.vault.newest = from
	return m.charter, nil
}

func (m *machine) CaughtUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.caughtUp++
}

// clone is a checkpoint of the machine.
func (m *machine) clone() *machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &machine{
		t: m.t, applied: m.applied, term: m.term, conf: m.conf, charter: m.charter, vault: m.vault,
		ids: slices.Clone(m.ids), leading: slices.Clone(m.leading),
	}
}

func (m *machine) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ids)
}

// source is a proposer with a queue.
type source struct {
	mu      sync.Mutex
	queue   [][]byte
	taken   int
	dropped [][]byte
	wake    time.Duration
	wakeSet bool
	terms   []Term
	onTake  func(Term)

	forwarded    []forwardedTo
	forwardAgain bool
	stamp        int64
}

func payload(id uint64, size int) []byte {
	p := make([]byte, max(9, size))
	p[0] = 1
	binary.LittleEndian.PutUint64(p[1:], id)
	return p
}

func payloadID(p []byte) uint64 { return binary.LittleEndian.Uint64(p[1:]) }

func (s *source) add(id uint64, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, payload(id, size))
}

func (s *source) Take(term Term, bytesMax int) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terms = append(s.terms, term)
	if s.onTake != nil {
		s.onTake(term)
	}
	n, bytes := 0, 0
	for n < len(s.queue) && (n == 0 || bytes+len(s.queue[n]) <= bytesMax) {
		bytes += len(s.queue[n])
		n++
	}
	taken := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.taken += n
	return taken
}

func (s *source) Dropped(_ Term, payloads [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = append(s.dropped, payloads...)
}

func (s *source) WakeAt() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wake, s.wakeSet
}

func (s *source) Forward(term Term, leader ReplicaID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forwarded = append(s.forwarded, forwardedTo{term, leader})
	return s.forwardAgain
}

func (s *source) Stamp() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stamp
}

// forwardedTo is a call of Forward.
type forwardedTo struct {
	term   Term
	leader ReplicaID
}

// sendFunc is a transport that shows each message to a function.
type sendFunc func(m *pb.Message)

func (f sendFunc) Send(_ GroupID, messages []*pb.Message) {
	for _, m := range messages {
		f(m)
	}
}

// node is one host with one group, driven by Turn.
type node struct {
	t       testing.TB
	clock   *clock.Fake
	log     *memLog
	disk    *disk // instead of log, if set
	host    *Host
	group   *Group
	machine *machine
	source  *source
	net     Transport
	replica ReplicaID
	limits  Limits
	fatal   error
	process uint64
	onTake  func(Term)
	vault   *vault // nil: no checkpoints
	founded *machine
}

func newNode(t testing.TB) *node {
	return &node{
		t:       t,
		clock:   clock.NewFake(time.Unix(1_700_000_000, 0)),
		log:     newMemLog(),
		replica: 1,
	}
}

// found makes the node a founder of the group.
func (n *node) found(voters ...ReplicaID) *node {
	n.t.Helper()
	seed, err := Founding(voters...)
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := Bootstrap(n.log, testGroup, seed); err != nil {
		n.t.Fatal(err)
	}
	n.machine = &machine{t: n.t, applied: seed.Index, term: seed.Term, conf: seed.ConfState}
	n.founded = n.machine.clone()
	return n
}

// start brings the node up from its log and machine.
func (n *node) start() *node {
	n.t.Helper()
	if err := n.tryStart(); err != nil {
		n.t.Fatal(err)
	}
	return n
}

func (n *node) tryStart() error {
	var err error
	n.process++
	n.source = &source{onTake: n.onTake}
	log, hard := Log(n.log), n.log.hard(testGroup)
	if n.disk != nil {
		log, hard = n.disk.log, n.disk.hard
	}
	n.host, err = NewHost(HostConfig{
		Log:       log,
		Clock:     n.clock,
		Logger:    quiet(),
		Fatal:     func(err error) { n.fatal = err },
		Transport: n.net,
		Process:   n.process,
	})
	if err != nil {
		return err
	}
	config := GroupConfig{
		ID:           testGroup,
		Replica:      n.replica,
		Applied:      n.machine.applied,
		AppliedTerm:  n.machine.term,
		ConfState:    n.machine.conf,
		Charter:      n.machine.charter,
		HardState:    hard,
		StateMachine: n.machine,
		Proposer:     n.source,
		Limits:       n.limits,
	}
	if n.vault != nil {
		config.Source, config.Fetcher = n.vault, n.vault
		n.machine.vault = n.vault
	}
	n.group, err = n.host.AddGroup(config)
	return err
}

// restart brings the node up again after a crash that left kept unsynced records, with the
// state of an earlier checkpoint.
func (n *node) restart(kept int, checkpoint *machine) *node {
	n.t.Helper()
	n.host.Stop()
	n.log = n.log.crash(kept)
	n.machine = checkpoint
	return n.start()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// step gives every actor one turn.
func (n *node) step() bool {
	worked := false
	for _, a := range n.host.Actors() {
		worked = a.Turn() || worked
	}
	return worked
}

// settle gives turns until nothing is left to do.
func (n *node) settle() {
	n.t.Helper()
	for range 10_000 {
		if !n.step() {
			return
		}
	}
	n.t.Fatal("the actors do not come to rest")
}

// pass lets time pass in ticks.
func (n *node) pass(d time.Duration) {
	n.t.Helper()
	for ; d > 0; d -= 10 * time.Millisecond {
		n.clock.Advance(10 * time.Millisecond)
		n.settle()
	}
}

func (n *node) propose(ids ...uint64) {
	for _, id := range ids {
		n.source.add(id, 16)
	}
	n.group.Notify()
}

func (n *node) turn(a Actor, times int) {
	for range times {
		a.Turn()
	}
}

func done(p *Pending) bool {
	select {
	case <-p.Done():
		return true
	default:
		return false
	}
}

func confOf(t testing.TB, data []byte) *pb.ConfState {
	t.Helper()
	cs := new(pb.ConfState)
	if err := proto.Unmarshal(data, cs); err != nil {
		t.Fatal(err)
	}
	return cs
}

func newRand(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

func wantIDs(t testing.TB, m *machine, want ...uint64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.ids, want) {
		t.Fatalf("applied %s, want %s", short(m.ids), short(want))
	}
}

func short(ids []uint64) string {
	if len(ids) > 20 {
		return fmt.Sprintf("%v... (%d)", ids[:20], len(ids))
	}
	return fmt.Sprint(ids)
}
