package resp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// wire is a connection that can also be read without waiting.
type wire struct {
	net.Conn
	raw syscall.RawConn // nil: not a socket, nothing can be polled

	// The read in progress of Poll. They are fields so that polling does not allocate.
	try func(fd uintptr) bool
	p   []byte
	n   int
	err error
}

func newWire(c net.Conn) *wire {
	w := &wire{Conn: c}
	w.try = w.tryRead
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	return w
}

// Poll reads what has arrived; errWouldBlock if nothing has.
func (w *wire) Poll(p []byte) (int, error) {
	if w.raw == nil {
		return 0, errWouldBlock
	}
	w.p = p
	err := w.raw.Read(w.try)
	w.p = nil
	if err != nil {
		return 0, err
	}
	return w.n, w.err
}

// CloseWrite tells the peer that nothing more will be sent.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// tryRead never asks to be called again, so RawConn.Read does not wait.
func (w *wire) tryRead(fd uintptr) bool {
	w.n, w.err = readNow(fd, w.p)
	if w.n == 0 && w.err == nil {
		w.err = io.EOF
	}
	return true
}

// sealed is the source of a TLS connection. TLS returns a record at a time, so Read goes on with the
// records that have arrived with it.
type sealed struct {
	*tls.Conn
	under *pollable
}

// pollable is the wire below TLS. While polling is set it does not wait, and its error is one that TLS
// takes for passing: what it has read of a record so far is kept.
type pollable struct {
	*wire
	polling bool
}

func (p *pollable) Read(b []byte) (int, error) {
	if !p.polling {
		return p.Conn.Read(b)
	}
	n, err := p.Poll(b)
	if err == errWouldBlock {
		err = notYet{}
	}
	return n, err
}

// notYet is errWouldBlock as crypto/tls wants to see it: a temporary net.Error.
type notYet struct{}

func (notYet) Error() string   { return errWouldBlock.Error() }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

func newSealed(w *wire, config *tls.Config) *sealed {
	under := &pollable{wire: w}
	return &sealed{Conn: tls.Server(under, config), under: under}
}

func (s *sealed) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err != nil {
		return n, err
	}
	return n + s.poll(p[n:]), nil
}

func (s *sealed) Poll(p []byte) (int, error) {
	if n := s.poll(p); n > 0 {
		return n, nil
	}
	return 0, errWouldBlock
}

// poll reads records until none is there whole. Errors come again with the next Read.
func (s *sealed) poll(p []byte) (total int) {
	s.under.polling = true
	defer func() { s.under.polling = false }()
	for total < len(p) {
		n, err := s.Conn.Read(p[total:])
		total += n
		if err != nil {
			break
		}
	}
	return total
}
