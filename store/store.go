package store

import (
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
)

// Limits bound what the store takes.
type Limits struct {
	// Deadline is how long a call may take before its outcome is given up. It must be below the
	// timeouts of clients that send again by themselves: go-redis waits 3 s, Jedis 2 s.
	Deadline time.Duration
	// MemoryBytesMax is how large the state may grow, as the engine counts it; 0 is no limit. It goes into
	// every entry that this node makes, so that all nodes refuse the same calls.
	MemoryBytesMax int64
	// EntryBytesMax bounds an entry of several calls, and a packet of them to the leader; a larger call goes alone.
	// More than 256 KiB is taken for that.
	EntryBytesMax int
	// CheckpointBytesMin is how much log must have been applied since the last checkpoint before a
	// new one is made; the size of the last one counts if it is larger.
	CheckpointBytesMin int64
	// DigestInterval is how often, while it leads and the state changes, this node has all nodes hash their
	// states and compare; 0 is never.
	DigestInterval time.Duration
	// CatchUpBytesPerSecond is how fast a checkpoint is fetched from another node; 0 is no limit.
	CatchUpBytesPerSecond int64
}

// DefaultLimits are the limits of a node that was told nothing else.
func DefaultLimits() Limits {
	return Limits{
		Deadline: 1800 * time.Millisecond, EntryBytesMax: entryBytesMax, CheckpointBytesMin: 512 << 20,
		DigestInterval: 10 * time.Minute, CatchUpBytesPerSecond: stream.DefaultBytesPerSecond,
	}
}

// Options say what a store is made of.
type Options struct {
	Group   raft.GroupID
	Dir     string // of checkpoints
	Node    uint64 // this node's id, for origins
	Process uint64 // this process' number, for origins
	Clock   clock.Clock
	Logger  *slog.Logger
	Limits  Limits
	Courier Courier // to the other nodes; nil: there are none
	// Bulk carries pieces of checkpoints to the other nodes, of 1 MiB; nil: there are none. What it
	// takes may be lost, and come in any order.
	Bulk Courier
	// Mark is the newest checkpoint that the log goes on from, as the log says.
	Mark Mark
	// Registry is the language; nil means a new one.
	Registry *command.Registry
	// Seed makes the seeds of entries; 0 means at random.
	Seed uint64
	// Committed, if given, is told how long writes of this node took from when they were put on their way to the log
	// until they were applied; once for many that were together. It must be quick.
	Committed func(took time.Duration)
	// Fatal ends the process: the store cannot go on without contradicting what it has said.
	Fatal func(error)
}

// Mark names a checkpoint.
type Mark struct {
	Index raft.Index
	Term  raft.Term
}

// Store carries calls out, as command.Executor, and applies the log, as raft.StateMachine.
type Store struct {
	node, process uint64
	source        clock.Clock
	clock         *logClock
	logger        *slog.Logger
	limits        Limits
	registry      *command.Registry
	exec          *command.Spec
	fatal         func(error)
	committed     func(took time.Duration) // nil: nobody wants to know
	courier       Courier
	group         *raft.Group // set once by Join, before anything is carried out

	memory   atomic.Pointer[engine.State] // the apply worker's; replaced when a checkpoint is installed
	batcher  *batcher
	waiters  *waiters
	ticks    ticks
	diskFull atomic.Bool
	failed   atomic.Bool // an entry could not be applied: the state has a hole from there on
	digests  *digests
	// quarantined says why this node's state must not be trusted; nil: nothing is known against it.
	quarantined atomic.Pointer[string]
	calls       atomic.Uint64
	runs        sync.Pool // of *run
	timers      sync.Pool // of clock.Timer, stopped

	// Owned by the apply worker.
	applied   position
	opened    opened
	scratch   command.Reply
	answered  []waiter // applied, their connections not woken yet
	curtain   curtain
	replaying bool
	replayed  chan struct{} // closed when the replay is over: before that nothing may be read

	bulk            Courier
	streaming       sync.Once // makes streamed
	streamed        *stream.Stream
	arrivals        arrivals
	fetching        atomic.Bool  // a checkpoint is on its way here
	fetchAt         atomic.Int64 // boot clock, ns, before which none is fetched
	checkpoints     checkpoints
	sinceCheckpoint atomic.Int64 // bytes of log applied that no checkpoint holds, complete or being written
}

