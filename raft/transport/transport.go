package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// Transport carries messages and packets between the nodes of a cluster. All methods are safe for
// concurrent use.
type Transport struct {
	config     Config
	cluster    atomic.Uint64 // begins as Config.Cluster
	bulk       bool          // some kind is bulk
	stop       chan struct{} // closed by Close
	handshakes chan struct{} // a place per accepted connection that is not proved yet
	running    sync.WaitGroup

	mu          sync.Mutex
	started     bool             // guarded by mu
	ended       bool             // guarded by mu
	peers       map[NodeID]*peer // guarded by mu
	refused     uint64           // accepted connections that came to nothing; guarded by mu
	lastRefusal error            // guarded by mu
	lastLogged  logged           // guarded by mu
}

// New makes a transport without peers. It does nothing before Start.
func New(c Config) (*Transport, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	t := &Transport{
		config:     c,
		stop:       make(chan struct{}),
		handshakes: make(chan struct{}, c.Limits.Handshakes),
		peers:      make(map[NodeID]*peer),
	}
	t.cluster.Store(c.Cluster)
	for _, k := range c.Kinds {
		t.bulk = t.bulk || k.Bulk
	}
	return t, nil
}

// SetCluster tells the cluster of a node that did not have one yet: until then it has no peers, asks and
// answers introductions, and is refused for everything else.
func (t *Transport) SetCluster(id uint64) { t.cluster.Store(id) }

// Start begins to accept and to dial.
func (t *Transport) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.started || t.ended {
		return
	}
	t.started = true
	t.running.Go(t.acceptAll)
	for _, p := range t.peers {
		t.start(p)
	}
}

func (t *Transport) start(p *peer) {
	for _, r := range p.routes {
		if r != nil {
			t.running.Go(r.run)
		}
	}
}

// Close ends all connections and waits until nothing runs. Nothing is called back afterwards. It must
// not be called from a callback.
func (t *Transport) Close() {
	t.mu.Lock()
	if !t.ended {
		t.ended = true
		close(t.stop)
		_ = t.config.Listener.Close()
		for _, p := range t.peers {
			p.end()
		}
	}
	t.mu.Unlock()
	t.running.Wait()
}

func (t *Transport) stopped() bool {
	select {
	case <-t.stop:
		return true
	default:
		return false
	}
}

func (t *Transport) peer(id NodeID) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// Send queues messages of a group for the nodes they are addressed to. It never blocks. Messages to one
// node keep their order within two classes, of which one may overtake the other: those that carry
// entries or are large, and all others. Raft takes any order; this one keeps heartbeats ahead of bulk.
func (t *Transport) Send(group wal.GroupID, messages []*pb.Message) {
	var p *peer
	for _, m := range messages {
		to := NodeID(m.GetTo())
		if p == nil || p.id != to {
			if p = t.peer(to); p == nil {
				continue
			}
		}
		i := item{kind: kindRaft, group: group, message: m, size: messageSize(m)}
		if i.size > t.config.Limits.PacketBytes {
			p.routes[laneRaft].queue.lose(&i)
			t.config.Logger.Error("message is too large to be sent",
				slog.String("peer", to.String()), slog.Int("bytes", i.size))
			continue
		}
		// An error is counted, and reported where it matters.
		_ = p.routes[laneRaft].queue.push(streamOf(m, i.size), i)
	}
}

func streamOf(m *pb.Message, size int) stream {
	if m.GetType() == pb.MsgApp || m.GetType() == pb.MsgSnap || size > expressItemMax {
		return data
	}
	return express
}

// SendTo queues a packet of a kind for a peer. It never blocks. The payload must not change any more.
// After an error the packet is certainly not sent; after nil it may be lost with its connection, and
// Disconnected tells of that.
func (t *Transport) SendTo(to NodeID, kind Kind, payload []byte) error {
	k, known := t.config.Kinds[kind]
	if !known {
		return fmt.Errorf("%w: %d", ErrKind, kind)
	}
	if len(payload) > t.config.Limits.PacketBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(payload))
	}
	if t.stopped() {
		return ErrClosed
	}
	p := t.peer(to)
	if p == nil {
		return fmt.Errorf("%w: node %v", ErrUnknownPeer, to)
	}
	r, s := p.routes[laneRaft], data
	if k.Bulk {
		r = p.routes[laneBulk]
	}
	if k.Express && len(payload) <= expressItemMax {
		s = express
	}
	return r.queue.push(s, item{kind: kind, payload: payload, size: len(payload)})
}

// pause is how long to wait after so many failures in a row: doubling, half of it at random, so that
// nodes that failed together do not come back together.
func (t *Transport) pause(failures int) time.Duration {
	d := t.config.Timing.RetryMin
	for range failures {
		if d = 2 * d; d >= t.config.Timing.RetryMax {
			d = t.config.Timing.RetryMax
			break
		}
	}
	var b [8]byte
	if _, err := io.ReadFull(t.config.Random, b[:]); err != nil {
		return d
	}
	return d/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(d/2+1))
}
