package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeBytesMax is what one write takes, and with the send buffer's bound what an express packet
	// waits for.
	writeBytesMax = 128 << 10
	// batchBytesMax bounds the messages that share a packet; a larger one has a packet of its own.
	batchBytesMax = 128 << 10
	// expressBatchMax keeps a packet of express messages in one frame.
	expressBatchMax = framePayloadMax / 2
	// expressItemMax is the size above which a message is not express, whatever its type.
	expressItemMax = 16 << 10
	readBufferSize = 64 << 10
)

// Why a connection ended that was in use.
var (
	// ErrSilent: nothing arrived, or nothing could be written, for Timing.Silence.
	ErrSilent = errors.New("transport: peer is silent")
	// ErrPeerClosed: the peer closed the connection.
	ErrPeerClosed = errors.New("transport: peer closed the connection")
	// ErrReplaced: the peer has connected again.
	ErrReplaced = errors.New("transport: replaced by a new connection")
	// ErrReaddressed: the peer has another address now.
	ErrReaddressed = errors.New("transport: address of the peer has changed")
)

// link is one connection to a peer after its handshake.
type link struct {
	route  *route
	conn   net.Conn
	remote Remote
	pulse  pulse

	closed    chan struct{}
	closeOnce sync.Once

	read    atomic.Int64 // boot time of the last frame that arrived
	writing atomic.Int64 // boot time at which the write under way began, 0 if none is

	in unframer

	// Of the writing goroutine:
	out     framer
	items   []item
	current *outgoing   // packet of the data stream that is cut into frames, or nil
	filled  []*outgoing // packets that are wholly in out
	spare   []*outgoing
}

func newLink(r *route, conn net.Conn, remote Remote) *link {
	l := &link{route: r, conn: conn, remote: remote, closed: make(chan struct{})}
	l.in.bytesMax = r.peer.transport.config.Limits.PacketBytes
	l.read.Store(int64(l.boot()))
	return l
}

func (l *link) boot() time.Duration { return l.route.peer.transport.config.Clock.Boot() }

func (l *link) close() {
	l.closeOnce.Do(func() {
		close(l.closed)
		if secure, ok := l.conn.(*tls.Conn); ok {
			_ = secure.NetConn().Close() // without the farewell, which a dead peer would make wait
			return
		}
		_ = l.conn.Close()
	})
}

// silent reports whether the connection should be given up.
func (l *link) silent() bool {
	limit := int64(l.route.peer.transport.config.Timing.Silence)
	now, writing := int64(l.boot()), l.writing.Load()
	return now-l.read.Load() > limit || (writing != 0 && now-writing > limit)
}

// readAll receives until the connection ends.
func (l *link) readAll() error {
	r := bufio.NewReaderSize(l.conn, readBufferSize)
	for {
		p, whole, err := l.in.next(r)
		if errors.Is(err, io.EOF) {
			return ErrPeerClosed
		}
		if err != nil {
			return err
		}
		l.read.Store(int64(l.boot()))
		if !whole {
			continue
		}
		l.route.counts.packetsIn.Add(1)
		l.route.counts.bytesIn.Add(uint64(len(p.payload) + headerBytes))
		if err := l.receive(&p); err != nil {
			return err
		}
	}
}

// receive hands a packet on.
func (l *link) receive(p *packet) error {
	config := &l.route.peer.transport.config
	switch {
	case p.kind == kindKeepalive:
		k, err := decodeKeepalive(p.payload)
		if err != nil {
			return err
		}
		if l.pulse.receive(&k, l.boot()) {
			l.route.queue.filled.raise()
		}
	case p.kind == kindRaft:
		return l.receiveMessages(p)
	default:
		k, known := config.Kinds[p.kind]
		if !known {
			l.refused(fmt.Errorf("%w: %d", ErrKind, p.kind))
			return nil
		}
		k.Deliver(l.remote.Node, p.payload)
	}
	return nil
}

func (l *link) receiveMessages(p *packet) error {
	for rest := p.payload; len(rest) > 0; {
		m, after, err := decodeMessage(rest)
		if err != nil {
			return err
		}
		rest = after
		l.route.counts.messagesIn.Add(1)
		if err := l.route.peer.transport.config.Receive(p.group, l.remote.Node, m); err != nil {
			l.refused(err)
		}
	}
	return nil
}

// refused counts something well formed that was not wanted, and logs the first.
func (l *link) refused(err error) {
	if l.route.counts.refused.Add(1) == 1 {
		l.route.logger().Warn("peer sent what it should not", slog.Any("error", err))
	}
}

// writeAll sends until the connection ends. Each write begins with all that is express.
func (l *link) writeAll() error {
	for {
		l.fill()
		if l.out.size == 0 {
			select {
			case <-l.route.queue.filled:
				continue
			case <-l.closed:
				return net.ErrClosed
			}
		}
		l.writing.Store(max(1, int64(l.boot())))
		n, err := l.out.writeTo(l.conn)
		l.writing.Store(0)
		l.route.counts.bytesOut.Add(uint64(n))
		if err != nil {
			return err
		}
		for _, o := range l.filled {
			o.content.reset()
		}
		l.spare = append(l.spare, l.filled...)
		l.filled = l.filled[:0]
	}
}

// fill puts the next write together.
func (l *link) fill() {
	if k, ok := l.pulse.due(); ok {
		clock := l.route.peer.transport.config.Clock
		k.asked, k.wall = clock.Boot(), clock.Now()
		o := l.outgoing(kindKeepalive, express)
		o.content.raw(k.encode())
		o.begin()
		l.add(o)
	}
	for l.out.size < writeBytesMax {
		o := l.next(express, expressBatchMax)
		if o == nil {
			break
		}
		l.add(o)
	}
	// At least one frame of data, lest it starve behind what is express.
	for first := true; first || l.out.size < writeBytesMax; first = false {
		if l.current == nil {
			l.current = l.next(data, min(batchBytesMax, l.in.bytesMax))
		}
		if l.current == nil {
			break
		}
		l.out.frames(l.current, writeBytesMax-l.out.size)
		if !l.current.underway {
			l.filled, l.current = append(l.filled, l.current), nil
		}
	}
}

// add puts all of a packet into the next write.
func (l *link) add(o *outgoing) {
	l.out.frames(o, math.MaxInt)
	l.filled = append(l.filled, o)
}

// next takes the next packet of a stream out of the queue; nil if there is none.
func (l *link) next(s stream, bytesMax int) *outgoing {
	for {
		l.items = l.route.queue.take(s, bytesMax, l.items[:0])
		if len(l.items) == 0 {
			return nil
		}
		o := l.outgoing(l.items[0].kind, s)
		o.group = l.items[0].group
		for i := range l.items {
			l.encode(o, &l.items[i])
		}
		clear(l.items)
		if o.kind == kindRaft && o.content.size == 0 {
			l.spare = append(l.spare, o)
			continue
		}
		o.begin()
		return o
	}
}

func (l *link) encode(o *outgoing, i *item) {
	if i.message == nil {
		o.content.raw(i.payload)
		return
	}
	if err := appendMessage(&o.content, i.message); err != nil {
		l.route.queue.lose(i)
		l.route.logger().Error("message cannot be sent", slog.Any("error", err))
		return
	}
	l.route.counts.messagesOut.Add(1)
}

func (l *link) outgoing(kind Kind, s stream) *outgoing {
	var o *outgoing
	if n := len(l.spare); n > 0 {
		o, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		o = new(outgoing)
	}
	o.kind, o.stream, o.group = kind, s, 0
	return o
}