// position is how far the log has been applied.
type position struct {
	Term      raft.Term
	Index     raft.Index
	ConfState []byte
	Charter   raft.Charter
	// Seen is the highest raft term that the replica knew which has made the checkpoint that this is the position
	// of. What is in it may have been committed in that term, and is hidden until that or a later one is served.
	Seen raft.Term
}

// entryOverhead is what an entry costs in the log beside its bytes, roughly.
const entryOverhead = 64

// newStore makes a store around a state that is at the given position.
func newStore(o Options, state *engine.State, at position) *Store {
	registry := o.Registry
	if registry == nil {
		registry = command.NewRegistry()
	}
	s := &Store{
		node: o.Node, process: o.Process,
		source: o.Clock, clock: newLogClock(o.Clock), logger: o.Logger, limits: o.Limits,
		registry: registry, exec: registry.Lookup([]byte("exec")), fatal: o.Fatal,
		committed: o.Committed,
		waiters:   newWaiters(), applied: at, replaying: true,
		replayed: make(chan struct{}), courier: o.Courier,
	}
	if s.courier == nil {
		s.courier = noCourier{}
	}
	if s.bulk = o.Bulk; s.bulk == nil {
		s.bulk = noCourier{}
	}
	s.memory.Store(state)
	s.clock.raise(state.LogTime())
	s.digests = newDigests(o.Limits.DigestInterval, state.LogTime())
	if o.Courier == nil { // nobody to compare with
		s.digests.interval = 0
	}
	s.batcher = &batcher{store: s, rng: newRand(o.Seed)}
	s.checkpoints = checkpoints{dir: o.Dir, group: o.Group}
	return s
}

func newRand(seed uint64) *mathrand.Rand {
	if seed != 0 {
		return mathrand.New(mathrand.NewPCG(seed, 0))
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	return mathrand.New(mathrand.NewPCG(binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])))
}

// state returns the data. A reader takes it once, after its read point.
func (s *Store) state() *engine.State { return s.memory.Load() }

// Join connects the store with the raft group it is the state machine of.
func (s *Store) Join(g *raft.Group) {
	s.group = g
	s.curtain.raise(max(g.Status().Term, s.applied.Seen), s.applied.Charter.Serving)
	if _, yes := s.Quarantined(); yes {
		s.digests.run(func() { s.standAside(true) })
	}
}

// Proposer returns what the group asks for proposals.
func (s *Store) Proposer() raft.Proposer { return s.batcher }

// Registry returns the language.
func (s *Store) Registry() *command.Registry { return s.registry }

// SetDiskFull says whether writes that grow are to be refused because the disk is nearly full.
func (s *Store) SetDiskFull(full bool) { s.diskFull.Store(full) }

// SetConfState notes an applied configuration. See raft.StateMachine.
func (s *Store) SetConfState(index raft.Index, confState []byte, charter raft.Charter) {
	s.applied.Index, s.applied.ConfState, s.applied.Charter = index, confState, charter
}

// Leading makes log time begin where former leaders have left it. See raft.StateMachine.
func (s *Store) Leading(raft.Term) {
	s.clock.raise(s.state().LogTime())
}

// CaughtUp ends the replay: what the log knew as committed at the start has been applied. See raft.StateMachine.
func (s *Store) CaughtUp() { s.endReplay() }

func (s *Store) endReplay() {
	if s.replaying {
		s.replaying = false
		s.state().EndReplay()
		close(s.replayed)
	}
}

// afterApply tells those who wait for log time, and begins a checkpoint when one is due.
func (s *Store) afterApply() {
	now := s.state().LogTime()
	s.ticks.reach(now)
	s.batcher.ticked(now)
	s.checkpointIfDue()
}
