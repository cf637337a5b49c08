package resp

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/command"
)

// listening is an executor that carries out the rows of SUBSCRIBE and its like, and PING.
type listening struct{ registry *command.Registry }

func (l listening) Do(ctx context.Context, s *command.Session, calls []command.Call, out *command.Reply) int {
	for i := range calls {
		c := &calls[i]
		if err := l.registry.Prepare(c); err != nil {
			out.Error(err)
			continue
		}
		c.Spec.Conn(ctx, s, c, out)
	}
	return len(calls)
}

const message = "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$2\r\nhi\r\n"

// TestPublish: who listens gets a message whole, between answers; who does not, or no longer does, gets none.
func TestPublish(t *testing.T) {
	s, _ := start(t, Options{Executor: listening{command.NewRegistry()}, Limits: Limits{IdleTimeout: time.Minute}})
	deaf, a, b := dial(t, s), dial(t, s), dial(t, s)
	for _, c := range []*client{a, b} {
		c.send("SUBSCRIBE +switch-master")
		c.want("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")
	}
	deaf.send("PING")
	deaf.want("+PONG\r\n")
	waitForMail(t, s, 2)
	s.Publish("+slave", "nobody listens to that")
	s.Publish(command.SwitchMaster, "hi")
	for _, c := range []*client{a, b} {
		c.want(message)
	}
	b.send("UNSUBSCRIBE")
	b.want("*3\r\n$11\r\nunsubscribe\r\n$14\r\n+switch-master\r\n:0\r\n")
	s.Publish(command.SwitchMaster, "hi")
	a.want(message)
	a.send("PING")
	a.want("*2\r\n$4\r\npong\r\n$0\r\n\r\n")
	for _, c := range []*client{b, deaf} {
		c.send("PING")
		c.want("+PONG\r\n")
	}
}

// waitForMail waits until so many connections have messages delivered to them.
func waitForMail(t *testing.T, s *Server, n int) {
	t.Helper()
	eventually(t, "the connections listen", func() bool {
		ready := 0
		for _, c := range s.open() {
			if c.mail.Load() != nil {
				ready++
			}
		}
		return ready == n
	})
}

// TestPublishCutsOffWhoDoesNotRead: messages that nobody reads are bounded, and hold up nobody else.
func TestPublishCutsOffWhoDoesNotRead(t *testing.T) {
	s, _ := start(t, Options{Executor: listening{command.NewRegistry()}})
	stuck, reads := dial(t, s), dial(t, s)
	for _, c := range []*client{stuck, reads} {
		c.send("SUBSCRIBE +switch-master")
		c.want("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")
	}
	waitForMail(t, s, 2)
	large := strings.Repeat("x", 1<<20)
	for i := 0; s.Stats().CutOff == 0; i++ {
		if i > 1000 {
			t.Fatal("nobody is cut off")
		}
		s.Publish(command.SwitchMaster, large)
		reads.want(fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%d\r\n%s\r\n", len(large), large))
	}
	reads.send("PING")
	reads.want("*2\r\n$4\r\npong\r\n$0\r\n\r\n")
}
