package resp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
)

// testTimeout ends a test that waits for something that does not come.
const testTimeout = 10 * time.Second

// echo is an executor of a few commands that steer the connection they come from.
type echo struct {
	entered chan struct{} // WAIT has begun
	release chan struct{} // ends one WAIT

	mu       sync.Mutex
	received []int // guarded by mu: the number of calls of each submission
}

func newEcho() *echo {
	return &echo{entered: make(chan struct{}, 16), release: make(chan struct{})}
}

func (e *echo) submissions() []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]int(nil), e.received...)
}

func (e *echo) Do(ctx context.Context, s *command.Session, calls []command.Call, out *command.Reply) int {
	e.mu.Lock()
	e.received = append(e.received, len(calls))
	e.mu.Unlock()
	for i := range calls {
		e.call(ctx, s, calls[i].Args, out)
		if s.Halts() || out.Len() > 1<<20 {
			return i + 1
		}
	}
	return len(calls)
}

func (e *echo) call(ctx context.Context, s *command.Session, args [][]byte, out *command.Reply) {
	switch strings.ToUpper(string(args[0])) {
	case "ECHO":
		out.Bulk(args[1])
	case "BULK": // an answer of that size
		n, _ := strconv.Atoi(string(args[1]))
		out.Bulk(make([]byte, n))
	case "WAIT":
		e.entered <- struct{}{}
		select {
		case <-e.release:
			out.OK()
		case <-ctx.Done():
			out.Error(&command.Error{Code: command.NotApplied, Text: "given up"})
		}
	case "FAULT":
		panic("planted fault")
	case "QUIT":
		s.Closing = true
		out.OK()
	case "AUTH":
		s.Principal = &auth.Principal{Credential: string(args[1])}
		out.OK()
	case "MULTI":
		s.Multi.Active = true
		out.OK()
	case "BROKEN":
		out.Bool(s.Multi.Broken)
	case "HELLO":
		s.Proto = 3
		out.SetProto(3)
		out.Map(0)
	case "REPLY":
		reply(s, string(args[1]), out)
	default:
		out.Status("PONG")
	}
}

// reply is CLIENT REPLY.
func reply(s *command.Session, how string, out *command.Reply) {
	switch how {
	case "ON":
		s.Mute = command.MuteOff
		out.OK()
	case "OFF":
		s.Mute = command.MuteOn
	case "SKIP":
		s.Mute = command.MuteNext
	}
}

// host gives every connection a principal, unless it is closed.
type host struct {
	command.Host
	closed bool
}

func (h host) Now() time.Time { return time.Now() }

func (h host) Authenticate(string, time.Time) (*auth.Principal, error) {
	if h.closed {
		return nil, errors.New("no token")
	}
	return &auth.Principal{Credential: "default"}, nil
}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start runs a server on a loopback port until the test ends.
func start(t testing.TB, o Options) (*Server, *echo) {
	t.Helper()
	executor := newEcho()
	o.Addr = "127.0.0.1:0"
	if o.Executor == nil {
		o.Executor = executor
	}
	if o.Host == nil {
		o.Host = host{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s, executor
}

// client is the other end of a connection.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, s *Server) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testTimeout)); err != nil {
		t.Fatal(err)
	}
	return &client{Conn: c, t: t, r: bufio.NewReader(c)}
}

// send writes commands at once, each a line of words.
func (c *client) send(commands ...string) {
	c.t.Helper()
	var b []byte
	for _, line := range commands {
		b = appendCommand(b, strings.Fields(line)...)
	}
	c.sendRaw(string(b))
}

func (c *client) sendRaw(b string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, b); err != nil {
		c.t.Fatal(err)
	}
}

// want reads exactly this.
func (c *client) want(answer string) {
	c.t.Helper()
	got := make([]byte, len(answer))
	n, err := io.ReadFull(c.r, got)
	if err != nil || string(got) != answer {
		c.t.Fatalf("read %q, %v, want %q", got[:n], err, answer)
	}
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("read %.100q, %v, want the end", rest, err)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// selfSigned returns a TLS configuration for a server, and one for its clients.
func selfSigned(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}
