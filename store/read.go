package store

import (
	"context"
	"errors"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// answer answers a read from memory, at a read point taken now.
func (s *Store) answer(p *patience, c *command.Call, out *command.Reply) {
	err := s.readPoint(p)
	for err == nil {
		var late int64
		if late, err = s.readOnce(c, out); late == 0 && err == nil {
			return
		}
		if err == nil {
			err = s.tick(p, late)
		}
	}
	out.Error(err)
}

// readOnce answers a read by the log time of the applied state. If the clock says of a key it met that
// it has expired, though the log does not say so yet, nothing is answered and the deadline is returned.
func (s *Store) readOnce(c *command.Call, out *command.Reply) (late int64, err *command.Error) {
	from := out.Mark()
	late, failed := s.state.Read(c.Credential, c.Namespace, s.clock.read(), func(v *engine.View) {
		c.Spec.Read(v, c, out)
	})
	if failed != nil {
		return 0, engineError(failed)
	}
	if late != 0 {
		out.Truncate(from)
	}
	return late, nil
}

// readPoint waits until the applied state may be read linearizably.
func (s *Store) readPoint(p *patience) *command.Error {
	switch {
	case s.failed.Load():
		return errStopping
	case s.group.TryRead():
		return nil
	case p.over:
		return errNotApplied
	}
	pending := s.group.StartRead()
	switch {
	case !p.wait(pending.Done()):
		return errNotApplied
	case errors.Is(pending.Err(), raft.ErrStopped) || s.failed.Load():
		return errStopping
	case pending.Err() != nil:
		return errNotApplied
	}
	return nil
}

// errStopping answers what comes while the node stops.
var errStopping = &command.Error{
	Code: command.NotApplied, Text: "not applied: the node is stopping, it is safe to send it again",
}

// FindNamespace looks a named namespace up. Part of command.Host.
func (s *Store) FindNamespace(ctx context.Context, name string) (engine.Info, *command.Error) {
	p := s.patience(ctx)
	defer p.end()
	if err := s.readPoint(&p); err != nil {
		return engine.Info{}, err
	}
	var info engine.Info
	var found bool
	_, failed := s.state.Read("", engine.NoNamespace, 0, func(v *engine.View) {
		info, found = v.NamespaceByName(name)
	})
	if failed != nil || !found {
		return engine.Info{}, command.Errorf(command.NoNamespace, "no namespace is named %q", name)
	}
	return info, nil
}

// Watch returns what a WATCH of a key sees. Part of command.Host. It may look at memory that is behind:
// that only makes EXEC abort.
func (s *Store) Watch(credential string, ref engine.Ref, key []byte) (command.Watch, *command.Error) {
	w := command.Watch{Namespace: ref, Key: key}
	_, err := s.state.Read(credential, ref, s.clock.read(), func(v *engine.View) {
		w.Revision = v.Revision()
		_, w.Alive = v.Lookup(key)
	})
	if err != nil {
		return command.Watch{}, engineError(err)
	}
	return w, nil
}
