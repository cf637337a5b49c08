package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// fakeHost is a process without network and log: what a session asks for is answered from one engine,
// in the order of the gate.
type fakeHost struct {
	auth.Authenticator
	registry *Registry
	state    *engine.State
	now      time.Time
	cluster  *fakeCluster

	mu      sync.Mutex
	clients []*Session
}

func newFakeHost(authenticator auth.Authenticator) *fakeHost {
	return &fakeHost{
		Authenticator: authenticator, registry: NewRegistry(), state: engine.New([16]byte{1}),
		now: time.UnixMilli(1_700_000_000_123), cluster: newFakeCluster(),
	}
}

// tokens accepts the names of principals.
type tokens map[string]*auth.Principal

func (t tokens) Authenticate(token string, now time.Time) (*auth.Principal, error) {
	p := t[token]
	switch {
	case token == "":
		return nil, &auth.Error{Reason: auth.NoToken}
	case p == nil:
		return nil, &auth.Error{Reason: auth.BadSignature}
	case p.Expired(now):
		return nil, &auth.Error{Reason: auth.Expired}
	}
	return p, nil
}

func testTokens() tokens {
	const rw = auth.Read | auth.Write
	return tokens{
		"alice":         {Credential: "alice", Scope: rw},
		"alice-again":   {Credential: "alice", Scope: rw},
		"alice-reader":  {Credential: "alice", Scope: auth.Read},
		"alice-writer":  {Credential: "alice", Scope: auth.Write},
		"alice-app":     {Credential: "alice", Scope: rw, Namespaces: []string{"app"}},
		"alice-brief":   {Credential: "alice", Scope: rw, Expires: time.UnixMilli(1_700_000_060_000)},
		"bob":           {Credential: "bob", Scope: rw},
		"administrator": {Credential: "root", Scope: auth.ScopeAll},
	}
}

func (h *fakeHost) Now() time.Time      { return h.now }
func (h *fakeHost) Node() Node          { return h }
func (h *fakeHost) Registry() *Registry { return h.registry }
func (h *fakeHost) Cluster() Cluster    { return h.cluster }
func (h *fakeHost) Info(*Session) []InfoSection {
	return []InfoSection{
		{Name: "Server", Fields: []InfoField{{"redis_version", RedisVersion}, {"redis_mode", "standalone"}}},
		{Name: "Replication", Fields: []InfoField{
			{"role", "master"}, {"connected_slaves", "0"}, {"master_repl_offset", "42"},
		}},
		{Name: "Commandstats", Extra: true, Fields: []InfoField{{"cmdstat_get", "calls=1"}}},
	}
}

func (h *fakeHost) Config() map[string]string {
	return map[string]string{
		"databases": "16", "maxmemory": "0", "maxmemory-policy": "noeviction", "save": "", "timeout": "0",
	}
}

func (h *fakeHost) Clients() []*Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*Session(nil), h.clients...)
}

func (h *fakeHost) Kill(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range h.clients {
		if s.ID == id {
			h.clients = append(h.clients[:i:i], h.clients[i+1:]...)
			return true
		}
	}
	return false
}

func (h *fakeHost) FindNamespace(_ context.Context, name string) (info engine.Info, failed *Error) {
	failed = Errorf(NoNamespace, "no namespace is named %q", name)
	_, err := h.state.Read("", engine.NoNamespace, 0, func(v *engine.View) {
		if found, ok := v.NamespaceByName(name); ok {
			info, failed = found, nil
		}
	})
	if err != nil {
		panic(err)
	}
	return info, failed
}

func (h *fakeHost) Watch(credential string, ref engine.Ref, key []byte) (Watch, *Error) {
	w := Watch{Namespace: ref, Key: key}
	_, err := h.state.Read(credential, ref, h.now.UnixMilli(), func(v *engine.View) {
		w.Revision = v.Revision()
		_, w.Alive = v.Lookup(key)
	})
	if err != nil {
		return w, errNamespaceGone
	}
	return w, nil
}

// connect returns a session of the host's next connection.
func (h *fakeHost) connect() *Session {
	h.mu.Lock()
	id := uint64(1)
	if n := len(h.clients); n > 0 {
		id = h.clients[n-1].ID + 1
	}
	h.mu.Unlock()
	s := NewSession(id, h, fmt.Sprintf("127.0.0.1:%d", 50000+id), "127.0.0.1:6379")
	h.mu.Lock()
	h.clients = append(h.clients, s)
	h.mu.Unlock()
	return s
}

// send gives one command line to the gate and returns what a client would see.
func (h *fakeHost) send(s *Session, args ...string) string {
	line := make([][]byte, len(args))
	for i, arg := range args {
		line[i] = []byte(arg)
	}
	mute := s.TakeMute()
	out := NewReply(s.Proto, nil)
	h.call(s, &Call{Args: line}, out)
	if s.Silences(mute) {
		return ""
	}
	for _, arg := range line {
		clear(arg) // the bytes belong to the front door
	}
	return string(out.Bytes())
}

func (h *fakeHost) call(s *Session, c *Call, out *Reply) {
	err := h.registry.Resolve(c)
	if err == nil {
		err = s.Admit(c)
	}
	if err != nil {
		out.Error(s.Refuse(c.Spec, err))
		return
	}
	s.Note(c.Spec, h.now)
	if s.Multi.Active && !c.Spec.Flags.Has(MultiNow) {
		if err := s.Enqueue(c); err != nil {
			out.Error(s.Refuse(c.Spec, err))
			return
		}
		out.Status("QUEUED")
		return
	}
	if err := c.Parse(); err != nil { // of a queued call EXEC answers it
		out.Error(s.Refuse(c.Spec, err))
		return
	}
	if c.Spec.Name == "exec" {
		if err := s.TakeExec(context.Background(), c); err != nil {
			out.Error(err)
			return
		}
	}
	h.route(s, c, out)
}

func (h *fakeHost) route(s *Session, c *Call, out *Reply) {
	switch c.Class() {
	case Conn:
		c.Spec.Conn(context.Background(), s, c, out)
	case Read:
		_, err := h.state.Read(c.Credential, c.Namespace, h.now.UnixMilli(), func(v *engine.View) {
			c.Spec.Read(v, c, out)
		})
		if err != nil {
			out.Error(errNamespaceGone)
		}
	case Write:
		batch := h.state.Begin(h.now.UnixMilli(), 1)
		defer batch.End()
		tx, err := batch.Tx(c.Credential, c.Namespace)
		if err != nil {
			out.Error(errNamespaceGone)
			return
		}
		out.Mark()
		if c.Spec.Write(tx, c, out); out.Code() != OK {
			tx.Rollback()
			return
		}
		tx.Commit()
	}
}

// splitLine splits a command line of a script: words, or quoted strings as Go writes them.
func splitLine(t *testing.T, line string) []string {
	t.Helper()
	var args []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			arg, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatal(err)
			}
			args, line = append(args, arg), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		args, line = append(args, word), rest
	}
	return args
}
