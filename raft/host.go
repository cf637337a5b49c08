package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/clock"
)

// HostConfig is what a Host is made of. Log, Clock, Logger and Fatal are required.
type HostConfig struct {
	Log    Log
	Clock  clock.Clock
	Logger *slog.Logger
	// Fatal is called once, with the error of the log that ends the host. Nothing is delivered
	// after it, and it should end the process.
	Fatal func(error)
	// Transport is nil for a single node.
	Transport Transport
	// Process is the number of this start of the process; no two starts share one. It keeps
	// answers to questions of a former process apart.
	Process uint64
	// Synced, if given, is told how long each sync of the log took. It must be quick.
	Synced func(took time.Duration)
	// Tick is the unit of raft's logical clock; 50 ms if 0. Heartbeats are sent every
	// HeartbeatTicks (2), and elections start after ElectionTicks (10) to twice that.
	Tick           time.Duration
	HeartbeatTicks int
	ElectionTicks  int
	// SlowDisk is how long an append may take before a leader gives its leadership to a voter that is up to
	// date, if there is one; the election timeout if 0.
	SlowDisk time.Duration
	// Shards is the number of loops the groups are spread over; 1 if 0.
	Shards int
}

// Host runs the raft groups of one process.
type Host struct {
	log       Log
	clock     clock.Clock
	logger    *slog.Logger
	fatal     func(error)
	transport Transport
	process   uint64
	synced    func(time.Duration)

	tick                          time.Duration
	heartbeatTicks, electionTicks int
	readRetryTicks, slowDiskTicks int

	writer *writer
	shards []*shard

	dead atomic.Bool   // the log has failed
	stop chan struct{} // closed by Stop

	running sync.WaitGroup

	mu       sync.Mutex
	started  bool               // guarded by mu
	ended    bool               // Stop was called; guarded by mu
	groups   map[GroupID]*Group // guarded by mu
	appliers []Actor            // guarded by mu
}

// NewHost makes a host without groups.
func NewHost(c HostConfig) (*Host, error) {
	if c.Log == nil || c.Clock == nil || c.Logger == nil || c.Fatal == nil {
		return nil, errors.New("raft: a host needs a log, a clock, a logger and Fatal")
	}
	if c.Transport == nil {
		c.Transport = noTransport{}
	}
	setDefault(&c.Tick, 50*time.Millisecond)
	setDefault(&c.HeartbeatTicks, 2)
	setDefault(&c.ElectionTicks, 10)
	setDefault(&c.Shards, 1)
	setDefault(&c.SlowDisk, time.Duration(c.ElectionTicks)*c.Tick)
	if c.HeartbeatTicks < 0 || c.ElectionTicks <= c.HeartbeatTicks || c.Tick < 0 || c.Shards < 0 {
		return nil, errors.New("raft: the election timeout must exceed the heartbeat interval")
	}
	h := &Host{
		log:            c.Log,
		clock:          c.Clock,
		logger:         c.Logger,
		fatal:          c.Fatal,
		transport:      c.Transport,
		process:        c.Process,
		synced:         c.Synced,
		tick:           c.Tick,
		slowDiskTicks:  max(1, int(c.SlowDisk/c.Tick)),
		heartbeatTicks: c.HeartbeatTicks,
		electionTicks:  c.ElectionTicks,
		readRetryTicks: max(1, c.ElectionTicks/2),
		stop:           make(chan struct{}),
		groups:         make(map[GroupID]*Group),
	}
	h.writer = &writer{host: h, signal: newSignal()}
	for range c.Shards {
		h.shards = append(h.shards, newShard(h))
	}
	return h, nil
}

func setDefault[T int | time.Duration](p *T, value T) {
	if *p == 0 {
		*p = value
	}
}

// AddGroup brings a replica up from the log and the state that was loaded for it. It checks
// that they belong together; ErrGroupState tells that they do not.
func (h *Host) AddGroup(c GroupConfig) (*Group, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.failed() {
		return nil, ErrStopped
	}
	if h.groups[c.ID] != nil {
		return nil, fmt.Errorf("%w: %d", ErrGroupExists, c.ID)
	}
	g, err := h.newGroup(&c)
	if err != nil {
		return nil, err
	}
	h.groups[c.ID] = g
	h.appliers = append(h.appliers, g.applier)
	if h.started {
		h.start(g.applier)
	}
	g.shard.add(g)
	return g, nil
}

