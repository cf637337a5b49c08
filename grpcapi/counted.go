package grpcapi

import (
	"net"
	"sync"
	"sync/atomic"
)

// countedListener counts the connections that it has accepted and that are not closed.
type countedListener struct {
	net.Listener
	open *atomic.Int64
}

// Accept waits for a connection.
func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countedConn{Conn: conn, open: l.open}, nil
}

type countedConn struct {
	net.Conn
	open   *atomic.Int64
	closed sync.Once
}

// Close closes the connection.
func (c *countedConn) Close() error {
	c.closed.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
