package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/command"
)

// piecemeal answers one to three calls at a time.
type piecemeal struct {
	*echo
	turn int
}

func (p *piecemeal) Do(
	ctx context.Context, s *command.Session, calls []command.Call, out *command.Reply,
) int {
	p.turn++
	return p.echo.Do(ctx, s, calls[:min(len(calls), 1+p.turn%3)], out)
}

func TestServerAnswersInOrderPieceByPiece(t *testing.T) {
	s, _ := start(t, Options{Executor: &piecemeal{echo: newEcho()}})
	c := dial(t, s)
	var commands []string
	var want strings.Builder
	for i := range 500 {
		commands = append(commands, fmt.Sprintf("ECHO %04d", i))
		fmt.Fprintf(&want, "$4\r\n%04d\r\n", i)
	}
	c.send(commands...)
	c.want(want.String())
}

func TestServerSendsLongAnswersBeforeTheNextAreMade(t *testing.T) {
	s, executor := start(t, Options{})
	c := dial(t, s)
	c.send("BULK 3000000", "BULK 3000000", "PING")
	for range 2 {
		c.want("$3000000\r\n" + strings.Repeat("\x00", 3000000) + "\r\n")
	}
	c.want("+PONG\r\n")
	if got := len(executor.submissions()); got < 3 {
		t.Fatalf("the executor was asked %d times", got)
	}
}

// The parcel is all that redcon reads of a connection.
func TestParcelKeepsTheClientsBytesFromRedcon(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(theirs, "*1\r\n$9223372036854775807\r\n")
		written <- err
	}()
	p := &parcel{Conn: ours}
	got, err := io.ReadAll(p)
	if err != nil || string(got) != parcelCommand {
		t.Fatalf("read %q, %v", got, err)
	}
	select {
	case err := <-written:
		t.Fatalf("the client's bytes were read: %v", err)
	default:
	}
	ours.Close()
	<-written
}

// Connections come, work and go while the server drains: every answer that arrives is whole, every
// connection ends, and nothing is left running.
func TestServerStopsUnderLoad(t *testing.T) {
	s, _ := start(t, Options{Limits: Limits{IdleTimeout: time.Minute, Connections: 12}})
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			for connect(t, s.Addr().String(), 1+i) {
			}
		})
	}
	eventually(t, "there is load", func() bool { return s.Stats().Received > 200 })
	for _, session := range s.Clients() {
		s.Kill(session.ID)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	if stats := s.Stats(); stats.Connected != 0 || stats.BuffersBytes != 0 {
		t.Fatalf("%+v", stats)
	}
}

// connect opens a connection, sends some pipelines and closes it. It reports whether the server listens.
func connect(t *testing.T, addr string, depth int) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	payload := strings.Repeat("v", 100*depth)
	var in []byte
	for range depth {
		in = appendCommand(in, "ECHO", payload)
	}
	want := strings.Repeat(fmt.Sprintf("$%d\r\n%s\r\n", len(payload), payload), depth)
	for range 3 {
		if _, err := c.Write(in); err != nil {
			return true
		}
		got := make([]byte, len(want))
		n, err := io.ReadFull(c, got)
		if text := string(got[:n]); !strings.HasPrefix(want, text) && !strings.HasPrefix(text, "-ERR max") {
			t.Errorf("read %.100q, %v", text, err)
		}
		if err != nil {
			return true
		}
	}
	return true
}
