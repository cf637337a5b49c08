package transport

import (
	"errors"
	"log/slog"
	"net"
	"time"
)

// acceptAll accepts connections until the listener is closed.
func (t *Transport) acceptAll() {
	failures := 0
	for {
		conn, err := t.config.Listener.Accept()
		if err != nil {
			if t.stopped() {
				return
			}
			// Out of file descriptors, for example: others work on, and so does this after a while.
			t.refuse("", err)
			timer := t.config.Clock.NewTimer(t.pause(failures))
			failures = min(failures+1, 32)
			select {
			case <-timer.C():
			case <-t.stop:
			}
			timer.Stop()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		failures = 0
		select {
		case t.handshakes <- struct{}{}:
			t.running.Go(func() { t.accept(conn) })
		default:
			t.refuse(hostOf(conn), errBusy)
			_ = conn.Close()
		}
	}
}

var errBusy = errors.New("transport: too many handshakes at a time")

// accept shakes hands on an accepted connection and gives it to whom it is for.
func (t *Transport) accept(conn net.Conn) {
	tune(conn)
	used, theirs, err := t.acceptHandshake(conn)
	if theirs.lane != laneIntroduction || err != nil {
		<-t.handshakes
	}
	if err != nil {
		_ = used.Close()
		if !errors.Is(err, ErrClosed) {
			t.refuse(hostOf(conn), err)
		}
		return
	}
	if theirs.lane == laneIntroduction {
		defer func() { <-t.handshakes }()
		t.answer(used, theirs.remote())
		return
	}
	p := t.peer(theirs.node)
	if p == nil { // removed in the meantime
		_ = used.Close()
		return
	}
	p.routes[theirs.lane].accept(newLink(p.routes[theirs.lane], used, theirs.remote()))
}

func hostOf(conn net.Conn) string {
	addr := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// logged is the last refusal that went into the log.
type logged struct {
	host, text string
	at         time.Duration // boot time
}

// refuse notes a connection that was not accepted. Who repeats itself gets one line a minute.
func (t *Transport) refuse(host string, err error) {
	now := t.config.Clock.Boot()
	text := err.Error()
	t.mu.Lock()
	t.refused++
	t.lastRefusal = err
	last := t.lastLogged
	news := last.host != host || last.text != text || now-last.at >= time.Minute
	if news {
		t.lastLogged = logged{host, text, now}
	}
	t.mu.Unlock()
	if news {
		t.config.Logger.Warn("peer connection refused", slog.String("from", host), slog.Any("error", err))
	}
}
