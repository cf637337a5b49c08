package resp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/command"
)

// conn is one connection. Its own goroutine runs serve; others may call kill and drain.
type conn struct {
	server  *Server
	session *command.Session
	wire    *wire
	socket  net.Conn // wire, or TLS on top of it
	reader  *reader
	logger  *slog.Logger

	ctx    context.Context
	cancel context.CancelFunc

	// ending says that no submission is to be read any more. Who sets it moves the deadlines into the
	// past afterwards, and who moves the deadlines elsewhere looks at it afterwards, so that no reader
	// sleeps through it.
	ending atomic.Bool
	// writeEnd is when a killed connection stops writing, Unix time in ns; 0 while it is not killed.
	// Likewise it is set before the deadlines are moved, and looked at after.
	writeEnd atomic.Int64

	writing sync.Mutex                  // held while an answer or a message is written, so that they stay whole
	mail    atomic.Pointer[chan []byte] // messages to write; nil before the first subscription
	mailman sync.WaitGroup              // the goroutine that writes them

	held     atomic.Int64 // bytes of the answer that is being written, if it counts: see holdAnswer
	deadline bool         // a read deadline of ours is set
}

// replies holds the memory of answers. A connection has it only while a submission is carried out.
var replies = sync.Pool{New: func() any { return new(command.Reply) }}

const (
	// replyBytesKept is the most memory of a reply that goes back to the pool.
	replyBytesKept = 64 << 10
	// writeChunk is what is written under one write deadline.
	writeChunk = 256 << 10
)

// After its last answer the server reads on for a while before it closes the connection: closing a socket
// with unread bytes resets it, and the client may never see the answer.
const (
	lingerTimeout = 250 * time.Millisecond
	lingerBytes   = 256 << 10
)

// killTimeout is how long a killed connection may go on writing.
const killTimeout = 250 * time.Millisecond

func newConn(s *Server, id uint64, socket net.Conn) *conn {
	if tcp, ok := socket.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: s.limits.KeepAlive})
	}
	peer, local := socket.RemoteAddr().String(), socket.LocalAddr().String()
	c := &conn{
		server:  s,
		session: command.NewSession(id, s.host, peer, local),
		logger:  s.logger.With("peer", peer, "client", id),
	}
	c.session.Transactions = s.queues
	c.wire = newWire(socket)
	c.socket = c.wire
	var src source = c.wire
	if s.tls != nil {
		tls := newSealed(c.wire, s.tls)
		c.socket, src = tls, tls
	}
	c.reader = newReader(src, &s.limits, s.buffers, &s.stats.bytesIn)
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// errEnd ends a connection without a word in the log.
var errEnd = errors.New("resp: the connection is to end")

// serve runs the connection to its end.
func (c *conn) serve() {
	defer c.mailman.Wait()
	defer c.cancel()
	defer c.socket.Close()
	defer c.reader.close()
	defer c.session.Close()
	defer c.surviveFault()
	if !c.handshake() {
		return
	}
	for {
		calls, err := c.receive()
		if err == nil {
			err = c.answer(calls)
		} else {
			err = c.refuse(err)
		}
		if err != nil {
			c.part(err)
			return
		}
	}
}

// handshake is the TLS handshake, if TLS is spoken.
func (c *conn) handshake() bool {
	tls, ok := c.socket.(*sealed)
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.server.limits.HandshakeTimeout)
	defer cancel()
	if err := tls.HandshakeContext(ctx); err != nil {
		c.logger.Info("TLS handshake failed", "err", err)
		return false
	}
	return true
}

// receive waits for the next submission, within the time that a silent client has. A client with a
// credential that is in the middle of a command is not silent as long as bytes of it arrive.
func (c *conn) receive() ([]command.Call, error) {
	trusted := c.session.Principal != nil
	for {
		c.limitSilence(trusted)
		if c.ending.Load() {
			return nil, errEnd
		}
		before := c.reader.received
		calls, err := c.reader.next(trusted)
		sending := trusted && c.reader.received != before
		if !sending || !errors.Is(err, os.ErrDeadlineExceeded) {
			return calls, err
		}
	}
}

// limitSilence sets the read deadline of a client that is silent from now on.
func (c *conn) limitSilence(trusted bool) {
	timeout := c.server.limits.IdleTimeout
	if timeout > 0 && c.session.Subscribed() { // who listens has nothing to say
		timeout = 0
	}
	if !trusted {
		timeout = c.server.limits.AnonymousTimeout
	}
	switch {
	case timeout > 0:
		c.deadline = true
		_ = c.socket.SetReadDeadline(time.Now().Add(timeout)) // a broken socket fails in Read
	case c.deadline:
		c.deadline = false
		_ = c.socket.SetReadDeadline(time.Time{})
	}
}

