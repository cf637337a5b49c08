package server

import (
	"context"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/store"
)

// host is what commands of class Conn see of the node: command.Host.
type host struct {
	clock         clock.Clock
	authenticator auth.Authenticator
	store         *store.Store
	node          *node
}

// Authenticate verifies a token.
func (h *host) Authenticate(token string, now time.Time) (*auth.Principal, error) {
	return h.authenticator.Authenticate(token, now)
}

// Now returns the wall clock.
func (h *host) Now() time.Time { return h.clock.Now() }

// FindNamespace looks a named namespace up, linearizably.
func (h *host) FindNamespace(ctx context.Context, name string) (engine.Info, *command.Error) {
	return h.store.FindNamespace(ctx, name)
}

// Watch returns what a WATCH of a key sees.
func (h *host) Watch(credential string, ref engine.Ref, key []byte) (command.Watch, *command.Error) {
	return h.store.Watch(credential, ref, key)
}

// Node answers what is asked of the process as a whole.
func (h *host) Node() command.Node { return h.node }
