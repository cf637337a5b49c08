package sim

import (
	"errors"
	"math/rand/v2"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/raft"
)

// network carries what nodes send each other. Between two nodes there is a link each way for raft and the packets of
// stores, and one for pieces of checkpoints; each keeps its order, as connections do, unless the world plays tricks
// with messages of raft.
type network struct {
	mu    sync.Mutex // nodes send from goroutines of their own
	links map[route]*link
	order []route // of links, as they were first used
}

// route is a direction between two nodes, on one of their two connections.
type route struct {
	from, to raft.ReplicaID
	bulk     bool
}

// link is what is on its way.
type link struct {
	letters []letter
	cut     bool // nothing arrives
	down    bool // there is no connection, and senders know
}

type letter struct {
	message *pb.Message // of raft, or
	packet  []byte      // of a store
}

// linkMax bounds what may be on its way; more is lost, as by a full queue.
const linkMax = 4096

func newNetwork() *network { return &network{links: map[route]*link{}} }

// link returns the link of a route. The caller holds mu.
func (n *network) link(r route) *link {
	l := n.links[r]
	if l == nil {
		l = &link{}
		n.links[r], n.order = l, append(n.order, r)
	}
	return l
}

var errDown = errors.New("there is no connection")

func (n *network) send(r route, l letter) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	link := n.link(r)
	if link.down || len(link.letters) >= linkMax {
		return errDown
	}
	link.letters = append(link.letters, l)
	return nil
}

// take takes the next letter off a link.
func (n *network) take(r route) (letter, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	link := n.link(r)
	if len(link.letters) == 0 {
		return letter{}, false
	}
	l := link.letters[0]
	link.letters = link.letters[1:]
	return l, !link.cut
}

// busy returns the links with something on its way.
func (n *network) busy() []route {
	n.mu.Lock()
	defer n.mu.Unlock()
	var busy []route
	for _, r := range n.order {
		if len(n.links[r].letters) > 0 {
			busy = append(busy, r)
		}
	}
	return busy
}

// each calls fn for the links between two nodes, both ways, or that begin and end at one if b is 0.
func (n *network) each(a, b raft.ReplicaID, fn func(r route, l *link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.order {
		if r.from == a && (b == 0 || r.to == b) || r.to == a && (b == 0 || r.from == b) {
			fn(r, n.links[r])
		}
	}
}

// breaks ends the connections of a node that is gone: what was sent to it is lost, what it has sent may still arrive.
func (n *network) breaks(node raft.ReplicaID) {
	n.each(node, 0, func(r route, l *link) {
		if r.to == node {
			l.letters = nil
		}
	})
}

// disconnect ends the connections between two nodes: what was on its way is lost.
func (n *network) disconnect(a, b raft.ReplicaID) {
	n.each(a, b, func(_ route, l *link) { l.letters = nil })
}

// heal mends all links.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.cut, l.down = false, false
	}
}

// trick repeats or swaps messages of raft at the head of a link, which may happen to them on a network.
func (n *network) trick(r route, rng *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(r)
	switch {
	case len(l.letters) == 0 || l.letters[0].message == nil:
	case len(l.letters) > 1 && l.letters[1].message != nil && rng.IntN(2) == 0:
		l.letters[0], l.letters[1] = l.letters[1], l.letters[0]
	default:
		again := letter{message: proto.Clone(l.letters[0].message).(*pb.Message)}
		l.letters = append([]letter{again}, l.letters...)
	}
}

// The ends of the network that a node has.
type (
	raftEnd   struct{ *node }
	packetEnd struct{ *node }
	bulkEnd   struct{ *node }
)

// Send is that of raft.Transport. What does not find room is lost.
func (e raftEnd) Send(_ raft.GroupID, messages []*pb.Message) {
	for _, m := range messages {
		r := route{from: e.replica(), to: raft.ReplicaID(m.GetTo())}
		_ = e.network.send(r, letter{message: proto.Clone(m).(*pb.Message)})
	}
}

// Send is that of store.Courier.
func (e packetEnd) Send(to uint64, packet []byte) error {
	if e.plant == forwardsTwice {
		_ = e.network.send(route{from: e.replica(), to: raft.ReplicaID(to)}, letter{packet: packet})
	}
	return e.network.send(route{from: e.replica(), to: raft.ReplicaID(to)}, letter{packet: packet})
}

// Send is that of store.Courier, for pieces of checkpoints.
func (e bulkEnd) Send(to uint64, packet []byte) error {
	return e.network.send(route{e.replica(), raft.ReplicaID(to), true}, letter{packet: packet})
}

// receive hands a letter to a node, if it is up.
func (n *node) receive(r route, l letter) error {
	switch {
	case !n.up || n.fatal != nil:
	case r.bulk:
		n.store.ReceiveBulk(uint64(r.from), l.packet)
	case l.packet != nil:
		n.store.Receive(uint64(r.from), l.packet)
	default:
		return n.host.Receive(theGroup, r.from, l.message)
	}
	return nil
}