// answer has a submission carried out and writes the answers.
func (c *conn) answer(calls []command.Call) error {
	out := replies.Get().(*command.Reply)
	out.CountErrors(c.server.errors)
	for len(calls) > 0 {
		n, err := c.do(calls, out)
		if err != nil {
			return err
		}
		calls = calls[n:]
	}
	if cap(out.Bytes()) > replyBytesKept {
		out.Use(nil)
	}
	replies.Put(out)
	return nil
}

// do has the executor answer a prefix of calls, and writes what it answered unless CLIENT REPLY has
// muted the connection: then that is one call.
func (c *conn) do(calls []command.Call, out *command.Reply) (int, error) {
	out.Reset()
	out.SetProto(c.session.Proto)
	mute := c.session.TakeMute()
	if mute != command.MuteOff {
		calls = calls[:1]
	}
	n := c.server.executor.Do(c.ctx, c.session, calls, out)
	if n < 1 || n > len(calls) {
		panic("resp: the executor answered more calls than it was given, or none")
	}
	if !c.session.Silences(mute) {
		c.holdAnswer(cap(out.Bytes()))
		err := c.write(out.Bytes())
		c.releaseAnswer()
		if err != nil {
			return n, err
		}
	}
	if c.session.Closing {
		return n, io.EOF
	}
	c.takeMail()
	return n, nil
}

// refuse answers a command that could not be passed on. Any other error it returns.
func (c *conn) refuse(err error) error {
	refusal, ok := err.(*command.Error)
	if !ok {
		return err
	}
	mute := c.session.TakeMute()
	refusal = c.session.Refuse(nil, refusal)
	if c.session.Silences(mute) {
		return nil
	}
	return c.writeError(refusal)
}

func (c *conn) writeError(e *command.Error) error {
	var out command.Reply
	out.CountErrors(c.server.errors)
	out.Error(e)
	return c.write(out.Bytes())
}

// write sends b. Each chunk has the whole write timeout, so a client that reads a long answer slowly is
// served and one that does not read is cut off.
func (c *conn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	for len(b) > 0 {
		chunk := b[:min(len(b), writeChunk)]
		_ = c.socket.SetWriteDeadline(time.Now().Add(c.server.limits.WriteTimeout))
		if end := c.writeEnd.Load(); end != 0 {
			_ = c.socket.SetWriteDeadline(time.Unix(0, end))
		}
		n, err := c.socket.Write(chunk)
		c.server.stats.bytesOut.Add(uint64(n))
		b = b[n:]
		if err == nil {
			continue
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !c.ending.Load() {
			c.logger.Warn("client cut off: it does not read its answers", "pending_bytes", len(b))
			c.server.stats.cutOff.Add(1)
		}
		_ = c.wire.Close() // TLS would try for seconds to say goodbye
		return errEnd
	}
	return nil
}

// part says what is to be said about the end of a connection.
func (c *conn) part(err error) {
	var broken protocolError
	switch {
	case errors.As(err, &broken):
		c.server.stats.protocolErrors.Add(1)
		c.logger.Debug("client broke the protocol", "err", err)
		if c.session.Mute == command.MuteOff {
			c.sayLast(&command.Error{Code: command.Invalid, Text: broken.Error()})
			return
		}
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.ending.Load():
		c.logger.Debug("client closed: it was silent for too long")
	case c.session.Closing:
		c.linger()
	}
}

// sayLast writes an error and closes the connection so that the client can read it.
func (c *conn) sayLast(e *command.Error) {
	if c.writeError(e) == nil {
		c.linger()
	}
}

// linger ends our side of the connection and reads on for a while.
func (c *conn) linger() {
	half, ok := c.socket.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.socket.SetReadDeadline(time.Now().Add(lingerTimeout))
	if !c.ending.Load() {
		_, _ = io.CopyN(io.Discard, c.socket, lingerBytes)
	}
}

// surviveFault keeps a fault in the code of one call from ending the process. What the panic left
// unfinished cannot be known, so the answer says so, and the connection ends.
func (c *conn) surviveFault() {
	fault := recover()
	if fault == nil {
		return
	}
	c.reader.abandon()
	c.logger.Error("fault while a call was carried out", "fault", fault, "stack", string(debug.Stack()))
	c.sayLast(&command.Error{
		Code: command.Uncertain,
		Text: "internal error: this call and those sent with it may or may not have been applied",
	})
}

// drain ends the connection once the submission in progress is answered.
func (c *conn) drain() {
	c.ending.Store(true)
	_ = c.socket.SetReadDeadline(time.Unix(1, 0))
}

// kill ends the connection, whatever it waits for. The answer that a call in progress gives when its
// context ends is still sent if the client takes it at once: after a mere end clients send again.
func (c *conn) kill() {
	c.ending.Store(true)
	c.writeEnd.CompareAndSwap(0, time.Now().Add(killTimeout).UnixNano())
	c.cancel()
	_ = c.socket.SetDeadline(time.Unix(1, 0))
}
