package resp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServerAnswersInOrder(t *testing.T) {
	s, _ := start(t, Options{})
	c := dial(t, s)
	c.send("PING", "ECHO a", "ECHO bc", "PING")
	c.want("+PONG\r\n$1\r\na\r\n$2\r\nbc\r\n+PONG\r\n")
	c.sendRaw("ECHO \"in line\"\r\n")
	c.want("$7\r\nin line\r\n")
	c.send("HELLO 3", "BROKEN")
	c.want("%0\r\n#f\r\n")
	c.send("BROKEN") // the protocol outlives the submission
	c.want("#f\r\n")
}

func TestServerAnswersACommandThatComesByteByByte(t *testing.T) {
	s, _ := start(t, Options{})
	c := dial(t, s)
	for _, b := range appendCommand(nil, "ECHO", "hello") {
		c.sendRaw(string(b))
	}
	c.want("$5\r\nhello\r\n")
}

// What has arrived while the connection was busy is one submission, however large its reads are.
func TestServerSubmitsWhatHasArrivedWhole(t *testing.T) {
	serverTLS, clientTLS := selfSigned(t)
	for _, test := range []struct {
		name string
		tls  *tls.Config
	}{{"plain", nil}, {"TLS", serverTLS}} {
		t.Run(test.name, func(t *testing.T) {
			s, executor := start(t, Options{TLS: test.tls})
			c := dial(t, s)
			if test.tls != nil {
				c = newClient(t, tls.Client(c.Conn, clientTLS))
			}
			c.send("WAIT")
			<-executor.entered
			var pipeline []byte
			for range 48 {
				pipeline = appendCommand(pipeline, "SET", "key", strings.Repeat("v", 1024))
			}
			c.sendRaw(string(pipeline))
			executor.release <- struct{}{}
			c.want("+OK\r\n" + strings.Repeat("+PONG\r\n", 48))
			if got := executor.submissions(); !slices.Equal(got, []int{1, 48}) {
				t.Fatalf("submissions of %v, want 1 and 48", got)
			}
		})
	}
}

func TestServerSubmitsAPipelineOfOneWriteWhole(t *testing.T) {
	s, executor := start(t, Options{})
	c := dial(t, s)
	var pipeline []byte
	for range 16 {
		pipeline = appendCommand(pipeline, "SET", "key", strings.Repeat("v", 1024))
	}
	c.sendRaw(string(pipeline))
	c.want(strings.Repeat("+PONG\r\n", 16))
	if got := executor.submissions(); !slices.Equal(got, []int{16}) {
		t.Fatalf("submissions of %v, want one of 16", got)
	}
}

