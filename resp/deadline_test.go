package resp

import (
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/primatomic/primatomic/command"
)

// timed is a connection on which the read deadline passes at each empty step of a script.
type timed struct {
	net.Conn
	steps []string
}

func (t *timed) Read(b []byte) (int, error) {
	if len(t.steps) == 0 {
		return 0, io.EOF
	}
	step := t.steps[0]
	t.steps = t.steps[1:]
	if step == "" {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(b, step), nil
}

func (t *timed) SetReadDeadline(time.Time) error { return nil }
func (t *timed) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (t *timed) LocalAddr() net.Addr             { return &net.TCPAddr{} }

// Whoever is sending is not silent, however long a command takes to arrive. Without a credential it is
// the whole command that has its time.
func TestDeadlinePassesWhileACommandArrives(t *testing.T) {
	for _, test := range []struct {
		name   string
		closed bool
		steps  []string
		want   error // nil: the command
	}{
		{"bytes before each", false, []string{"*1\r\n", "", "$4\r\nPI", "", "NG\r\n"}, nil},
		{"no bytes", false, []string{"", "PING\r\n"}, os.ErrDeadlineExceeded},
		{"no bytes the second time", false, []string{"*1\r\n", "", "", "$4\r\nPING\r\n"}, os.ErrDeadlineExceeded},
		{"without a credential", true, []string{"*1\r\n", "", "$4\r\nPING\r\n"}, os.ErrDeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &Server{
				host: host{closed: test.closed}, logger: slog.New(slog.DiscardHandler), ctx: t.Context(),
				limits: Limits{IdleTimeout: time.Hour}.withDefaults(),
			}
			c := newConn(s, 1, &timed{steps: test.steps})
			defer c.cancel()
			calls, err := c.receive()
			if err != test.want || err == nil && !isPing(calls) {
				t.Fatalf("received %d calls, %v, want the error %v", len(calls), err, test.want)
			}
		})
	}
}

func isPing(calls []command.Call) bool {
	return len(calls) == 1 && len(calls[0].Args) == 1 && string(calls[0].Args[0]) == "PING"
}
