package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/wal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testCluster = 77
	testGroup   = wal.GroupID(5)

	kindForward = KindUser
	kindChunk   = KindUser + 1
	kindUrgent  = KindUser + 2
)

// node is a transport under test, and what it has been called back with.
type node struct {
	*Transport
	t    testing.TB
	id   NodeID
	addr string

	mu           sync.Mutex
	changed      *sync.Cond
	messages     []received
	payloads     []delivered
	connected    []Remote
	disconnected []error
	unreachable  []NodeID
}

type received struct {
	from  NodeID
	group wal.GroupID
	m     *pb.Message
}

type delivered struct {
	from    NodeID
	kind    Kind
	payload []byte
}

// newNode makes a node on a free port of this machine; change may change its configuration. It is not
// started.
func newNode(t testing.TB, id NodeID, change func(c *Config)) *node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, id: id, addr: listener.Addr().String()}
	n.changed = sync.NewCond(&n.mu)
	c := Config{
		Cluster: testCluster, Self: id, Incarnation: 1000 + uint64(id), Process: 1,
		Listener: listener, Dial: dialTCP, Secret: []byte("a secret of the cluster"),
		Clock: clock.System, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
		Receive: n.receive,
		Kinds:   map[Kind]KindConfig{},
		Unreachable: func(id NodeID, _ wal.GroupID) {
			n.note(func() { n.unreachable = append(n.unreachable, id) })
		},
		Connected:    func(r Remote) { n.note(func() { n.connected = append(n.connected, r) }) },
		Disconnected: func(_ NodeID, why error) { n.note(func() { n.disconnected = append(n.disconnected, why) }) },
		Timing:       Timing{RetryMin: time.Millisecond, RetryMax: 5 * time.Millisecond},
	}
	kinds := map[Kind]KindConfig{kindForward: {}, kindChunk: {Bulk: true}, kindUrgent: {Express: true}}
	for kind, k := range kinds {
		k.Deliver = func(from NodeID, payload []byte) {
			n.note(func() { n.payloads = append(n.payloads, delivered{from, kind, payload}) })
		}
		c.Kinds[kind] = k
	}
	if change != nil {
		change(&c)
	}
	if n.Transport, err = New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

func (n *node) note(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.changed.Broadcast()
}

func (n *node) receive(group wal.GroupID, from NodeID, m *pb.Message) error {
	n.note(func() { n.messages = append(n.messages, received{from, group, m}) })
	return nil
}

// wait blocks until condition, which is called with mu held, is true.
func (n *node) wait(what string, condition func() bool) {
	n.t.Helper()
	late := time.AfterFunc(20*time.Second, func() {
		n.note(func() { n.t.Errorf("node %d waits in vain: %s; %+v", n.id, what, n.Status()) })
		panic("gave up: " + what)
	})
	defer late.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for !condition() {
		n.changed.Wait()
	}
}

func (n *node) waitMessages(count int) []received {
	n.t.Helper()
	n.wait("messages", func() bool { return len(n.messages) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.messages
}

// delivered returns the packets so far.
func (n *node) delivered() []delivered {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.payloads
}

// waitEnds waits for connections to end, and returns why they did.
func (n *node) waitEnds(count int) []error {
	n.t.Helper()
	n.wait("end", func() bool { return len(n.disconnected) >= count })
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.disconnected
}

func (n *node) waitConnects(count int) {
	n.t.Helper()
	n.wait("connection", func() bool { return len(n.connected) >= count })
}

// poll waits for a condition that nothing signals.
func poll(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("waited in vain: " + what)
		}
	}
}

func (n *node) peerStatus(id NodeID) PeerStatus {
	for _, p := range n.Status().Peers {
		if p.ID == id {
			return p
		}
	}
	return PeerStatus{}
}

// know makes nodes each other's peers.
func know(t testing.TB, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		for _, other := range nodes {
			if err := n.SetPeer(Peer{ID: other.id, Addr: other.addr}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// connect starts nodes that know each other, and waits until they are connected.
func connect(t testing.TB, nodes ...*node) {
	t.Helper()
	know(t, nodes...)
	for _, n := range nodes {
		n.Start()
	}
	for _, n := range nodes {
		n.waitConnects(len(nodes) - 1)
	}
}

func heartbeat(from, to NodeID, term uint64) *pb.Message {
	return &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), From: new(uint64(from)), To: new(uint64(to)), Term: new(term),
		Context: []byte("8 bytes."),
	}
}

func appendOf(from, to NodeID, index uint64, values ...[]byte) *pb.Message {
	m := &pb.Message{
		Type: pb.MsgApp.Enum(), From: new(uint64(from)), To: new(uint64(to)), Term: new(uint64(3)),
		LogTerm: new(uint64(3)), Index: new(index), Commit: new(index),
	}
	for i, v := range values {
		m.Entries = append(m.Entries, &pb.Entry{
			Type: pb.EntryNormal.Enum(), Term: new(uint64(3)), Index: new(index + 1 + uint64(i)), Data: v,
		})
	}
	return m
}

func value(size int, fill byte) []byte { return bytes.Repeat([]byte{fill}, size) }

// isRefusal reports whether err is the refusal for a reason, found here or told by the peer.
func isRefusal(err, reason error, byPeer bool) bool {
	var r *Refusal
	return errors.Is(err, reason) && errors.As(err, &r) && r.ByPeer == byPeer
}