func TestServerEndsConnectionsThatBreakTheProtocol(t *testing.T) {
	s, _ := start(t, Options{Host: host{closed: true}})
	behind := strings.Repeat("x", 100_000) // is not read, and must not cost the client its answer
	for _, test := range []struct{ in, want string }{
		{"*1\r\n$9223372036854775807\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*9223372036854775807\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"*2\r\n$4\r\nAUTH\r\n$1073741824\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*2\r\n$4\r\nAUTH\r\n$100000\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
		{"*1000\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
		{"*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
		{"PING\r\nECHO \"\r\n", "+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n"},
	} {
		c := dial(t, s)
		c.sendRaw(test.in + behind)
		c.want(test.want)
		c.wantEnd()
	}
	if got := s.Stats().ProtocolErrors; got != 7 {
		t.Fatalf("%d protocol errors counted", got)
	}
}

func TestServerLiftsLimitsAfterAuth(t *testing.T) {
	s, _ := start(t, Options{Host: host{closed: true}})
	c := dial(t, s)
	value := strings.Repeat("v", 100_000)
	c.sendRaw(string(appendCommand(appendCommand(nil, "AUTH", "token"), "ECHO", value)))
	c.want("+OK\r\n" + fmt.Sprintf("$%d\r\n%s\r\n", len(value), value))
}

func TestServerRefusesWhatIsTooLarge(t *testing.T) {
	s, _ := start(t, Options{Limits: Limits{BulkBytes: 1000}})
	c := dial(t, s)
	huge, large := strings.Repeat("v", 300_000), strings.Repeat("v", 2000)
	c.send("MULTI", "SET k "+huge, "BROKEN", "REPLY SKIP", "SET k "+large, "PING")
	c.want("+OK\r\n-ERR string exceeds maximum allowed size (16777216 bytes)\r\n:1\r\n+PONG\r\n")
}

func TestServerLimitsConnections(t *testing.T) {
	s, _ := start(t, Options{Limits: Limits{Connections: 2}})
	first, second := dial(t, s), dial(t, s)
	for _, c := range []*client{first, second} {
		c.send("PING")
		c.want("+PONG\r\n")
	}
	third := dial(t, s)
	third.want("-ERR max number of clients reached\r\n")
	third.wantEnd()
	if stats := s.Stats(); stats.Rejected != 1 || stats.Connected != 2 || stats.Received != 2 {
		t.Fatalf("%+v", stats)
	}
	_ = first.Close()
	eventually(t, "the place is free", func() bool { return s.Stats().Connected == 1 })
	eventually(t, "a new connection is served", func() bool {
		c := dial(t, s)
		c.send("PING")
		line, err := c.r.ReadString('\n')
		return err == nil && line == "+PONG\r\n"
	})
}

func TestServerCutsOffSlowReaders(t *testing.T) {
	var log logBuffer
	s, _ := start(t, Options{
		Limits: Limits{WriteTimeout: 30 * time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	slow, quick := dial(t, s), dial(t, s)
	slow.send("BULK 67108864")
	eventually(t, "the slow client is cut off", func() bool { return s.Stats().CutOff == 1 })
	if got := log.String(); !strings.Contains(got, "peer="+slow.LocalAddr().String()) ||
		!strings.Contains(got, "pending_bytes=") {
		t.Fatalf("log: %s", got)
	}
	quick.send("PING")
	quick.want("+PONG\r\n")
}

func TestServerDoesNotWaitForTLSPeers(t *testing.T) {
	serverTLS, clientTLS := selfSigned(t)
	s, _ := start(t, Options{TLS: serverTLS, Limits: Limits{WriteTimeout: 30 * time.Millisecond}})
	slow := newClient(t, tls.Client(dial(t, s).Conn, clientTLS))
	slow.send("BULK 67108864")
	eventually(t, "the slow client is cut off", func() bool { return s.Stats().CutOff == 1 })
	began := time.Now()
	eventually(t, "its connection has ended", func() bool { return s.Stats().Connected == 0 })
	dial(t, s) // and never says hello
	eventually(t, "another connection is there", func() bool { return s.Stats().Connected == 1 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Fatalf("took %v", took)
	}
}

func TestServerEndsSilentConnections(t *testing.T) {
	for _, test := range []struct {
		name   string
		closed bool
		limits Limits
	}{
		{"idle", false, Limits{IdleTimeout: 20 * time.Millisecond}},
		{"without a credential", true, Limits{AnonymousTimeout: 20 * time.Millisecond}},
		{"within a command", false, Limits{IdleTimeout: 20 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := start(t, Options{Host: host{closed: test.closed}, Limits: test.limits})
			c := dial(t, s)
			c.sendRaw("*2\r\n$4\r\nEC")
			c.wantEnd()
		})
	}
	t.Run("not after AUTH", func(t *testing.T) {
		s, _ := start(t, Options{Host: host{closed: true}, Limits: Limits{AnonymousTimeout: 50 * time.Millisecond}})
		c, silent := dial(t, s), dial(t, s)
		c.send("AUTH token")
		c.want("+OK\r\n")
		silent.wantEnd() // as long as this takes, the other was silent too
		c.send("PING")
		c.want("+PONG\r\n")
	})
	t.Run("TLS without a handshake", func(t *testing.T) {
		config, _ := selfSigned(t)
		s, _ := start(t, Options{TLS: config, Limits: Limits{HandshakeTimeout: 20 * time.Millisecond}})
		c := dial(t, s)
		c.wantEnd()
	})
}

func TestServerDrains(t *testing.T) {
	t.Run("without deadlines", func(t *testing.T) { testDrain(t, Limits{}) })
	t.Run("with deadlines", func(t *testing.T) { testDrain(t, Limits{IdleTimeout: time.Hour}) })
}

func testDrain(t *testing.T, limits Limits) {
	s, executor := start(t, Options{Limits: limits})
	busy, idle := dial(t, s), dial(t, s)
	idle.send("PING")
	idle.want("+PONG\r\n")
	busy.send("WAIT", "ECHO done")
	<-executor.entered
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.wantEnd()
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Fatal("still accepting")
	}
	select {
	case err := <-done:
		t.Fatalf("did not wait for the submission in progress: %v", err)
	default:
	}
	executor.release <- struct{}{}
	busy.want("+OK\r\n$4\r\ndone\r\n")
	busy.wantEnd()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestServerDrainGivesUp(t *testing.T) {
	s, executor := start(t, Options{})
	busy := dial(t, s)
	busy.send("WAIT")
	<-executor.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	busy.want("-TRYAGAIN given up\r\n")
}

func TestServerSurvivesFaults(t *testing.T) {
	var log logBuffer
	s, _ := start(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c, other := dial(t, s), dial(t, s)
	c.send("FAULT "+strings.Repeat("v", 300_000), "PING")
	c.want("-UNCERTAIN internal error: this call and those sent with it may or may not have been applied\r\n")
	c.wantEnd()
	if got := log.String(); !strings.Contains(got, "planted fault") || !strings.Contains(got, "echo_test.go") {
		t.Fatalf("log: %s", got)
	}
	other.send("PING")
	other.want("+PONG\r\n")
	eventually(t, "its buffers are accounted for", func() bool { return s.Stats().BuffersBytes == 0 })
}

func TestServerKills(t *testing.T) {
	s, executor := start(t, Options{})
	idle, busy, slow, other := dial(t, s), dial(t, s), dial(t, s), dial(t, s)
	ids := map[*client]uint64{}
	for _, c := range []*client{idle, busy, slow, other} {
		c.send("PING")
		c.want("+PONG\r\n")
		for _, session := range s.Clients() {
			if session.Peer == c.LocalAddr().String() {
				ids[c] = session.ID
			}
		}
	}
	if clients := s.Clients(); len(clients) != 4 || clients[0].ID >= clients[1].ID {
		t.Fatalf("clients: %v", clients)
	}
	busy.send("WAIT", "PING")
	<-executor.entered
	slow.send("BULK 67108864")
	eventually(t, "the answer has begun", func() bool { return s.Stats().BytesOut > 1<<16 })
	for _, c := range []*client{idle, busy, slow} {
		if !s.Kill(ids[c]) {
			t.Fatalf("no client %d", ids[c])
		}
	}
	idle.wantEnd()
	busy.want("-TRYAGAIN given up\r\n")
	eventually(t, "one client is left", func() bool { return s.Stats().Connected == 1 })
	if s.Kill(ids[idle]) {
		t.Fatal("killed twice")
	}
	other.send("PING")
	other.want("+PONG\r\n")
}

func TestServerMutes(t *testing.T) {
	s, _ := start(t, Options{})
	c := dial(t, s)
	c.send("ECHO a", "REPLY SKIP", "ECHO b", "ECHO c", "REPLY OFF", "ECHO d", "ECHO e", "REPLY ON", "ECHO f")
	c.want("$1\r\na\r\n$1\r\nc\r\n+OK\r\n$1\r\nf\r\n")
	c.sendRaw("REPLY OFF\r\nECHO g\r\n*x\r\n")
	c.wantEnd()
}

func TestServerEndsAfterQuit(t *testing.T) {
	s, executor := start(t, Options{})
	c := dial(t, s)
	c.send("PING", "QUIT", "WAIT")
	c.want("+PONG\r\n+OK\r\n")
	c.wantEnd()
	if len(executor.entered) > 0 {
		t.Fatal("carried out what followed QUIT")
	}
}

func TestServerHoldsNoLargeBuffersAtRest(t *testing.T) {
	s, _ := start(t, Options{})
	const connections, size = 4, 16 << 20
	value := appendCommand(nil, []byte("ECHO"), bytes.Repeat([]byte("v"), size))
	answer := fmt.Sprintf("$%d\r\n", size)
	clients := make([]*client, connections)
	for i := range clients {
		clients[i] = dial(t, s)
		clients[i].send("PING")
		clients[i].want("+PONG\r\n")
	}
	before := liveHeap()
	for _, c := range clients {
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(value)
			sent <- err
		}()
		c.want(answer)
		if _, err := c.r.Discard(size + 2); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		c.send("PING")
		c.want("+PONG\r\n")
	}
	if after := liveHeap(); after > before+connections*64<<10 {
		t.Fatalf("%d connections at rest hold %d KiB", connections, (after-before)>>10)
	}
	runtime.KeepAlive(value)
}

// liveHeap returns what is reachable. Pools take two collections to let go.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestServerPausesAfterAcceptErrors(t *testing.T) {
	s, _ := start(t, Options{})
	s.cancel() // so that the pauses end at once
	for range 20 {
		s.acceptFailed(errors.New("too many open files"))
	}
	if s.acceptPause != acceptPauseMax {
		t.Fatalf("pause of %v", s.acceptPause)
	}
}

// failing fails to accept a few times.
type failing struct {
	net.Listener
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestServerGoesOnAfterAcceptErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, Options{Listener: &failing{Listener: l, failures: 2}})
	c := dial(t, s)
	c.send("PING")
	c.want("+PONG\r\n")
}

func TestNewRefusesBadLimits(t *testing.T) {
	for _, limits := range []Limits{
		{Connections: -1}, {CommandBytes: sizeMax + 1}, {BulkBytes: 1 << 20, BulkBytesSkipped: 1},
	} {
		o := Options{Addr: "127.0.0.1:0", Executor: newEcho(), Host: host{}, Limits: limits}
		if _, err := New(o); err == nil {
			t.Errorf("%+v accepted", limits)
		}
	}
}
