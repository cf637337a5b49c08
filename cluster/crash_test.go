package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
)

// town is nodes in one bubble, each with a data directory of its own, which find each other by address.
type town struct {
	t     *testing.T
	dir   string
	mu    sync.Mutex
	doors map[string]*door // by address; guarded by mu
}

// door is a listener.
type door struct {
	town   *town
	addr   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() {
		close(d.closed)
		d.town.mu.Lock()
		defer d.town.mu.Unlock()
		if d.town.doors[d.addr] == d {
			delete(d.town.doors, d.addr)
		}
	})
	return nil
}

func (d *door) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (w *town) listen(addr string) *door {
	d := &door{town: w, addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doors[addr] = d
	return d
}

func (w *town) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.mu.Lock()
	d := w.doors[addr]
	w.mu.Unlock()
	if d == nil {
		return nil, errors.New("nobody listens")
	}
	near, far := net.Pipe()
	select {
	case d.conns <- far:
		return near, nil
	case <-d.closed:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// mortal is a node.db whose process dies at one of its calls, before it is done or before anyone hears that it is.
type mortal struct {
	*nodedb.DB
	calls   *int // of this node, over all its processes
	at      int
	done    bool
	died    func()
	history *[]record // what was durable, in order
}

var errDied = errors.New("the process has died")

func (m *mortal) keep(document []byte, fn func() error) error {
	*m.calls++
	dies := *m.calls == m.at
	if dies && !m.done {
		m.died()
		return errDied
	}
	err := fn()
	var r record
	if err := errors.Join(err, json.Unmarshal(document, &r)); err != nil {
		return err
	}
	*m.history = append(*m.history, r)
	if dies {
		m.died()
		return errDied
	}
	return nil
}

func (m *mortal) Keep(name string, document []byte) error {
	return m.keep(document, func() error { return m.DB.Keep(name, document) })
}

func (m *mortal) Enter(cluster uint64, name string, document []byte) error {
	return m.keep(document, func() error { return m.DB.Enter(cluster, name, document) })
}

// citizen is a node of a town, over all its processes.
type citizen struct {
	town    *town
	name    string
	options Options // of the command line
	calls   int
	dieAt   int // at which call of node.db its process dies; 0: never
	done    bool
	deaths  int
	history []record
	first   nodedb.Identity
	last    nodedb.Identity

	node  *Node // while it runs
	place Place
	err   error
}

// start runs a process of the node until it has settled, as often as it dies on the way.
func (c *citizen) start(group func(self raft.ReplicaID) Group) {
	for {
		db, err := nodedb.Open(filepath.Join(c.town.dir, c.name), nodedb.Options{Random: rand.Reader})
		if err != nil {
			c.err = err
			return
		}
		id := db.Identity()
		if c.first == (nodedb.Identity{}) {
			c.first = id
		}
		if id.Node != c.first.Node || id.Incarnation != c.first.Incarnation || id.Process <= c.last.Process {
			c.err = fmt.Errorf("started as %+v after %+v", id, c.last)
		}
		c.last = id
		ctx, die := context.WithCancel(context.Background())
		died := false
		o := c.options
		o.DB = &mortal{
			DB: db, calls: &c.calls, at: c.dieAt, done: c.done, history: &c.history,
			died: func() { died = true; c.deaths++; die() },
		}
		o.Name, o.PeerAddr = c.name, c.name+":1"
		o.Listener, o.Dial, o.Receive = c.town.listen(c.name+":1"), c.town.dial, receiveNothing
		o.Clock, o.Random, o.Logger = clock.System, rand.Reader, slog.New(slog.DiscardHandler)
		o.Secret = []byte("a secret of the town")
		n, err := Open(o)
		if err == nil {
			if group != nil {
				n.mu.Lock()
				n.group = group(raft.ReplicaID(id.Node))
				n.mu.Unlock()
			}
			if c.place, err = n.Settle(ctx); err == nil || !died {
				c.node, c.err = n, errors.Join(c.err, err)
				c.town.t.Cleanup(func() { die(); _ = db.Close() })
				return
			}
			n.Close()
		}
		die()
		if err := db.Close(); err != nil || !died {
			c.err = errors.Join(err, c.err)
			return
		}
	}
}

// inTown runs a test in a bubble and ends all nodes behind it.
func inTown(t *testing.T, test func(w *town)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		test(&town{t: t, dir: dir, doors: map[string]*door{}})
	})
}

