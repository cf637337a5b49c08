package store

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
)

// doorkeeper lets in whoever shows the name of a scope as token.
type doorkeeper struct{}

func (doorkeeper) Authenticate(token string, _ time.Time) (*auth.Principal, error) {
	scopes := map[string]auth.Scope{"reader": auth.Read, "writer": auth.Read | auth.Write}
	scope, known := scopes[token]
	if !known {
		return nil, &auth.Error{}
	}
	return &auth.Principal{Credential: "tenant", Scope: scope}, nil
}

// TestGateOrder: of several reasons to refuse a call the first in the order of the gate is the answer.
func TestGateOrder(t *testing.T) {
	tests := []struct {
		name, token string
		full        bool
		lines       []string
		prefix      string // of the last answer
	}{
		{"lookup before all", "", true, []string{"NOSUCH"}, "-ERR unknown command"},
		{"arity before authentication", "", true, []string{"SET"}, "-ERR wrong number"},
		{"authentication before grammar", "", true, []string{"SET a 1 NONSENSE"}, "-NOAUTH"},
		{"permission before room", "reader", true, []string{"SET a 1"}, "-NOPERM"},
		{"room before grammar", "writer", true, []string{"SET a 1 NONSENSE"}, "-DISKFULL"},
		{"grammar", "writer", false, []string{"SET a 1 NONSENSE"}, "-ERR syntax error"},
		{"no room for growth", "writer", true, []string{"SET a 1"}, "-DISKFULL"},
		{"room for what does not grow", "writer", true, []string{"DEL a"}, ":0"},
		{"reads need no room", "writer", true, []string{"GET a"}, "$-1"},
		{"queued without permission", "reader", false, []string{"MULTI", "SET a 1", "EXEC"}, "-EXECABORT"},
		{"queued without room", "writer", true, []string{"MULTI", "SET a 1", "EXEC"}, "-EXECABORT"},
		{"queued with bad grammar", "writer", false, []string{"MULTI", "SET a 1 NONSENSE", "EXEC"},
			"*1\r\n-ERR syntax"},
		{"queued without arity", "writer", false, []string{"MULTI", "SET", "EXEC"}, "-EXECABORT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settled(t, func(t *testing.T, n *node) {
				s := &session{n, command.NewSession(1, testHost{n, doorkeeper{}}, "peer", "local")}
				if tt.token != "" {
					s.Principal, _ = doorkeeper{}.Authenticate(tt.token, time.Time{})
				}
				n.store.SetDiskFull(tt.full)
				last := ""
				for _, line := range tt.lines {
					p := s.start(line)
					n.settle()
					p.answers(t)
					last = string(p.reply.Bytes())
				}
				if len(last) < len(tt.prefix) || last[:len(tt.prefix)] != tt.prefix {
					t.Errorf("answered %q, want %q", last, tt.prefix)
				}
			})
		})
	}
}

// TestCheckpointIsTriedAgain: one that failed counts for nothing, neither as a checkpoint nor as the log that
// it should have replaced.
func TestCheckpointIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.store.limits.CheckpointBytesMin = 500
		n.settle()
		good := n.store.checkpoints.dir
		n.store.checkpoints.dir = "/dev/null/nothing"
		s := n.session()
		for range 10 {
			s.do("SET a 1")
		}
		if n.store.LastCheckpoint().Index != 0 {
			t.Fatal("a checkpoint was made of nothing")
		}
		n.store.checkpoints.dir = good
		s.do("SET a 2")
		if n.store.LastCheckpoint().Index != 0 {
			t.Error("tried again at once")
		}
		n.advance(checkpointRetry)
		s.do("DEL b")
		n.advance(time.Second)
		if n.store.LastCheckpoint().Index == 0 {
			t.Error("not tried again")
		}
		n.stop()
		n.open()
		n.settle()
		expect(t, n.session().do("GET a"), "$1 2 ")
		n.crash()
		n.settle()
		expect(t, n.session().do("GET a"), "$1 2 ")
		n.host.Stop()
		n.must(n.store.Close(context.Background()))
	})
}
