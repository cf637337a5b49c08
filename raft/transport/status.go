package transport

import (
	"slices"
	"time"
)

// Status is the state of a transport at one moment.
type Status struct {
	Peers []PeerStatus // by id
	// Refused counts the accepted connections that came to nothing, and LastRefusal says why the last.
	Refused     uint64
	LastRefusal error
}

// PeerStatus is the state of the connections to a peer. Counts are since the peer was added.
type PeerStatus struct {
	ID          NodeID
	Addr        string
	Incarnation uint64 // 0 until known
	Process     uint64 // the last that was met, 0 if none was
	Raft        RouteStatus
	Bulk        RouteStatus // zero if no kind is bulk
}

// RouteStatus is the state of one connection to a peer.
type RouteStatus struct {
	Connected      bool
	ConnectedSince time.Time // by this node's wall clock; zero if not connected
	Connects       uint64
	LastError      error // why the last connection or attempt ended

	BytesIn, BytesOut       uint64
	PacketsIn               uint64
	MessagesIn, MessagesOut uint64 // of raft
	Refused                 uint64 // received and not wanted
	Dropped                 uint64 // messages and packets that were not sent
	QueueItems, QueueBytes  int

	// RTT is the smoothed round trip of keepalives; 0 until measured.
	RTT time.Duration
	// Wall is the peer's wall clock now, as of its last keepalive, which is WallAge old; zero if not
	// connected or not told yet.
	Wall    time.Time
	WallAge time.Duration
}

// Status tells how things are.
func (t *Transport) Status() Status {
	t.mu.Lock()
	s := Status{Refused: t.refused, LastRefusal: t.lastRefusal}
	peers := make([]*peer, 0, len(t.peers))
	for _, p := range t.peers {
		peers = append(peers, p)
	}
	t.mu.Unlock()
	for _, p := range peers {
		s.Peers = append(s.Peers, p.status())
	}
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return s
}

func (p *peer) status() PeerStatus {
	p.mu.Lock()
	s := PeerStatus{ID: p.id, Addr: p.addr, Incarnation: p.incarnation, Process: p.process}
	p.mu.Unlock()
	s.Raft = p.routes[laneRaft].status()
	if r := p.routes[laneBulk]; r != nil {
		s.Bulk = r.status()
	}
	return s
}

func (r *route) status() RouteStatus {
	c := &r.counts
	s := RouteStatus{
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), PacketsIn: c.packetsIn.Load(),
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(), Refused: c.refused.Load(),
	}
	s.QueueItems, s.QueueBytes, s.Dropped = r.queue.waiting()
	r.mu.Lock()
	l := r.link
	s.Connected, s.Connects, s.LastError = l != nil, r.connects, r.lastError
	if l != nil {
		s.ConnectedSince = r.since
	}
	r.mu.Unlock()
	if l != nil {
		s.RTT, s.Wall, s.WallAge = l.pulse.read(r.peer.transport.config.Clock.Boot())
	}
	return s
}