// found starts three founders, one of which dies at a call of node.db. It returns them when all have settled.
func (w *town) found(dies, at int, done bool) []*citizen {
	var flags []Founder
	for i := range 3 {
		name := fmt.Sprint("n", i+1)
		flags = append(flags, Founder{name, name + ":1"})
	}
	var all []*citizen
	var settling sync.WaitGroup
	for i := range 3 {
		c := &citizen{town: w, name: flags[i].Name, options: Options{Founders: flags}, done: done}
		if i == dies {
			c.dieAt = at
		}
		all = append(all, c)
		settling.Go(func() { c.start(nil) })
	}
	settling.Wait()
	for range 2 { // who settles last is heard of by those that had to be asked
		time.Sleep(time.Second)
		synctest.Wait()
	}
	for _, c := range all {
		if c.node != nil {
			c.node.Close()
		}
	}
	return all
}

// TestFounderDiesAtEveryStep ends the process of a founder before and after each time that it writes down what it has
// found out, and starts it again. One cluster is founded; nobody's id or list falls back, and no disk in a list is
// replaced by another.
func TestFounderDiesAtEveryStep(t *testing.T) {
	deaths := 0
	for at, more := 1, true; more; at++ {
		more = false
		for _, done := range []bool{false, true} {
			for dies := range 3 {
				inTown(t, func(w *town) {
					all := w.found(dies, at, done)
					for _, c := range all {
						if c.err != nil || c.place.Cluster == 0 || c.place.Cluster != all[0].place.Cluster ||
							string(c.place.Seed.ConfState) != string(all[0].place.Seed.ConfState) {
							t.Fatalf("%s dies at %d: %s has %+v, %v; %s has %+v",
								all[dies].name, at, c.name, c.place, c.err, all[0].name, all[0].place)
						}
						checkHistory(t, c)
					}
					deaths += all[dies].deaths
					more = more || all[dies].deaths > 0
				})
			}
		}
	}
	if deaths < 12 {
		t.Errorf("only %d deaths", deaths)
	}
}

// checkHistory holds what a founder had on its disk, one after the other.
func checkHistory(t *testing.T, c *citizen) {
	t.Helper()
	for i := range c.history[1:] {
		before, after := c.history[i].Founding, c.history[i+1].Founding
		if after.Round < before.Round || before.Sealed {
			t.Fatalf("%s: %+v after %+v", c.name, after, before)
		}
		for _, f := range before.Founders {
			if f.disk != (disk{}) && after.find(f.Name).disk != f.disk {
				t.Fatalf("%s has forgotten %+v", c.name, f)
			}
		}
	}
}

