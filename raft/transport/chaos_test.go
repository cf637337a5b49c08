package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 draws one")

// pipes is a network of pipes to one listener: no addresses, no buffers, no writev.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(ctx context.Context, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
	case <-ctx.Done():
	}
	return nil, errors.New("nobody accepts")
}

// Over connections that break again and again nothing arrives twice, out of order within its stream, or
// changed; and when they hold, what is sent arrives.
func TestConnectionsBreakAtRandom(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	network := newPipes()
	var mu sync.Mutex
	var dialed []net.Conn // guarded by mu
	b := newNode(t, 2, func(c *Config) { _ = c.Listener.Close(); c.Listener = network })
	a := newNode(t, 1, func(c *Config) {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := network.dial(ctx, addr)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				dialed = append(dialed, conn)
			}
			return conn, err
		}
	})
	connect(t, a, b)
	const count = 2000
	for i := range uint64(count) {
		fill := byte(i)
		switch random.IntN(3) {
		case 0:
			a.Send(testGroup, []*pb.Message{heartbeat(1, 2, i)})
		case 1:
			a.Send(testGroup, []*pb.Message{appendOf(1, 2, i, value(random.IntN(200<<10), fill))})
		default:
			payload := binary.LittleEndian.AppendUint64(value(random.IntN(10), fill), i)
			_ = a.SendTo(2, kindForward, payload) // refused while there is no connection
		}
		if random.IntN(20) == 0 {
			poll(t, "the queue to empty", func() bool { return a.peerStatus(2).Raft.QueueItems == 0 })
		}
		if random.IntN(50) == 0 {
			before := a.peerStatus(2).Raft.Connects
			mu.Lock()
			for _, conn := range dialed {
				_ = conn.Close()
			}
			dialed = nil
			mu.Unlock()
			if random.IntN(4) > 0 {
				poll(t, "another connection", func() bool {
					s := a.peerStatus(2).Raft
					return s.Connected && s.Connects > before
				})
			}
		}
	}
	poll(t, "the last message", func() bool {
		a.Send(testGroup, []*pb.Message{appendOf(1, 2, count)})
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(b.messages)
		return n > 0 && b.messages[n-1].m.GetIndex() == count
	})
	checkOrder(t, b, count)
	s := a.peerStatus(2).Raft
	t.Logf("%d connections; %d messages sent, %d received; %d dropped",
		s.Connects, s.MessagesOut, b.peerStatus(1).Raft.MessagesIn, s.Dropped)
}

// checkOrder checks what a node received of TestConnectionsBreakAtRandom.
func checkOrder(t *testing.T, n *node, count uint64) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	next := map[pb.MessageType]uint64{}
	for _, r := range n.messages {
		i := r.m.GetIndex() + r.m.GetTerm()*uint64(len(r.m.Context)/8) // a heartbeat has a term only
		if i < next[r.m.GetType()] {
			t.Fatalf("%v %d after %d", r.m.GetType(), i, next[r.m.GetType()]-1)
		}
		if next[r.m.GetType()] = i + 1; i == count {
			next[r.m.GetType()] = i // the last one is sent until it arrives
		}
		for _, e := range r.m.Entries {
			for _, c := range e.Data {
				if c != byte(i) {
					t.Fatalf("message %d is damaged", i)
				}
			}
		}
	}
	payloads := uint64(0)
	for _, p := range n.payloads {
		i := binary.LittleEndian.Uint64(p.payload[len(p.payload)-8:])
		if i < payloads {
			t.Fatalf("packet %d after %d", i, payloads-1)
		}
		payloads = i + 1
	}
}
