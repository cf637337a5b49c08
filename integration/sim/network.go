package sim

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/primatomic/primatomic/raft"
)

// network carries what nodes send each other. Between two nodes there is a link each way for raft and the packets of
// stores, and one for pieces of checkpoints; each keeps its order, as connections do, unless the world plays tricks
// with messages of raft.
type network struct {
	trace *trace
	now   func() time.Duration // true time
	links map[route]*link
	order []route // of links

	mu     sync.Mutex // nodes send from goroutines of their own
	outbox []dispatch // sent since post was called last; guarded by mu
}

// route is a direction between two nodes, on one of their two connections.
type route struct {
	from, to raft.ReplicaID
	bulk     bool
}

// compare orders routes.
func (r route) compare(o route) int {
	bulk := func(r route) int {
		if r.bulk {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(r.from, o.from), cmp.Compare(r.to, o.to), cmp.Compare(bulk(r), bulk(o)))
}

// link is what is on its way.
type link struct {
	letters []letter
	// Of true time: until then nothing arrives; no message of raft does; there is no connection, and senders know.
	cutUntil, deafUntil, downUntil time.Duration
}

type letter struct {
	message *pb.Message // of raft, or
	packet  []byte      // of a store
}

// String tells letters apart.
func (l letter) String() string {
	if l.message == nil {
		return fmt.Sprintf("packet %d, %d bytes, %x", l.packet[0], len(l.packet), digestOf(l.packet))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(l.message)
	return fmt.Sprintf("%s of term %d, index %d, %x, %v",
		l.message.GetType(), l.message.GetTerm(), l.message.GetIndex(), digestOf(b), err)
}

// dispatch is a letter that has just been sent.
type dispatch struct {
	route
	letter
}

// kind tells which part of a node a letter comes from. Each sends from one goroutine at a time.
func (l letter) kind() int {
	if l.message != nil {
		return -1
	}
	return int(l.packet[0])<<8 | int(l.packet[min(1, len(l.packet)-1)])
}

// linkMax bounds what may be on its way; more is lost, as by a full queue.
const linkMax = 4096

// newNetwork links nodes with each other, each way.
func newNetwork(nodes []raft.ReplicaID, now func() time.Duration, t *trace) *network {
	n := &network{trace: t, now: now, links: map[route]*link{}}
	for _, from := range nodes {
		for _, to := range nodes {
			if from != to {
				n.links[route{from, to, false}], n.links[route{from, to, true}] = &link{}, &link{}
			}
		}
	}
	n.order = slices.SortedFunc(maps.Keys(n.links), route.compare)
	return n
}

var errDown = errors.New("there is no connection")

// send takes a letter. It is on its way once post is called.
func (n *network) send(r route, l letter) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	link := n.links[r]
	if link == nil || n.now() < link.downUntil || len(link.letters)+len(n.outbox) >= linkMax {
		return errDown
	}
	n.outbox = append(n.outbox, dispatch{r, l})
	return nil
}

// post sends what has been taken since it was called last, and nobody is sending. What the goroutines of a node have
// sent at one moment is put in an order that does not depend on which of them was first.
func (n *network) post() {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.SortStableFunc(n.outbox, func(a, b dispatch) int {
		return cmp.Or(a.compare(b.route), cmp.Compare(a.kind(), b.kind()))
	})
	for _, d := range n.outbox {
		link := n.links[d.route]
		link.letters = append(link.letters, d.letter)
		n.trace.note("sent %v %v", d.route, d.letter)
	}
	n.outbox = n.outbox[:0]
}

// take takes the next letter off a link. It arrives unless the link is cut.
func (n *network) take(r route) (letter, bool) {
	link := n.links[r]
	if len(link.letters) == 0 {
		return letter{}, false
	}
	l := link.letters[0]
	link.letters = link.letters[1:]
	return l, n.now() >= link.cutUntil && (l.message == nil || n.now() >= link.deafUntil)
}

// busy returns the links with something on its way.
func (n *network) busy() []route {
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
	for _, l := range n.links {
		l.cutUntil, l.deafUntil, l.downUntil = 0, 0, 0
	}
}

// trick repeats or swaps messages of raft at the head of a link, which may happen to them on a network.
func (n *network) trick(r route, rng *rand.Rand) {
	l := n.links[r]
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
