package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/wal"
)

// Config is what a Transport is made of. Self, Listener, Dial, Clock, Random, Logger and Receive are
// required.
type Config struct {
	// Cluster, Self, Incarnation (of the disk) and Process (number of the start) say who this node is. The
	// cluster may be told later, by SetCluster.
	Cluster     uint64
	Self        NodeID
	Incarnation uint64
	Process     uint64

	// Listener is where peers connect. The transport closes it.
	Listener net.Listener
	// Dial connects to a peer's address. It ends when the context does.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// Secret is the cluster secret: both sides prove in the handshake that they know it. What follows
	// is protected against accidents only: who can change the traffic on its way can take over a
	// connection, and who can read it reads all. Against those there is TLS.
	Secret []byte
	// TLSClient and TLSServer, both or neither, make it mutual TLS. TLSServer must require and verify
	// the client's certificate. VerifyPeer, required then, checks that the certificate is the node's.
	TLSClient, TLSServer *tls.Config
	VerifyPeer           func(NodeID, tls.ConnectionState) error

	Clock  clock.Clock
	Random io.Reader // nonces and jitter, for concurrent use: crypto/rand.Reader
	Logger *slog.Logger

	// Receive takes a message from a peer: it is for raft.Host.Receive. An error is counted and logged.
	// Neither it nor any other function here may block: one goroutine per connection calls them.
	Receive func(group wal.GroupID, from NodeID, m *pb.Message) error
	// Kinds are the kinds of packets that SendTo may send, the same on all nodes.
	Kinds map[Kind]KindConfig
	// Removed tells that a node was removed from the cluster; nil if none ever is.
	Removed func(NodeID) bool
	// Unreachable tells that messages with entries were dropped on the way to a peer.
	Unreachable func(peer NodeID, group wal.GroupID)
	// Connected and Disconnected enclose what is received on a peer's connection for raft. What was sent
	// in between may have been lost with the connection, of every group and kind, unless it was answered.
	Connected    func(Remote)
	Disconnected func(peer NodeID, why error)
	// Introduction answers Introduce of a node that may not be a member; nil refuses them all.
	Introduction func(from Remote, request []byte) (answer []byte, err error)

	Timing Timing
	Limits Limits
}

// KindConfig says how packets of a kind are carried.
type KindConfig struct {
	// Bulk packets have a connection of their own.
	Bulk bool
	// Express packets of up to 16 KiB overtake the others on their connection.
	Express bool
	// Deliver takes a packet from a peer. The payload is the receiver's.
	Deliver func(from NodeID, payload []byte)
}

// Timing are the durations. 0 takes the default.
type Timing struct {
	Keepalive time.Duration // between pings on a connection: 250 ms
	Silence   time.Duration // nothing received, or no write finished, for this long ends it: 2 s
	Handshake time.Duration // bounds a dial, and a handshake: 5 s each
	RetryMin  time.Duration // pause after the first failed dial, doubling up to RetryMax: 50 ms
	RetryMax  time.Duration // 2 s
}

// Limits are the bounds. 0 takes the default.
type Limits struct {
	QueueBytes      int // waiting for a connection to a peer: 64 MiB; a single packet may be larger
	QueueItems      int // 16384
	ExpressBytes    int // the same for what is express: 1 MiB
	ExpressItems    int // 4096
	PacketBytes     int // a message or payload: 80 MiB
	Handshakes      int // accepted connections that have not proved who they are: 64
	IntroductionMax int // request or answer of an introduction: 1 MiB
}

func setDefault[T int | time.Duration](p *T, value T) {
	if *p == 0 {
		*p = value
	}
}

func (c *Config) check() error {
	setDefault(&c.Timing.Keepalive, 250*time.Millisecond)
	setDefault(&c.Timing.Silence, 2*time.Second)
	setDefault(&c.Timing.Handshake, 5*time.Second)
	setDefault(&c.Timing.RetryMin, 50*time.Millisecond)
	setDefault(&c.Timing.RetryMax, 2*time.Second)
	setDefault(&c.Limits.QueueBytes, 64<<20)
	setDefault(&c.Limits.QueueItems, 16384)
	setDefault(&c.Limits.ExpressBytes, 1<<20)
	setDefault(&c.Limits.ExpressItems, 4096)
	setDefault(&c.Limits.PacketBytes, 80<<20)
	setDefault(&c.Limits.Handshakes, 64)
	setDefault(&c.Limits.IntroductionMax, 1<<20)
	switch {
	case c.Self == 0:
		return errors.New("transport: a node id is needed")
	case c.Listener == nil || c.Dial == nil || c.Clock == nil || c.Random == nil || c.Logger == nil ||
		c.Receive == nil:
		return errors.New("transport: Listener, Dial, Clock, Random, Logger and Receive are required")
	case (c.TLSClient == nil) != (c.TLSServer == nil):
		return errors.New("transport: TLS is for both sides or neither")
	case c.TLSServer != nil && (c.TLSServer.ClientAuth != tls.RequireAndVerifyClientCert || c.VerifyPeer == nil):
		return errors.New("transport: TLS must require certificates of clients, and VerifyPeer")
	}
	for kind, k := range c.Kinds {
		if kind < KindUser || k.Deliver == nil {
			return errors.New("transport: kinds begin at KindUser and need Deliver")
		}
	}
	return c.setCallbacks()
}

// setCallbacks fills in the callbacks that may be left out.
func (c *Config) setCallbacks() error {
	if c.Removed == nil {
		c.Removed = func(NodeID) bool { return false }
	}
	if c.Unreachable == nil {
		c.Unreachable = func(NodeID, wal.GroupID) {}
	}
	if c.Connected == nil {
		c.Connected = func(Remote) {}
	}
	if c.Disconnected == nil {
		c.Disconnected = func(NodeID, error) {}
	}
	return nil
}
