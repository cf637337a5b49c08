package resp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/command"
)

// Options are what a Server is made of.
type Options struct {
	// Addr is the TCP address to listen on, "127.0.0.1:6379". It is not used if Listener is given.
	Addr     string
	Listener net.Listener
	// TLS, if given, is spoken on every connection.
	TLS *tls.Config

	Executor command.Executor
	Host     command.Host // of the sessions
	Limits   Limits
	// Errors, if given, counts the errors in answers.
	Errors *command.ErrorTally
	Logger *slog.Logger // slog.Default if nil
}

// Server accepts connections and knows those that are open. Its methods may be called by any goroutine.
type Server struct {
	listener net.Listener
	tls      *tls.Config
	executor command.Executor
	host     command.Host
	limits   Limits
	logger   *slog.Logger
	errors   *command.ErrorTally
	stats    counters
	buffers  *command.Budget // of what has been read
	queues   *command.Budget // of transactions being put together
	answers  atomic.Int64    // bytes of answers that are being written

	ctx    context.Context // ends with Close; contexts of connections derive from it
	cancel context.CancelFunc

	acceptPause time.Duration // used by the goroutine that accepts

	mu       sync.Mutex
	conns    map[uint64]*conn // guarded by mu: the connections that run
	reserved int              // guarded by mu: connections accepted and not ended
	lastID   uint64           // guarded by mu
	stopping bool             // guarded by mu: nothing is admitted any more
	empty    chan struct{}    // closed when stopping and reserved is 0
}

// counters are what Stats reads.
type counters struct {
	received, rejected, protocolErrors, cutOff atomic.Uint64
	bytesIn, bytesOut                          atomic.Uint64
}

// Stats counts since the start of the process, but for what is marked as now.
type Stats struct {
	Connected      int    // connections, now
	Received       uint64 // connections served or being served
	Rejected       uint64 // connections refused because too many were open
	ProtocolErrors uint64 // connections ended by a malformed frame
	CutOff         uint64 // connections ended because their client did not read
	BytesIn        uint64 // of commands
	BytesOut       uint64 // of answers
	BuffersBytes   int64  // of large commands on their way, now
	AnswersBytes   int64  // of large answers that are being written, now
}

// New binds the address. Connections are accepted once Serve runs.
func New(o Options) (*Server, error) {
	if o.Executor == nil || o.Host == nil {
		return nil, errors.New("resp: an executor and a host are needed")
	}
	limits := o.Limits.withDefaults()
	if err := limits.check(); err != nil {
		return nil, err
	}
	listener := o.Listener
	if listener == nil {
		var err error
		if listener, err = net.Listen("tcp", o.Addr); err != nil {
			return nil, err
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Server{
		listener: listener,
		tls:      o.TLS,
		executor: o.Executor,
		host:     o.Host,
		limits:   limits,
		logger:   o.Logger,
		errors:   o.Errors,
		conns:    map[uint64]*conn{},
		empty:    make(chan struct{}),
	}
	s.buffers, s.queues = command.NewBudget(limits.BuffersBytes), command.NewBudget(limits.TransactionsBytes)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Clients returns the sessions of the open connections, in order of their ids.
func (s *Server) Clients() []*command.Session {
	s.mu.Lock()
	sessions := make([]*command.Session, 0, len(s.conns))
	for _, c := range s.conns {
		sessions = append(sessions, c.session)
	}
	s.mu.Unlock()
	slices.SortFunc(sessions, func(a, b *command.Session) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return sessions
}

// Kill ends a session's connection: what it waits for is given up, an answer under way is cut. It
// returns false if there is no such session.
func (s *Server) Kill(id uint64) bool {
	s.mu.Lock()
	c := s.conns[id]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.kill()
	return true
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	connected := len(s.conns)
	s.mu.Unlock()
	return Stats{
		Connected:      connected,
		Received:       s.stats.received.Load(),
		Rejected:       s.stats.rejected.Load(),
		ProtocolErrors: s.stats.protocolErrors.Load(),
		CutOff:         s.stats.cutOff.Load(),
		BytesIn:        s.stats.bytesIn.Load(),
		BytesOut:       s.stats.bytesOut.Load(),
		BuffersBytes:   s.buffers.Held(),
		AnswersBytes:   s.answers.Load(),
	}
}

// Shutdown stops accepting, lets every submission in progress be answered, and ends each connection
// after that, idle ones at once. If ctx ends first it closes what is left as Close does, and returns
// the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	for _, c := range s.open() {
		c.drain()
	}
	select {
	case <-s.empty:
		return s.Close()
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), s.Close())
	}
}

// Close stops accepting, ends all connections at once and waits until they are gone. Calls in progress
// see their context end.
func (s *Server) Close() error {
	s.stop()
	s.cancel()
	for _, c := range s.open() {
		c.kill()
	}
	<-s.empty
	return nil
}

// stop closes the listener and admits no more connections.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.stopping = true
	if err := s.listener.Close(); err != nil {
		s.logger.Warn("closing the RESP listener failed", "err", err)
	}
	if s.reserved == 0 {
		close(s.empty)
	}
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// reserve takes a place for a connection, if there is one. Every place taken is released.
func (s *Server) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || s.reserved >= s.limits.Connections {
		return false
	}
	s.reserved++
	return true
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved--
	if s.stopping && s.reserved == 0 {
		close(s.empty)
	}
}

// welcome starts to serve an accepted connection, for which a place is reserved.
func (s *Server) welcome(socket net.Conn) {
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.mu.Unlock()
	c := newConn(s, id, socket)

	s.mu.Lock()
	admitted := !s.stopping
	if admitted {
		s.conns[id] = c
	}
	s.mu.Unlock()
	if !admitted {
		_ = socket.Close()
		s.release()
		return
	}
	s.stats.received.Add(1)
	go func() {
		defer s.release()
		c.serve()
		s.mu.Lock()
		delete(s.conns, id)
		s.mu.Unlock()
	}()
}