// TestJoinerDiesAtEveryStep does the same to a node that joins: it is taken in once, under its id, and is a member
// wherever it died. Its leader does not hear of it again when it knows that it is.
func TestJoinerDiesAtEveryStep(t *testing.T) {
	for _, done := range []bool{false, true} {
		inTown(t, func(w *town) {
			leader := &citizen{town: w, name: "n1"}
			g := &fakeGroup{}
			g.change = func(changes []raft.Change) error {
				for _, c := range changes {
					g.status.Learners = append(g.status.Learners, c.Replica)
				}
				return nil
			}
			leader.start(func(self raft.ReplicaID) Group {
				g.status = raft.Status{
					Replica: self, Leader: self, Role: raft.RoleLeader, Term: 1, Voters: []raft.ReplicaID{self},
				}
				return g
			})
			defer leader.node.Close()
			joiner := &citizen{town: w, name: "n2", options: Options{Join: []string{"n1:1"}}, dieAt: 1, done: done}
			joiner.start(nil)
			if joiner.err != nil || joiner.deaths != 1 {
				t.Fatal(joiner.err, joiner.deaths)
			}
			defer joiner.node.Close()
			self := raft.ReplicaID(joiner.last.Node)
			if !joiner.place.Joined || joiner.place.Cluster != leader.last.Cluster ||
				!slices.Equal(g.status.Learners, []raft.ReplicaID{self}) || g.changes != 1 {
				t.Errorf("done %v: %+v, learners %v after %d changes", done, joiner.place, g.status.Learners, g.changes)
			}
			m := g.status.Charter.Members
			if len(m) != 1 || m[0].Replica != self {
				t.Errorf("done %v: members %+v", done, m)
			}
			if joiner.last.Cluster != leader.last.Cluster && done {
				t.Errorf("it was taken in, and its node.db says %+v", joiner.last)
			}
		})
	}
}

// TestRemovalIsNoted: a node that was removed notes it, and does not start again; one whose process dies before hears
// of it anew, and then notes it.
func TestRemovalIsNoted(t *testing.T) {
	dir := t.TempDir()
	for _, done := range []bool{false, true} {
		db, err := nodedb.Open(dir, nodedb.Options{Random: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		calls, told := 0, 0
		var history []record
		n, err := Open(Options{
			DB:   &mortal{DB: db, calls: &calls, at: 1, done: done, died: func() {}, history: &history},
			Name: "n1", Removed: func(error) { told++ },
			Clock: clock.System, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		if n.leaveForGood(); told != 1 || calls != 1 {
			t.Errorf("told %d times, noted %d times", told, calls)
		}
		n.Close()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := nodedb.Open(dir, nodedb.Options{Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = Open(Options{DB: db, Clock: clock.System, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, ErrRemoved) {
		t.Errorf("a removed node starts: %v", err)
	}
}

// TestReplacementIsResumed: who leads after the leader that has noted a replacement makes it, in one change.
func TestReplacementIsResumed(t *testing.T) {
	n, g := leading(t)
	m := n.record.Members[3]
	m.Replaces = 3
	entry, err := m.settled()
	if err != nil {
		t.Fatal(err)
	}
	g.status.Charter.Members = []raft.Member{entry}
	g.change = func(changes []raft.Change) error {
		want := []raft.Change{{Kind: raft.AddVoter, Replica: 4}, {Kind: raft.RemoveReplica, Replica: 3}}
		if !slices.Equal(changes, want) {
			t.Errorf("proposed: %v", changes)
		}
		return nil
	}
	if n.promoteOne(); g.changes != 1 {
		t.Errorf("proposed %d times", g.changes)
	}
}

// TestRecordFits: what a node may have to keep fits into a document of node.db.
func TestRecordFits(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("%0*d", nameBytesMax, i) }
	addr := func(i int) string { return fmt.Sprintf("%0*d:65535", addrBytesMax-6, i) }
	r := record{Version: recordVersion, Name: name(0), Founding: &list{Round: 1<<64 - 1, Sealed: true}, Removed: true}
	largest := disk{1<<63 - 1, 1<<64 - 1}
	for i := range foundersMax {
		r.Founding.Founders = append(r.Founding.Founders, listed{Founder{name(i), addr(i)}, largest})
	}
	for i := range raft.MembersMax + 1 { // and this node
		m := Member{largest.Node, largest.Incarnation, name(i), addr(i), addr(i), addr(i), largest.Node - 1}
		if err := m.check(); err != nil {
			t.Fatal(err)
		}
		r.Members = append(r.Members, m)
	}
	document, err := json.Marshal(&r)
	if err != nil || len(document) > nodedb.DocumentBytesMax {
		t.Errorf("a record has up to %d bytes (%v)", len(document), err)
	}
}
