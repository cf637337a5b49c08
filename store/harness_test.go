package store

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

const testGroup raft.GroupID = 1

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// node is a store on the real raft host and log, on a memory file system and a fake clock. Nothing
// runs by itself: a test gives the actors their turns. It lives in a synctest bubble, so that after
// synctest.Wait every client has got as far as it can.
type node struct {
	t       testing.TB
	clock   *clock.Fake
	fs      *vfs.Mem
	dir     string // of checkpoints
	limits  Limits
	tails   raft.Limits
	process uint64

	id     raft.ReplicaID
	voters []raft.ReplicaID
	wire   *wire // to the others; nil: there are none
	trace  *trace
	lazy   bool // its log says that it has synced and has not: a planted fault

	log   *wal.Log
	host  *raft.Host
	group *raft.Group
	store *Store
	fatal error
}

func newNode(t testing.TB) *node {
	n := &node{t: t, clock: clock.NewFake(epoch), dir: t.TempDir(), limits: DefaultLimits()}
	n.open()
	return n
}

// open starts the node's process on what its disk holds.
func (n *node) open() {
	n.t.Helper()
	n.openOn(n.clock, 64<<10)
}

func (n *node) openOn(c clock.Clock, segmentBytes int64) {
	n.t.Helper()
	if n.fs == nil {
		n.fs = vfs.NewMem(1)
	}
	if n.id == 0 {
		n.id, n.voters = 1, []raft.ReplicaID{1}
	}
	n.process++
	n.trace.watch(n)
	logger := slog.New(slog.DiscardHandler)
	fatal := func(err error) { n.fatal = err }
	l, recovery, err := wal.Open(wal.Options{
		FS: n.fs, Dir: "wal", SegmentBytes: segmentBytes, Inline: true, Random: rand.NewChaCha8([32]byte{1}),
	})
	n.must(err)
	var founding raft.Seed
	if len(n.voters) > 0 { // nobody's: it joins
		founding, err = raft.Founding(n.voters...)
		n.must(err)
	}
	mark := recovery.Groups[testGroup].Snapshot
	n.store, err = Open(Options{
		Group: testGroup, Dir: n.dir, Node: uint64(n.id), Process: n.process, Clock: c, Logger: logger,
		Limits: n.limits, Seed: 1, Fatal: fatal, Courier: n.courier(), Bulk: n.bulk(),
		Mark: Mark{raft.Index(mark.Index), raft.Term(mark.Term)},
	}, founding, [16]byte{7})
	n.must(err)
	term, index, conf := n.store.Position()
	found, known := recovery.Groups[testGroup]
	hard := found.HardState
	if !known && len(n.voters) > 0 { // as server begins a log
		hard, err = raft.Bootstrap(n.trace.log(n, l), testGroup, founding)
		n.must(err)
	}
	n.host, err = raft.NewHost(raft.HostConfig{
		Log: n.trace.log(n, l), Clock: c, Logger: logger, Process: n.process, Fatal: fatal, Transport: n.transport(),
	})
	n.must(err)
	n.group, err = n.host.AddGroup(raft.GroupConfig{
		ID: testGroup, Replica: n.id, Applied: index, AppliedTerm: term, ConfState: conf, HardState: hard,
		Charter: n.store.Charter(), StateMachine: n.store, Proposer: n.store.Proposer(),
		Source: n.store, Fetcher: n.store, Limits: n.tails,
	})
	n.must(err)
	n.store.Join(n.group)
	n.log = l
	n.trace.opened(n, hard)
}

// stop ends the process in order.
func (n *node) stop() {
	n.t.Helper()
	n.host.Stop()
	n.must(n.store.Close(context.Background()))
	n.must(n.log.Close())
}

// crash loses power and starts again.
func (n *node) crash() {
	n.t.Helper()
	n.kill()
	n.fs = n.fs.Crash()
	n.open()
}

// kill ends the process without a checkpoint.
func (n *node) kill() {
	n.host.Stop()
	n.store.checkpoints.cancel()
	n.store.checkpoints.working.Wait()
	n.store.digests.stop()
}

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// settle gives turns until nobody has anything to do.
func (n *node) settle() {
	for worked := true; worked; {
		worked = false
		for _, a := range n.host.Actors() {
			worked = a.Turn() || worked
		}
		synctest.Wait()
	}
}

// turn gives one actor one turn: the writer, the loop or the apply worker.
func (n *node) turn(actor int) { n.host.Actors()[actor].Turn() }

const (
	theWriter = iota
	theLoop
	theApplier
)

// advance moves the clock in small steps and lets everybody act in between.
func (n *node) advance(d time.Duration) {
	for step := 5 * time.Millisecond; d > 0; d -= step {
		n.clock.Advance(min(d, step))
		synctest.Wait()
		n.settle()
	}
}

// session is a client's connection, as a front door keeps it.
type session struct {
	node *node
	*command.Session
}

func (n *node) session() *session {
	return &session{n, command.NewSession(1, testHost{n, auth.Off()}, "peer", "local")}
}

// pending is a submission on its way.
type pendingDo struct {
	calls  []command.Call
	reply  *command.Reply
	ended  bool
	cancel context.CancelFunc
}

// calls makes calls of command lines; words are split at blanks.
func calls(lines ...string) []command.Call {
	made := make([]command.Call, len(lines))
	for i, line := range lines {
		for _, word := range strings.Fields(line) {
			made[i].Args = append(made[i].Args, []byte(word))
		}
	}
	return made
}

// start submits calls as a front door does, without waiting for the answers.
func (s *session) start(lines ...string) *pendingDo { return s.startCalls(calls(lines...)) }

func (s *session) startCalls(calls []command.Call) *pendingDo {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pendingDo{calls: calls, reply: command.NewReply(2, nil), cancel: cancel}
	store := s.node.store
	go func() {
		for done := 0; done < len(calls); {
			part := command.NewReply(s.Proto, nil)
			done += store.Do(ctx, s.Session, calls[done:], part)
			p.reply.Raw(part.Bytes())
		}
		s.node.trace.answered(s.node, p.reply.Bytes())
		cancel()
		p.ended = true
	}()
	synctest.Wait()
	return p
}

// answers returns the answers in RESP with the line breaks replaced, once all are there.
func (p *pendingDo) answers(t testing.TB) string {
	t.Helper()
	synctest.Wait()
	if !p.ended {
		t.Fatal("not answered")
	}
	return strings.ReplaceAll(string(p.reply.Bytes()), "\r\n", " ")
}

// do submits calls, lets the node settle and returns the answers.
func (s *session) do(lines ...string) string {
	s.node.t.Helper()
	p := s.start(lines...)
	s.node.settle()
	return p.answers(s.node.t)
}

// testHost is what sessions see of the node.
type testHost struct {
	node *node
	auth.Authenticator
}

func (h testHost) Now() time.Time { return h.node.store.source.Now() }

func (h testHost) FindNamespace(ctx context.Context, name string) (engine.Info, *command.Error) {
	return h.node.store.FindNamespace(ctx, name)
}

func (h testHost) Watch(credential string, ref engine.Ref, key []byte) (command.Watch, *command.Error) {
	return h.node.store.Watch(credential, ref, key)
}

func (h testHost) Node() command.Node { return nil }

func expect(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
