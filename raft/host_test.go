package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a lone voter on a running host with the system clock.
type running struct {
	host    *Host
	group   *Group
	machine *machine
	source  *source
	log     *memLog
	applied chan uint64
}

func startRunning(t testing.TB) *running {
	t.Helper()
	n := newNode(t).found(1)
	r := &running{machine: n.machine, source: &source{}, log: n.log, applied: make(chan uint64, 1<<16)}
	r.machine.onApply = func(id uint64) { r.applied <- id }
	var err error
	r.host, err = NewHost(HostConfig{
		Log: r.log, Clock: clock.System, Logger: quiet(), Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.host.Start()
	r.group, err = r.host.AddGroup(GroupConfig{
		ID: testGroup, Replica: 1, Applied: 1, AppliedTerm: 1, ConfState: n.machine.conf,
		HardState: n.log.hard(testGroup), StateMachine: r.machine, Proposer: r.source,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHostRunsAndStops(t *testing.T) {
	r := startRunning(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.group.Read(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.group.ProposeConfChange(ctx, Change{AddLearner, 2}); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for c := range uint64(8) {
		clients.Go(func() {
			for i := range uint64(200) {
				r.source.add(c<<32|i, 32)
				r.group.Notify()
				if i%50 == 0 {
					if err := r.group.Read(ctx); err != nil {
						t.Error(err)
					}
					r.group.TryRead()
					r.group.Status()
				}
			}
		})
	}
	for range 8 * 200 {
		<-r.applied
	}
	clients.Wait()
	if err := r.group.Compact(r.group.Status().Applied); err != nil {
		t.Fatal(err)
	}
	last := make(map[uint64]uint64)
	for _, id := range r.machine.ids {
		if seen, ok := last[id>>32]; ok && id <= seen {
			t.Fatalf("payload %x after %x", id, seen)
		}
		last[id>>32] = id
	}
	r.host.Stop()
	r.host.Stop()
	if r.group.TryRead() {
		t.Fatal("readable after Stop")
	}
	r.group.Notify()
	if err := r.group.Read(ctx); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	late := GroupConfig{ID: 8, Replica: 1, StateMachine: r.machine, Proposer: r.source}
	if _, err := r.host.AddGroup(late); !errors.Is(err, ErrStopped) {
		t.Fatal("a group was added to a stopped host")
	}
}

func TestReadWithoutLeader(t *testing.T) {
	n := newNode(t).found(1, 2, 3).start()
	n.host.Start()
	defer n.host.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.group.Read(ctx); !errors.Is(err, ErrNoLeader) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestStopResolvesWhatWaits(t *testing.T) {
	n := newNode(t).found(1, 2, 3).start()
	n.settle()
	read, change := n.group.StartRead(), n.group.StartConfChange(Change{AddLearner, 4})
	n.host.Stop()
	if !errors.Is(read.Err(), ErrStopped) || !errors.Is(change.Err(), ErrStopped) {
		t.Fatalf("%v, %v", read.Err(), change.Err())
	}
}

func TestTwoGroupsShareOneSync(t *testing.T) {
	n := newNode(t).found(1).start()
	other := &machine{t: t, applied: 1, term: 1, conf: n.machine.conf}
	source2 := &source{}
	hard, err := Bootstrap(n.log, 8, Seed{Index: 1, Term: 1, ConfState: other.conf})
	if err != nil {
		t.Fatal(err)
	}
	config := GroupConfig{
		ID: 8, Replica: 1, Applied: 1, AppliedTerm: 1, ConfState: other.conf,
		HardState: hard, StateMachine: other, Proposer: source2,
	}
	g, err := n.host.AddGroup(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.host.AddGroup(config); !errors.Is(err, ErrGroupExists) {
		t.Fatal(err)
	}
	n.settle()
	syncs := n.log.syncs
	n.propose(1)
	source2.add(2, 16)
	g.Notify()
	n.settle()
	wantIDs(t, n.machine, 1)
	wantIDs(t, other, 2)
	if got := n.log.syncs - syncs; got != 1 {
		t.Fatalf("%d syncs for two groups", got)
	}
}

func TestHostConfigIsChecked(t *testing.T) {
	good := HostConfig{Log: newMemLog(), Clock: clock.System, Logger: quiet(), Fatal: func(error) {}}
	for name, change := range map[string]func(c *HostConfig){
		"log":     func(c *HostConfig) { c.Log = nil },
		"clock":   func(c *HostConfig) { c.Clock = nil },
		"fatal":   func(c *HostConfig) { c.Fatal = nil },
		"timeout": func(c *HostConfig) { c.ElectionTicks, c.HeartbeatTicks = 2, 2 },
	} {
		c := good
		change(&c)
		if _, err := NewHost(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	h, err := NewHost(good)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.AddGroup(GroupConfig{
		ID: 1, Replica: 1, StateMachine: &machine{}, Proposer: &source{}, Limits: Limits{BytesInflightMax: 1},
	})
	if err == nil {
		t.Error("limits: accepted")
	}
}

// BenchmarkPropose measures entries through the whole path of a running lone voter: with a log
// that writes nothing, what the loop, the writer and the worker cost; with the real log, on a
// file system in memory.
func BenchmarkPropose(b *testing.B) {
	for _, size := range []int{64, 16 << 10} {
		b.Run(fmt.Sprintf("log=none/bytes=%d", size), func(b *testing.B) {
			n := newNode(b).found(1)
			n.log.discard = true
			s := &flood{payload: payload(1, size), batch: 16}
			runBenchmark(b, n.log, n.machine.conf, n.log.hard(testGroup), s)
		})
		b.Run(fmt.Sprintf("log=wal/bytes=%d", size), func(b *testing.B) {
			n := newDiskNodeOf(b, 1, 64<<20)
			b.Cleanup(func() { n.disk.log.Close() })
			s := &flood{payload: payload(1, size), batch: 16, compact: true}
			runBenchmark(b, n.disk.log, n.machine.conf, n.disk.hard, s)
		})
	}
}

// flood is a proposer that always has something, and a state machine that counts.
type flood struct {
	payload []byte
	batch   int
	left    int
	seen    int
	compact bool
	since   int    // entries since the last compaction
	group   *Group // set before the first proposal
	ready   chan struct{}
	done    chan struct{}
	out     [][]byte
}

func (f *flood) Take(Term, int) [][]byte {
	f.out = f.out[:0]
	for len(f.out) < min(f.batch, f.left) {
		f.out = append(f.out, f.payload)
	}
	f.left -= len(f.out)
	return f.out
}

func (f *flood) Dropped(Term, [][]byte)                     { panic("dropped") }
func (f *flood) WakeAt() (time.Duration, bool)              { return 0, false }
func (f *flood) Forward(Term, ReplicaID) bool               { return false }
func (f *flood) Stamp() int64                               { return 0 }
func (f *flood) SetConfState(Index, []byte, Charter)        {}
func (f *flood) Leading(Term)                               {}
func (f *flood) Install(Term, *Checkpoint) (Charter, error) { panic("install") }
func (f *flood) CaughtUp()                                  {}

func (f *flood) SetCharter(Term, Entry, Charter) { close(f.ready) }

func (f *flood) Apply(_ Term, entries []Entry) {
	if f.seen <= 0 {
		return
	}
	f.since += len(entries)
	if f.compact && f.since > 1<<12 {
		f.since = 0
		if err := f.group.Compact(entries[0].Index - 1); err != nil {
			panic(err)
		}
	}
	if f.seen -= len(entries); f.seen == 0 {
		close(f.done)
	}
}

func runBenchmark(b *testing.B, log Log, conf []byte, hard wal.HardState, f *flood) {
	b.Helper()
	h, err := NewHost(HostConfig{
		Log: log, Clock: clock.System, Logger: quiet(), Fatal: func(err error) { b.Error(err) },
	})
	if err != nil {
		b.Fatal(err)
	}
	f.ready, f.done = make(chan struct{}), make(chan struct{})
	g, err := h.AddGroup(GroupConfig{
		ID: testGroup, Replica: 1, Applied: 1, AppliedTerm: 1, ConfState: conf,
		HardState: hard, StateMachine: f, Proposer: f,
	})
	if err != nil {
		b.Fatal(err)
	}
	h.Start()
	defer h.Stop()
	<-f.ready
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := g.Read(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	f.left, f.seen, f.group = b.N, b.N, g
	g.Notify()
	<-f.done
}

// BenchmarkTryRead measures the check that every read on the leader begins with.
func BenchmarkTryRead(b *testing.B) {
	n := newNode(b).found(1).start()
	n.settle()
	b.ReportAllocs()
	for b.Loop() {
		if !n.group.TryRead() {
			b.Fatal("not readable")
		}
	}
}