func (h *Host) newGroup(c *GroupConfig) (*Group, error) {
	s, err := openStorage(h.log, c)
	if err != nil {
		return nil, err
	}
	g := &Group{
		host:         h,
		shard:        h.shards[uint64(c.ID)%uint64(len(h.shards))],
		id:           c.ID,
		replica:      c.Replica,
		limits:       c.Limits,
		stateMachine: c.StateMachine,
		proposer:     c.Proposer,
		fetcher:      c.Fetcher,
		handedOut:    c.Applied,
		storage:      s,
		conf:         s.conf,
		appliedIndex: c.Applied,
		charter:      c.Charter,
		campaign:     true,
		replayEnd:    Index(s.hard.GetCommit()),
	}
	g.hard.Term, g.hard.Vote, g.hard.Commit = s.hard.GetTerm(), s.hard.GetVote(), s.hard.GetCommit()
	g.inbox.bytesMax = c.Limits.InboxBytesMax
	g.applied.Store(uint64(c.Applied))
	g.stepped.Store(uint64(c.Applied))
	g.written.Store(c.HardState.Commit)
	g.applier = &applier{group: g, signal: newSignal(), charter: c.Charter}
	s.want = g.applier.wantCheckpoint
	g.node, err = etcdraft.NewRawNode(h.libraryConfig(g))
	if err != nil {
		return nil, err
	}
	shown := c.Charter // a copy: the group's own is written to
	g.shownCharter.Store(&shown)
	g.shownPeers.Store(new([]Peer))
	g.publish()
	return g, nil
}

func (h *Host) libraryConfig(g *Group) *etcdraft.Config {
	return &etcdraft.Config{
		ID:                        uint64(g.replica),
		ElectionTick:              h.electionTicks,
		HeartbeatTick:             h.heartbeatTicks,
		Storage:                   g.storage,
		Applied:                   uint64(g.appliedIndex),
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             uint64(g.limits.MessageBytesMax),
		MaxCommittedSizePerReady:  uint64(g.limits.ApplyBytesMax),
		MaxUncommittedEntriesSize: uint64(g.limits.UncommittedBytesMax),
		MaxInflightMsgs:           g.limits.MessagesInflightMax,
		MaxInflightBytes:          uint64(g.limits.BytesInflightMax),
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            etcdraft.ReadOnlySafe,
		Logger:                    libraryLogger{g.logger()},
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
	}
}

// Start runs the host's actors, each in a goroutine of its own, until Stop.
func (h *Host) Start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.ended {
		return
	}
	h.started = true
	for _, a := range h.actors() {
		h.start(a)
	}
}

func (h *Host) start(a Actor) {
	h.running.Add(1)
	go h.run(a)
}

// Actors returns the actors for a caller that drives them itself and never calls Start. A group
// added later adds one.
func (h *Host) Actors() []Actor {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actors()
}

func (h *Host) actors() []Actor {
	actors := []Actor{h.writer}
	for _, s := range h.shards {
		actors = append(actors, s)
	}
	return append(actors, h.appliers...)
}

// Stop ends the actors and waits for them. What still waits for a group is resolved with
// ErrStopped. Nothing is called back afterwards.
func (h *Host) Stop() {
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		return
	}
	h.ended = true
	close(h.stop)
	h.mu.Unlock()
	h.running.Wait()
	for _, g := range h.groups {
		g.shutdown()
	}
}

func (h *Host) stopped() bool {
	select {
	case <-h.stop:
		return true
	default:
		return false
	}
}

// Stalled reports whether records wait because there is no space for the log.
func (h *Host) Stalled() bool { return h.writer.stalled.Load() }

func (h *Host) failed() bool { return h.dead.Load() }

// fail ends the host's work after an error of the log: what has not been delivered by now may
// not be durable and never is.
func (h *Host) fail(err error) {
	if h.dead.Swap(true) {
		return
	}
	h.mu.Lock()
	for _, g := range h.groups {
		g.revoke()
	}
	h.mu.Unlock()
	h.logger.Error("raft ends: the log has failed", slog.Any("error", err))
	h.fatal(err)
}

// Receive takes a message for a group from the authenticated replica peer. It never blocks. An
// error means that no correct peer sends such a message.
func (h *Host) Receive(group GroupID, peer ReplicaID, m *pb.Message) error {
	h.mu.Lock()
	g := h.groups[group]
	h.mu.Unlock()
	if g == nil {
		return fmt.Errorf("%w: group %d is not here", errMessageRefused, group)
	}
	return g.receive(peer, m)
}
