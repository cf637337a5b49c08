package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/wal"
)

func TestThreeNodesExchange(t *testing.T) {
	nodes := []*node{newNode(t, 1, nil), newNode(t, 2, nil), newNode(t, 3, nil)}
	connect(t, nodes...)
	const each = 100
	for _, from := range nodes {
		for i := range uint64(each) {
			var out []*pb.Message
			for _, to := range nodes {
				if to != from {
					out = append(out, appendOf(from.id, to.id, i, value(int(i)*100, byte(i))))
				}
			}
			from.Send(testGroup, out)
		}
	}
	for _, to := range nodes {
		to.waitMessages(2 * each)
	}
	for _, to := range nodes {
		next := map[NodeID]uint64{}
		for _, r := range to.waitMessages(2 * each) {
			i := next[r.from]
			next[r.from]++
			want := appendOf(r.from, to.id, i, value(int(i)*100, byte(i)))
			if r.group != testGroup || !proto.Equal(r.m, want) {
				t.Fatalf("from %d group %d: message %d differs", r.from, r.group, i)
			}
		}
		if len(next) != 2 {
			t.Fatalf("heard of %v", next)
		}
		for _, p := range to.Status().Peers {
			if r := p.Raft; !r.Connected || r.MessagesIn != each || r.MessagesOut != each || r.Dropped != 0 ||
				p.Process != 1 || p.Incarnation != 1000+uint64(p.ID) || r.BytesIn == 0 || r.BytesOut == 0 {
				t.Fatalf("%+v", p)
			}
		}
	}
}

