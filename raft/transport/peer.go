package transport

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/primatomic/primatomic/raft"
)

// Peer is another node of the cluster.
type Peer struct {
	ID   NodeID
	Addr string
	// Incarnation is that of the node's disk; 0 if the first that proves to be the node tells it.
	Incarnation uint64
}

// peer is what is known of another node.
type peer struct {
	transport *Transport
	id        NodeID
	routes    [2]*route // laneRaft and laneBulk; the latter nil if nothing is bulk

	mu          sync.Mutex
	addr        string // guarded by mu
	incarnation uint64 // 0 until known; never changes then; guarded by mu
	process     uint64 // the highest that was met; guarded by mu
}

func (p *peer) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// meet checks who claims to be the peer, and remembers it.
func (p *peer) meet(h *hello) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.incarnation != 0 && h.incarnation != p.incarnation:
		return &Refusal{Reason: ErrIDUsed, Detail: fmt.Sprintf("node %v", h.node)}
	case h.process < p.process:
		return &Refusal{Reason: ErrStaleProcess, Detail: fmt.Sprintf("%d after %d", h.process, p.process)}
	}
	p.incarnation, p.process = h.incarnation, h.process
	return nil
}

// end makes the peer's routes end.
func (p *peer) end() {
	for _, r := range p.routes {
		if r != nil {
			r.end()
		}
	}
}

// admit decides whether a node that knows the secret may connect.
func (t *Transport) admit(conn net.Conn, h *hello) error {
	if secure, ok := conn.(*tls.Conn); ok {
		if err := t.config.VerifyPeer(h.node, secure.ConnectionState()); err != nil {
			return &Refusal{Reason: ErrCertificate, Detail: err.Error()}
		}
	}
	if h.node == 0 || h.node > maxNodeID {
		return &Refusal{Reason: ErrUnknownPeer, Detail: fmt.Sprintf("node %v is reserved", h.node)}
	}
	if t.config.Removed(h.node) {
		return &Refusal{Reason: ErrRemoved, Detail: fmt.Sprintf("node %v", h.node)}
	}
	p := t.peer(h.node)
	switch {
	case p == nil && h.lane == laneIntroduction:
		return nil
	case p == nil:
		return &Refusal{Reason: ErrUnknownPeer, Detail: fmt.Sprintf("node %v", h.node)}
	}
	return p.meet(h)
}

// SetPeer adds a peer, or gives one its new address, which makes this node connect anew if it is the
// one that dials. The incarnation of a known peer cannot be changed. The node itself is ignored.
func (t *Transport) SetPeer(c Peer) error {
	if c.ID == 0 || c.ID > maxNodeID {
		return fmt.Errorf("transport: node id %v is reserved", c.ID)
	}
	if c.ID == t.config.Self {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return ErrClosed
	}
	if p := t.peers[c.ID]; p != nil {
		return p.update(&c)
	}
	p := &peer{transport: t, id: c.ID, addr: c.Addr, incarnation: c.Incarnation}
	p.routes[laneRaft] = newRoute(p, laneRaft)
	if t.bulk {
		p.routes[laneBulk] = newRoute(p, laneBulk)
	}
	t.peers[c.ID] = p
	if t.started {
		t.start(p)
	}
	return nil
}

// maxNodeID keeps clear of the ids that raft uses for its own threads.
const maxNodeID = NodeID(1<<63 - 1)

func (p *peer) update(c *Peer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Incarnation != 0 && p.incarnation != 0 && c.Incarnation != p.incarnation {
		return fmt.Errorf("%w: node %v", ErrIDUsed, c.ID)
	}
	if c.Incarnation != 0 {
		p.incarnation = c.Incarnation
	}
	if p.addr == c.Addr {
		return nil
	}
	p.addr = c.Addr
	if p.transport.config.Self < p.id {
		for _, r := range p.routes {
			if r != nil {
				r.redial.raise()
			}
		}
	}
	return nil
}

// RemovePeer ends the connections to a peer and forgets it. It does not wait: a callback that is being
// made may still end after it returns.
func (t *Transport) RemovePeer(id NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[id]; p != nil {
		delete(t.peers, id)
		p.end()
	}
}

var _ raft.Transport = (*Transport)(nil)
