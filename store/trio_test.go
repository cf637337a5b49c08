package store

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
)

// trio is three nodes in one bubble, over a network that keeps order and loses what a cut takes.
type trio struct {
	t     *testing.T
	rng   *rand.Rand
	nodes []*node
	wire  *wire
	look  func() // after every round of turns; nil: nobody looks
}

// wire is the network between the nodes.
type wire struct {
	mu      sync.Mutex // digests and pieces of checkpoints are sent from goroutines of their own
	letters []letter
	cut     map[[2]raft.ReplicaID]bool // in this direction nothing arrives
	down    map[[2]raft.ReplicaID]bool // there is no connection: senders notice
	packets int                        // of stores, sent so far
	twice   bool                       // each packet of a store arrives twice: a planted fault
	lossy   bool                       // what stores send is lost without a sign
	slow    map[[2]raft.ReplicaID]bool // in this direction nothing arrives for now, and all of it later
	trace   *trace                     // sees what is sent; nil: nobody does
}

type letter struct {
	from, to raft.ReplicaID
	message  *pb.Message
	packet   []byte
	bulk     []byte
}

// drop loses what a node has sent and has not arrived yet.
func (w *wire) drop(from raft.ReplicaID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letters = slices.DeleteFunc(w.letters, func(l letter) bool { return l.from == from })
}

// end is a node's end of the wire.
type end struct {
	*wire
	from raft.ReplicaID
}

func (n *node) bulk() Courier {
	if n.wire == nil {
		return nil
	}
	return bulkEnd{n.wire, n.id}
}

func (n *node) transport() raft.Transport {
	if n.wire == nil {
		return nil
	}
	return transportEnd{n.wire, n.id}
}

func (n *node) courier() Courier {
	if n.wire == nil {
		return nil
	}
	return courierEnd{n.wire, n.id}
}

type transportEnd end

func (e transportEnd) Send(_ raft.GroupID, messages []*pb.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range messages {
		e.trace.sent(e.from, m)
		l := letter{from: e.from, to: raft.ReplicaID(m.GetTo()), message: proto.Clone(m).(*pb.Message)}
		e.letters = append(e.letters, l)
	}
}

type bulkEnd end

func (e bulkEnd) Send(node uint64, packet []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.letters = append(e.letters, letter{from: e.from, to: raft.ReplicaID(node), bulk: packet})
	return nil
}

type courierEnd end

func (e courierEnd) Send(node uint64, packet []byte) error {
	to := raft.ReplicaID(node)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down[[2]raft.ReplicaID{e.from, to}] {
		return errors.New("not connected")
	}
	e.packets++
	if e.lossy {
		return nil
	}
	e.letters = append(e.letters, letter{from: e.from, to: to, packet: packet})
	if e.twice {
		e.letters = append(e.letters, letter{from: e.from, to: to, packet: packet})
	}
	return nil
}

// inTrio runs a test on three nodes that have elected a leader.
func inTrio(t *testing.T, seed uint64, fn func(t *testing.T, c *trio), set ...func(n *node)) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		c := &trio{t: t, rng: rand.New(rand.NewPCG(seed, 3)), wire: &wire{
			cut: map[[2]raft.ReplicaID]bool{}, down: map[[2]raft.ReplicaID]bool{}, slow: map[[2]raft.ReplicaID]bool{},
		}}
		for id := raft.ReplicaID(1); id <= 3; id++ {
			n := &node{
				t: t, clock: clock.NewFake(epoch), dir: t.TempDir(), limits: DefaultLimits(),
				id: id, voters: []raft.ReplicaID{1, 2, 3}, wire: c.wire,
			}
			for _, s := range set {
				s(n)
			}
			n.open()
			c.nodes = append(c.nodes, n)
		}
		defer func() { // also of what has failed, for nothing may go on in the bubble
			for _, n := range c.nodes {
				if n.fatal != nil {
					t.Errorf("node %d: %v", n.id, n.fatal)
				}
				n.kill()
			}
		}()
		c.elect()
		fn(t, c)
	})
}

// settle gives turns and delivers until nobody has anything to do.
func (c *trio) settle() {
	for worked := true; worked; {
		worked = c.deliver()
		for _, n := range c.nodes {
			for _, a := range n.host.Actors() {
				worked = a.Turn() || worked
			}
		}
		synctest.Wait()
		if c.look != nil {
			c.look()
		}
	}
}

// turn gives one node's actors a turn each, and delivers nothing.
func (c *trio) turn(n *node) {
	for _, a := range n.host.Actors() {
		a.Turn()
	}
	synctest.Wait()
}

func (c *trio) deliver() bool {
	c.wire.mu.Lock()
	var letters, later []letter
	for _, l := range c.wire.letters {
		if c.wire.slow[[2]raft.ReplicaID{l.from, l.to}] {
			later = append(later, l)
		} else {
			letters = append(letters, l)
		}
	}
	c.wire.letters = later
	c.wire.mu.Unlock()
	for _, l := range letters {
		if c.wire.cut[[2]raft.ReplicaID{l.from, l.to}] {
			continue
		}
		n := c.node(l.to)
		if l.bulk != nil {
			n.store.ReceiveBulk(uint64(l.from), l.bulk)
		} else if l.packet != nil {
			n.store.Receive(uint64(l.from), l.packet)
		} else if err := n.host.Receive(testGroup, l.from, l.message); err != nil {
			c.t.Errorf("node %d refused a message of node %d: %v", l.to, l.from, err)
		}
	}
	return len(letters) > 0
}

func (c *trio) node(id raft.ReplicaID) *node { return c.nodes[id-1] }

func (c *trio) advance(d time.Duration) {
	for step := 5 * time.Millisecond; d > 0; d -= step {
		for _, n := range c.nodes {
			n.clock.Advance(min(d, step))
		}
		synctest.Wait()
		c.settle()
	}
}

// leader returns the node that leads and serves, nil if none does.
func (c *trio) leader() *node {
	var best *node
	for _, n := range c.nodes {
		s := n.group.Status()
		if s.Role == raft.RoleLeader && s.Readable && (best == nil || s.Term > best.group.Status().Term) {
			best = n
		}
	}
	return best
}

func (c *trio) elect() *node {
	c.t.Helper()
	for range 400 {
		c.advance(25 * time.Millisecond)
		if n := c.leader(); n != nil && !c.isolated(n) {
			return n
		}
	}
	c.t.Fatal("no leader")
	return nil
}

// followers returns the nodes that do not lead.
func (c *trio) followers() []*node {
	leader := c.leader()
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return n == leader })
}

// isolate parts a node from the others. Its connections stay, silent.
func (c *trio) isolate(n *node) {
	for _, other := range c.nodes {
		c.wire.cut[[2]raft.ReplicaID{n.id, other.id}] = true
		c.wire.cut[[2]raft.ReplicaID{other.id, n.id}] = true
	}
}

func (c *trio) isolated(n *node) bool {
	return c.wire.cut[[2]raft.ReplicaID{n.id, n.id}]
}

func (c *trio) heal() {
	clear(c.wire.cut)
	clear(c.wire.down)
	clear(c.wire.slow)
	c.wire.lossy = false
}

// do submits calls at a node, lets time pass until they are answered, and returns the answers.
func (c *trio) do(n *node, lines ...string) string {
	c.t.Helper()
	p := n.session().start(lines...)
	c.await(p)
	return p.answers(c.t)
}

func (c *trio) await(p *pendingDo) {
	c.settle()
	for i := 0; i < 400 && !p.ended; i++ {
		c.advance(5 * time.Millisecond)
	}
}
