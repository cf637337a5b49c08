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
		if late, err = s.readOnce(p, c, out); late == 0 && err == nil {
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
func (s *Store) readOnce(
	p *patience, c *command.Call, out *command.Reply,
) (late int64, err *command.Error) {
	from := out.Mark()
	late, err = s.look(p, c.Credential, c.Namespace, func(v *engine.View) {
		c.Spec.Read(v, c, out)
	})
	if late != 0 {
		out.Truncate(from)
	}
	return late, err
}

// look reads a namespace in memory as soon as nothing in it must be hidden. late is as in
// engine.State.Read.
func (s *Store) look(
	p *patience, credential string, ref engine.Ref, fn func(v *engine.View),
) (late int64, err *command.Error) {
	for {
		hidden := false
		late, failed := s.state.Read(credential, ref, s.clock.read(), func(v *engine.View) {
			if hidden = s.curtain.drawn.Load(); !hidden {
				fn(v)
			}
		})
		switch {
		case hidden || failed != nil && s.curtain.drawn.Load():
			if opened := s.curtain.wait(); opened != nil && !p.wait(opened) {
				return 0, errNotApplied
			}
		case failed != nil:
			return 0, engineError(failed)
		default:
			return late, nil
		}
	}
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
	_, err := s.look(&p, "", engine.NoNamespace, func(v *engine.View) {
		info, found = v.NamespaceByName(name)
	})
	switch {
	case err != nil:
		return engine.Info{}, err
	case !found:
		return engine.Info{}, command.Errorf(command.NoNamespace, "no namespace is named %q", name)
	}
	return info, nil
}

// Watch returns what a WATCH of a key sees. Part of command.Host. It may look at memory that is behind:
// that only makes EXEC abort.
func (s *Store) Watch(credential string, ref engine.Ref, key []byte) (command.Watch, *command.Error) {
	p := s.patience(context.Background())
	defer p.end()
	w := command.Watch{Namespace: ref, Key: key}
	_, err := s.look(&p, credential, ref, func(v *engine.View) {
		w.Revision = v.Revision()
		_, w.Alive = v.Lookup(key)
	})
	if err != nil {
		return command.Watch{}, err
	}
	return w, nil
}
