package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// route is one lane of a peer: its queue, and one connection after the other. One goroutine, run, owns
// the connection and makes all callbacks that are not about something received.
type route struct {
	peer  *peer
	lane  lane
	queue *queue

	stop     chan struct{} // closed by end
	accepted chan *link    // a connection the peer dialed; put in under mu
	redial   signal        // the peer has another address

	counts counts

	mu        sync.Mutex
	ended     bool      // guarded by mu
	link      *link     // in use, or nil; guarded by mu
	since     time.Time // of link; guarded by mu
	connects  uint64    // guarded by mu
	lastError error     // why the last connection or attempt ended; guarded by mu
}

// counts are over all connections of a route.
type counts struct {
	bytesIn, bytesOut       atomic.Uint64
	packetsIn               atomic.Uint64
	messagesIn, messagesOut atomic.Uint64
	refused                 atomic.Uint64 // received and not wanted
}

func newRoute(p *peer, l lane) *route {
	return &route{
		peer: p, lane: l, queue: newQueue(&p.transport.config.Limits),
		stop: make(chan struct{}), accepted: make(chan *link, 1), redial: newSignal(),
	}
}

func (r *route) logger() *slog.Logger {
	return r.peer.transport.config.Logger.With(
		slog.String("peer", r.peer.id.String()), slog.Bool("bulk", r.lane == laneBulk))
}

// end makes run end, and refuses further connections.
func (r *route) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.ended = true
	close(r.stop)
	select {
	case l := <-r.accepted:
		l.close()
	default:
	}
}

// accept takes a connection the peer has dialed. It takes the place of the one in use: the peer dials
// only when that is lost, which may not have been noticed here.
func (r *route) accept(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		l.close()
		return
	}
	select {
	case old := <-r.accepted:
		old.close()
	default:
	}
	r.accepted <- l
}

// run has one connection after the other until end.
func (r *route) run() {
	dials := r.peer.transport.config.Self < r.peer.id
	failures := 0
	var next *link
	for {
		l := next
		next = nil
		if l == nil && dials {
			l = r.dial(&failures)
		} else if l == nil {
			l = r.await(nil)
		}
		if l == nil {
			return
		}
		next = r.serve(l)
	}
}

// dial connects, pausing longer after each failure. It returns nil when the route ends.
func (r *route) dial(failures *int) *link {
	t := r.peer.transport
	for {
		addr := r.peer.address()
		conn, theirs, err := t.connect(r.stop, addr, r.peer.id, r.lane)
		if err == nil {
			*failures = 0
			return newLink(r, conn, theirs.remote())
		}
		if r.over() {
			return nil
		}
		r.failed(err)
		timer := t.config.Clock.NewTimer(t.pause(*failures))
		*failures = min(*failures+1, 32)
		l := r.await(timer.C())
		timer.Stop()
		if l != nil || r.over() {
			return l
		}
	}
}

// over reports whether end was called.
func (r *route) over() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// await waits for a connection from the peer. It returns nil when the route ends, the address changes
// or until delivers.
func (r *route) await(until <-chan time.Time) *link {
	for {
		select {
		case l := <-r.accepted:
			return l
		case <-r.queue.lossy:
			r.tellLost()
		case <-until:
			return nil
		case <-r.redial:
			if until != nil {
				return nil
			}
		case <-r.stop:
			return nil
		}
	}
}

// failed notes why there is no connection; in the log if it was another reason before.
func (r *route) failed(err error) {
	r.mu.Lock()
	news := r.lastError == nil || r.lastError.Error() != err.Error()
	r.lastError = err
	r.mu.Unlock()
	if news {
		r.logger().Warn("no connection to the peer", slog.Any("error", err))
	}
}

// serve uses a connection until it ends. It returns the one that took its place, if there is one.
func (r *route) serve(l *link) (next *link) {
	t := r.peer.transport
	r.mu.Lock()
	r.link, r.since = l, t.config.Clock.Now()
	r.connects++
	r.mu.Unlock()
	r.logger().Info("connected to the peer", slog.String("address", l.conn.RemoteAddr().String()))
	tell := r.lane == laneRaft
	r.queue.start()
	if tell {
		t.config.Connected(l.remote)
	}
	errs := make(chan error, 2)
	go func() { errs <- l.readAll() }()
	go func() { errs <- l.writeAll() }()
	next, ended, why := r.watch(l, errs)
	r.queue.stop()
	l.close()
	for ; ended < 2; ended++ {
		<-errs
	}
	r.tellLost()
	r.mu.Lock()
	r.link, r.lastError = nil, why
	r.mu.Unlock()
	level := slog.LevelWarn
	if errors.Is(why, ErrClosed) {
		level = slog.LevelInfo
	}
	r.logger().Log(context.Background(), level, "connection to the peer has ended", slog.Any("error", why))
	if tell {
		t.config.Disconnected(r.peer.id, why)
	}
	return next
}

// watch waits for the end of a connection. It tells how many of its goroutines have ended, and why.
func (r *route) watch(l *link, errs <-chan error) (next *link, ended int, why error) {
	t := r.peer.transport
	timer := t.config.Clock.NewTimer(t.config.Timing.Keepalive)
	defer timer.Stop()
	l.pulse.ask()
	r.queue.filled.raise()
	for {
		select {
		case err := <-errs:
			return nil, 1, err
		case next := <-r.accepted:
			return next, 0, ErrReplaced
		case <-r.redial:
			return nil, 0, ErrReaddressed
		case <-r.stop:
			return nil, 0, ErrClosed
		case <-r.queue.lossy:
			r.tellLost()
		case <-timer.C():
			if l.silent() {
				return nil, 0, ErrSilent
			}
			l.pulse.ask()
			r.queue.filled.raise()
			timer.Reset(t.config.Timing.Keepalive)
		}
	}
}

// tellLost reports the groups that lost entries on their way.
func (r *route) tellLost() {
	for _, group := range r.queue.takeLost() {
		r.peer.transport.config.Unreachable(r.peer.id, group)
	}
}

// connect dials and shakes hands.
func (t *Transport) connect(
	stop <-chan struct{}, addr string, to NodeID, l lane,
) (net.Conn, hello, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var conn net.Conn
	err := t.limited(stop, cancel, func() (err error) {
		conn, err = t.config.Dial(ctx, addr)
		return err
	})
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, hello{}, err
	}
	tune(conn)
	used, theirs, err := t.dialHandshake(stop, conn, addr, to, l)
	if err != nil {
		_ = used.Close()
		return nil, hello{}, err
	}
	return used, theirs, nil
}
