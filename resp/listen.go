package resp

import (
	"io"
	"net"
	"time"

	"github.com/tidwall/redcon"
)

// parcels is the listener that redcon is given: it wraps what it accepts.
type parcels struct{ net.Listener }

func (l parcels) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &parcel{Conn: c}, nil
}

// parcel is an accepted connection as redcon sees it. It reads as one command of ours, and then as an
// end: no byte of the client reaches redcon's reader.
type parcel struct {
	net.Conn
	opened bool
}

const parcelCommand = "PING\r\n"

func (p *parcel) Read(b []byte) (int, error) {
	if p.opened || len(b) < len(parcelCommand) {
		return 0, io.EOF
	}
	p.opened = true
	return copy(b, parcelCommand), nil
}

// Accept errors are met with a pause that doubles: without files or memory an accept loop would spin.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// refusalTimeout bounds the farewell to a connection too many. A fresh socket takes it at once.
const refusalTimeout = 100 * time.Millisecond

// Serve accepts connections until Shutdown or Close, and returns nil then. It is called once.
func (s *Server) Serve() error {
	listener := redcon.NewServerNetwork(s.listener.Addr().Network(), s.listener.Addr().String(),
		s.take, s.admit, nil)
	listener.AcceptError = s.acceptFailed
	return listener.Serve(parcels{s.listener})
}

// acceptFailed runs on the goroutine that accepts, so its pause is the accept loop's.
func (s *Server) acceptFailed(err error) {
	s.acceptPause = min(max(2*s.acceptPause, acceptPauseMin), acceptPauseMax)
	s.logger.Warn("accepting a connection failed", "err", err, "pause", s.acceptPause)
	timer := time.NewTimer(s.acceptPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// admit decides, on the goroutine that accepts, whether there is room for another connection. If not,
// redcon closes it.
func (s *Server) admit(c redcon.Conn) bool {
	s.acceptPause = 0
	if s.reserve() {
		return true
	}
	s.stats.rejected.Add(1)
	// As in Redis the farewell is sent in the clear: a TLS handshake would hold up the accept loop.
	_ = c.NetConn().SetWriteDeadline(time.Now().Add(refusalTimeout))
	c.WriteError("ERR max number of clients reached")
	return false
}

// take is redcon's handler for the parcel's command: it takes the socket out and lets redcon forget it.
func (s *Server) take(c redcon.Conn, _ redcon.Command) {
	socket := c.NetConn().(*parcel).Conn
	c.Detach()
	s.welcome(socket)
}