func TestPackets(t *testing.T) {
	a, b := newNode(t, 1, nil), newNode(t, 2, nil)
	connect(t, a, b)
	poll(t, "bulk", func() bool { return a.peerStatus(2).Bulk.Connected && b.peerStatus(1).Bulk.Connected })
	big := value(3<<20, 'x')
	for _, send := range []struct {
		kind    Kind
		payload []byte
	}{
		{kindForward, []byte("one")}, {kindForward, big}, {kindForward, nil}, {kindChunk, big},
		{kindUrgent, big[:9]},
	} {
		before := len(b.delivered())
		if err := a.SendTo(2, send.kind, send.payload); err != nil {
			t.Fatal(err)
		}
		b.wait("packet", func() bool { return len(b.payloads) > before })
		got := b.delivered()[before]
		if got.from != 1 || got.kind != send.kind || !bytes.Equal(got.payload, send.payload) {
			t.Fatalf("kind %d: %d bytes from %d, kind %d", send.kind, len(got.payload), got.from, got.kind)
		}
	}
	if s := b.peerStatus(1); s.Bulk.PacketsIn < 1 || s.Bulk.BytesIn < 3<<20 {
		t.Fatalf("bulk did not have its own connection: %+v", s.Bulk)
	}
	if err := a.SendTo(3, kindForward, nil); !errors.Is(err, ErrUnknownPeer) {
		t.Fatal(err)
	}
	if err := a.SendTo(2, 99, nil); !errors.Is(err, ErrKind) {
		t.Fatal(err)
	}
	if err := a.SendTo(2, kindForward, make([]byte, 81<<20)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	a.Close()
	if err := a.SendTo(2, kindForward, nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := a.SetPeer(Peer{ID: 9}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

// A kind that the receiver does not know is counted, and the connection goes on.
func TestKindUnknownToThePeer(t *testing.T) {
	a := newNode(t, 1, nil)
	b := newNode(t, 2, func(c *Config) { delete(c.Kinds, kindForward) })
	connect(t, a, b)
	if err := a.SendTo(2, kindForward, []byte("x")); err != nil {
		t.Fatal(err)
	}
	a.Send(testGroup, []*pb.Message{appendOf(1, 2, 1)})
	b.waitMessages(1)
	if s := b.peerStatus(1).Raft; s.Refused != 1 || s.Connects != 1 {
		t.Fatalf("%+v", s)
	}
}

// A message the host refuses is counted, and the connection goes on.
func TestMessageRefused(t *testing.T) {
	a := newNode(t, 1, nil)
	b := newNode(t, 2, func(c *Config) {
		receive := c.Receive
		c.Receive = func(g wal.GroupID, from NodeID, m *pb.Message) error {
			if m.GetTerm() == 1 {
				return errors.New("not this one")
			}
			return receive(g, from, m)
		}
	})
	connect(t, a, b)
	a.Send(testGroup, []*pb.Message{heartbeat(1, 2, 1), heartbeat(1, 2, 2)})
	b.waitMessages(1)
	if s := b.peerStatus(1).Raft; s.Refused != 1 || s.Connects != 1 {
		t.Fatalf("%+v", s)
	}
}

// A node that comes back with a later process number is connected again, whichever side dials.
func TestRestartOfOneSide(t *testing.T) {
	for _, restarts := range []NodeID{1, 2} {
		t.Run(fmt.Sprintf("node %d", restarts), func(t *testing.T) {
			stays, goes := newNode(t, 3-restarts, nil), newNode(t, restarts, nil)
			connect(t, stays, goes)
			goes.Close()
			stays.waitEnds(1)
			stays.Send(testGroup, []*pb.Message{appendOf(stays.id, goes.id, 1), heartbeat(stays.id, goes.id, 1)})
			stays.wait("unreachable", func() bool { return len(stays.unreachable) > 0 })
			if d := stays.peerStatus(goes.id).Raft.Dropped; d != 2 {
				t.Fatalf("%d dropped", d)
			}
			back := newNode(t, restarts, func(c *Config) {
				_ = c.Listener.Close()
				var err error
				if c.Listener, err = net.Listen("tcp", goes.addr); err != nil {
					t.Fatal(err)
				}
				c.Process = 2
			})
			back.addr = goes.addr
			know(t, back, stays)
			back.Start()
			back.waitConnects(1)
			stays.waitConnects(2)
			stays.Send(testGroup, []*pb.Message{heartbeat(stays.id, back.id, 9)})
			back.waitMessages(1)
			if p := stays.peerStatus(restarts).Process; p != 2 {
				t.Fatalf("process %d", p)
			}
		})
	}
}

// A connection that dies without a word is given up by the clock.
func TestSilenceEndsAConnection(t *testing.T) {
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	mute := make(chan struct{})
	a := newNode(t, 1, func(c *Config) {
		c.Timing.Silence = time.Hour
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := dialTCP(ctx, addr)
			if err != nil {
				return nil, err
			}
			return &muteConn{Conn: conn, mute: mute}, nil
		}
	})
	b := newNode(t, 2, func(c *Config) { c.Clock = fake })
	connect(t, a, b)
	close(mute) // what a sends from here on is lost
	poll(t, "the end", func() bool {
		fake.Advance(250 * time.Millisecond)
		return !b.peerStatus(1).Raft.Connected
	})
	if err := b.waitEnds(1)[0]; !errors.Is(err, ErrSilent) {
		t.Fatal(err)
	}
}

// A peer that lives but does not read is given up as well.
func TestStuckWriteEndsAConnection(t *testing.T) {
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	n := accepting(t, func(c *Config) { c.Clock = fake })
	conn := established(t, n)
	n.waitConnects(1)
	alive := framer{}
	poll(t, "the end", func() bool {
		n.Send(testGroup, []*pb.Message{appendOf(3, 1, 1, value(16<<20, 'x'))})
		o := outgoing{kind: kindKeepalive}
		o.content.raw((&keepalive{}).encode())
		o.begin()
		alive.frames(&o, 1)
		_, _ = alive.writeTo(conn)
		fake.Advance(100 * time.Millisecond)
		return !n.peerStatus(1).Raft.Connected
	})
	if err := n.waitEnds(1)[0]; !errors.Is(err, ErrSilent) {
		t.Fatal(err)
	}
	n.wait("unreachable", func() bool { return len(n.unreachable) > 0 })
}

// muteConn loses what is written once mute is closed.
type muteConn struct {
	net.Conn
	mute <-chan struct{}
}

func (c *muteConn) Write(b []byte) (int, error) {
	select {
	case <-c.mute:
		return len(b), nil
	default:
		return c.Conn.Write(b)
	}
}

func TestReplacedByANewConnection(t *testing.T) {
	a, b := newNode(t, 1, nil), newNode(t, 2, nil)
	connect(t, a, b)
	twin := newNode(t, 1, func(c *Config) { c.Process = 2 }) // the same node, started again
	know(t, twin, b)
	if err := b.SetPeer(Peer{ID: 1, Addr: a.addr}); err != nil {
		t.Fatal(err)
	}
	twin.Start()
	twin.waitConnects(1)
	if ends := b.waitEnds(1); !errors.Is(ends[0], ErrReplaced) {
		t.Fatal(ends)
	}
	poll(t, "the former process to be refused", func() bool {
		return isRefusal(a.peerStatus(2).Raft.LastError, ErrStaleProcess, true)
	})
}

func TestPeersChange(t *testing.T) {
	a, b := newNode(t, 1, nil), newNode(t, 2, nil)
	if err := a.SetPeer(Peer{ID: 2, Addr: "127.0.0.1:1", Incarnation: 1002}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetPeer(Peer{ID: 1}); err != nil {
		t.Fatal(err)
	}
	a.Start()
	b.Start()
	poll(t, "a failed dial", func() bool { return a.peerStatus(2).Raft.LastError != nil })
	if err := a.SetPeer(Peer{ID: 2, Addr: b.addr}); err != nil {
		t.Fatal(err)
	}
	a.waitConnects(1)
	b.waitConnects(1)
	if err := a.SetPeer(Peer{ID: 2, Addr: b.addr, Incarnation: 7}); !errors.Is(err, ErrIDUsed) {
		t.Fatal(err)
	}
	if err := a.SetPeer(Peer{ID: 1 << 63}); err == nil {
		t.Fatal("a reserved id was taken")
	}
	// A connection in use moves with the address, here to a proxy in front of the same node.
	moved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer moved.Close()
	go proxyOne(moved, b.addr)
	if err := a.SetPeer(Peer{ID: 2, Addr: moved.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	a.waitConnects(2)
	if ends := a.waitEnds(1); !errors.Is(ends[0], ErrReaddressed) {
		t.Fatal(ends)
	}
	a.RemovePeer(2)
	a.waitEnds(2)
	if len(a.Status().Peers) != 0 {
		t.Fatal("still there")
	}
	a.Send(testGroup, []*pb.Message{heartbeat(1, 2, 1)}) // to nobody
}

// proxyOne carries connections on to addr until the listener is closed.
func proxyOne(l net.Listener, addr string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", addr)
		if err != nil {
			_ = in.Close()
			continue
		}
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	}
}

// What is too much is dropped and told of, and the sender does not wait.
func TestOverflowDrops(t *testing.T) {
	gate := make(chan struct{})
	a := newNode(t, 1, func(c *Config) {
		c.Limits.QueueItems, c.Limits.ExpressItems = 10, 10
		c.Limits.QueueBytes = 1 << 20
		c.Dial = gatedDial(gate)
	})
	b := newNode(t, 2, nil)
	connect(t, a, b)
	poll(t, "the writer to be held up", func() bool {
		a.Send(testGroup, []*pb.Message{heartbeat(1, 2, 1)})
		return a.peerStatus(2).Raft.Dropped > 0
	})
	before := a.peerStatus(2).Raft
	for i := range uint64(100) {
		a.Send(testGroup, []*pb.Message{appendOf(1, 2, i, value(200<<10, 'x'))})
	}
	after := a.peerStatus(2).Raft
	if n := after.Dropped - before.Dropped; n != 95 || after.QueueBytes > 1<<20+64<<10 {
		t.Fatalf("%d dropped, %+v", n, after)
	}
	if err := a.SendTo(2, kindForward, value(200<<10, 'y')); !errors.Is(err, ErrQueueFull) {
		t.Fatal(err)
	}
	a.wait("unreachable", func() bool { return len(a.unreachable) > 0 && a.unreachable[0] == 2 })
	close(gate)
	b.wait("what was not dropped", func() bool {
		last := len(b.messages) - 1
		return last >= 0 && b.messages[last].m.GetIndex() == 4
	})
}

// gatedDial dials connections that carry the handshake, and write nothing further before gate is closed.
func gatedDial(gate <-chan struct{}) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dialTCP(ctx, addr)
		if err != nil {
			return nil, err
		}
		return &gatedConn{Conn: conn, gate: gate, closed: make(chan struct{})}, nil
	}
}

type gatedConn struct {
	net.Conn
	gate   <-chan struct{}
	closed chan struct{}
	once   sync.Once
	writes int // the handshake of who dials takes three
}

func (c *gatedConn) Write(b []byte) (int, error) {
	if c.writes++; c.writes > 3 {
		select {
		case <-c.gate:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.Conn.Write(b)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Heartbeats that are sent behind 16 MiB arrive before them.
func TestHeartbeatsOvertakeEntries(t *testing.T) {
	gate := make(chan struct{})
	a := newNode(t, 1, func(c *Config) { c.Dial = gatedDial(gate) })
	b := newNode(t, 2, nil)
	connect(t, a, b)
	for i := range uint64(3) {
		a.Send(testGroup, []*pb.Message{appendOf(1, 2, i, value(16<<20, 'x'))})
	}
	a.Send(testGroup, []*pb.Message{heartbeat(1, 2, 3)})
	if err := a.SendTo(2, kindUrgent, []byte("now")); err != nil {
		t.Fatal(err)
	}
	close(gate)
	got := b.waitMessages(4)
	if got[0].m.GetType() != pb.MsgHeartbeat || len(b.delivered()) != 1 {
		t.Fatalf("first came %v", got[0].m.GetType())
	}
	for i, r := range got[1:] {
		if r.m.GetIndex() != uint64(i) || !bytes.Equal(r.m.Entries[0].Data, value(16<<20, 'x')) {
			t.Fatalf("entry %d", i)
		}
	}
}

// The two sides' clocks are known to each other, and the round trip is.
func TestKeepaliveCarriesClocks(t *testing.T) {
	ahead := clock.NewFake(time.Now().Add(time.Hour))
	a := newNode(t, 1, nil)
	b := newNode(t, 2, func(c *Config) { c.Clock = ahead })
	connect(t, a, b)
	poll(t, "the clock of the peer", func() bool {
		s := a.peerStatus(2).Raft
		return s.RTT > 0 && !s.Wall.IsZero() && !b.peerStatus(1).Raft.Wall.IsZero()
	})
	if off := time.Until(a.peerStatus(2).Raft.Wall); off < 50*time.Minute || off > 70*time.Minute {
		t.Fatalf("the peer's clock is %v ahead", off)
	}
	if off := b.peerStatus(1).Raft.Wall.Sub(ahead.Now()); off > -50*time.Minute || off < -70*time.Minute {
		t.Fatalf("the peer's clock is %v ahead", off)
	}
}

func TestPauseGrowsAndIsBounded(t *testing.T) {
	n := newNode(t, 1, func(c *Config) { c.Timing = Timing{} })
	for failures, want := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000} {
		for range 20 {
			if d := n.pause(failures); d < want*time.Millisecond/2 || d > want*time.Millisecond {
				t.Fatalf("after %d failures %v", failures, d)
			}
		}
	}
	if d := n.pause(1 << 30); d > 2*time.Second {
		t.Fatal(d)
	}
}

func TestIntroduction(t *testing.T) {
	founder := newNode(t, 9, func(c *Config) {
		c.Introduction = func(from Remote, request []byte) ([]byte, error) {
			if string(request) == "no" {
				return nil, errors.New("no")
			}
			return fmt.Appendf(nil, "%d of %d: %s", from.Node, from.Cluster, request), nil
		}
	})
	founder.Start()
	joiner := newNode(t, 3, func(c *Config) { c.Cluster = 0 })
	joiner.Start()
	ctx := t.Context()
	who, answer, err := joiner.Introduce(ctx, founder.addr, []byte("may I"))
	if err != nil || string(answer) != "3 of 0: may I" || who.Node != 9 || who.Cluster != testCluster {
		t.Fatalf("%q %+v %v", answer, who, err)
	}
	big := value(1<<20, 'x')
	_, answer, err = joiner.Introduce(ctx, founder.addr, big[:1<<20-100])
	if err != nil || len(answer) < 1<<20-100 {
		t.Fatalf("%d bytes, %v", len(answer), err)
	}
	if _, _, err := joiner.Introduce(ctx, founder.addr, append(big, 'x')); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	if _, _, err := joiner.Introduce(ctx, founder.addr, []byte("no")); !errors.Is(err, ErrIntroduction) {
		t.Fatal(err)
	}
	if _, _, err := founder.Introduce(ctx, joiner.addr, nil); !isRefusal(err, ErrLane, true) {
		t.Fatal(err)
	}
	if _, _, err := founder.Introduce(ctx, founder.addr, nil); !isRefusal(err, ErrSelf, true) {
		t.Fatal(err)
	}
	stranger := newNode(t, 4, func(c *Config) { c.Secret = []byte("guessed") })
	if _, _, err := stranger.Introduce(ctx, founder.addr, nil); !isRefusal(err, ErrSecret, true) {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := joiner.Introduce(ended, founder.addr, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
