package transport

import (
	"errors"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// Why SendTo did not take a packet. It certainly was not sent.
var (
	// ErrClosed: the transport is closed.
	ErrClosed = errors.New("transport: closed")
	// ErrNotConnected: there is no connection to the peer.
	ErrNotConnected = errors.New("transport: peer is not connected")
	// ErrQueueFull: too much waits for the peer already.
	ErrQueueFull = errors.New("transport: queue to the peer is full")
	// ErrTooLarge: the packet is larger than Limits.PacketBytes.
	ErrTooLarge = errors.New("transport: packet is too large")
	// ErrKind: the kind is not in Config.Kinds.
	ErrKind = errors.New("transport: unknown kind of packet")
)

// item is a message or a payload that waits to be sent.
type item struct {
	kind    Kind
	group   wal.GroupID
	message *pb.Message
	payload []byte
	size    int // upper bound of its size when encoded
}

// carriesEntries reports whether the leader should know that the item was dropped, because it goes on as
// if it arrived.
func (i *item) carriesEntries() bool {
	return i.message != nil && (i.message.GetType() == pb.MsgApp || i.message.GetType() == pb.MsgSnap)
}

// queue is what waits for one connection. It is open while there is one: nothing waits for a connection
// to come, because by then raft has moved on.
type queue struct {
	filled signal // something was pushed
	lossy  signal // something was lost

	mu      sync.Mutex
	open    bool                     // guarded by mu
	lines   [streams]line            // guarded by mu
	lost    map[wal.GroupID]struct{} // groups that lost entries, to be told; guarded by mu
	dropped uint64                   // items; guarded by mu
}

// line is the items of one stream, oldest first.
type line struct {
	items              []item
	head               int // items before it are taken
	bytes              int
	bytesMax, itemsMax int
}

// signal wakes one goroutine; signals that come before it wakes are one.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

func newQueue(l *Limits) *queue {
	q := &queue{filled: newSignal(), lossy: newSignal(), lost: make(map[wal.GroupID]struct{})}
	q.lines[express] = line{bytesMax: l.ExpressBytes, itemsMax: l.ExpressItems}
	q.lines[data] = line{bytesMax: l.QueueBytes, itemsMax: l.QueueItems}
	return q
}

// push adds an item or drops it. It never blocks.
func (q *queue) push(s stream, i item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lines[s]
	waiting := len(l.items) - l.head
	switch {
	case !q.open:
		q.drop(&i)
		return ErrNotConnected
	case waiting >= l.itemsMax, waiting > 0 && l.bytes+i.size > l.bytesMax:
		q.drop(&i)
		return ErrQueueFull
	}
	l.items = append(l.items, i)
	l.bytes += i.size
	q.filled.raise()
	return nil
}

// drop counts an item that is not sent; the caller holds mu.
func (q *queue) drop(i *item) {
	q.dropped++
	if i.carriesEntries() {
		q.lost[i.group] = struct{}{}
		q.lossy.raise()
	}
}

// take moves the content of the next packet to into: one payload, or messages of one group up to
// bytesMax, at least one.
func (q *queue) take(s stream, bytesMax int, into []item) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lines[s]
	size := 0
	for l.head < len(l.items) {
		next := &l.items[l.head]
		if len(into) > 0 && (next.kind != kindRaft || into[0].kind != kindRaft ||
			next.group != into[0].group || size+next.size > bytesMax) {
			break
		}
		into = append(into, *next)
		size += next.size
		*next = item{}
		l.head++
	}
	l.bytes -= size
	l.compact()
	return into
}

// compact makes room at the front once half of the slice is taken, so that it does not grow for ever.
func (l *line) compact() {
	if l.head < len(l.items) && l.head < 64+len(l.items)/2 {
		return
	}
	n := copy(l.items, l.items[l.head:])
	clear(l.items[n:])
	l.items, l.head = l.items[:n], 0
}

// start opens the queue for a new connection.
func (q *queue) start() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = true
}

// stop closes the queue and drops what waits.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = false
	for s := range q.lines {
		l := &q.lines[s]
		for i := l.head; i < len(l.items); i++ {
			q.drop(&l.items[i])
		}
		l.items, l.head, l.bytes = nil, 0, 0
	}
}

// lose counts an item that was taken and cannot be sent.
func (q *queue) lose(i *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(i)
}

// takeLost returns the groups that lost entries since the last call.
func (q *queue) takeLost() []wal.GroupID {
	q.mu.Lock()
	defer q.mu.Unlock()
	var groups []wal.GroupID
	for g := range q.lost {
		groups = append(groups, g)
	}
	clear(q.lost)
	return groups
}

// waiting returns what is in the queue, and how many items it dropped so far.
func (q *queue) waiting() (items, bytes int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.lines {
		items += len(q.lines[s].items) - q.lines[s].head
		bytes += q.lines[s].bytes
	}
	return items, bytes, q.dropped
}
