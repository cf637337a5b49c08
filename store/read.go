package store

import (
	"context"
	"errors"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

// answerStale answers a read from this node's memory as it is, by the log time that it has applied.
func (s *Store) answerStale(p *patience, c *command.Call, out *command.Reply) {
	if s.failed.Load() {
		out.Error(errStopping)
		return
	}
	if err := s.awaitReplay(p); err != nil {
		out.Error(err)
		return
	}
	_, err := s.state().Read(c.Credential, c.Namespace, 0, func(v *engine.View) { c.Spec.Read(v, c, out) })
	if err != nil {
		out.Error(engineError(err))
	}
}

// answer answers a read from memory, at a read point taken now.
func (s *Store) answer(p *patience, c *command.Call, out *command.Reply) {
	now, err := s.readPoint(p)
	for err == nil {
		var late int64
		if late, err = s.readOnce(p, c, now, out); late == 0 && err == nil {
			return
		}
		if err == nil {
			err = s.tick(p, late)
		}
	}
	out.Error(err)
}

// readOnce answers a read by the log time of the applied state. If now, the leader's time, says of a key it met
// that it has expired, though the log does not say so yet, nothing is answered and the deadline is returned.
func (s *Store) readOnce(
	p *patience, c *command.Call, now int64, out *command.Reply,
) (late int64, err *command.Error) {
	from := out.Mark()
	late, err = s.look(p, c.Credential, c.Namespace, now, func(v *engine.View) {
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
	p *patience, credential string, ref engine.Ref, now int64, fn func(v *engine.View),
) (late int64, err *command.Error) {
	if err := s.awaitReplay(p); err != nil {
		return 0, err
	}
	for {
		if s.quarantined.Load() != nil {
			return 0, errQuarantined
		}
		hidden := false
		late, failed := s.state().Read(credential, ref, now, func(v *engine.View) {
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

// awaitReplay waits until the log that was there at the start has been replayed: before that the state has no
// order of keys.
func (s *Store) awaitReplay(p *patience) *command.Error {
	select {
	case <-s.replayed:
	default:
		if !p.wait(s.replayed) {
			return errNotApplied
		}
	}
	return nil
}

// readPoint waits until the applied state may be read linearizably. It returns the leader's time in ms, for which the
// answer is to be: this node's own if it leads, else what came with the leader's answer.
func (s *Store) readPoint(p *patience) (now int64, _ *command.Error) {
	switch {
	case s.failed.Load():
		return 0, errStopping
	case s.group.TryRead():
		return s.clock.read(), nil
	case p.over:
		return 0, errNotApplied
	}
	pending := s.group.StartRead()
	switch {
	case !p.wait(pending.Done()):
		return 0, errNotApplied
	case errors.Is(pending.Err(), raft.ErrStopped) || s.failed.Load():
		return 0, errStopping
	case pending.Err() != nil:
		return 0, errNotApplied
	case pending.Stamp() != 0:
		return pending.Stamp(), nil
	}
	return s.clock.read(), nil
}

// errStopping answers what comes while the node stops.
var errStopping = &command.Error{
	Code: command.NotApplied, Text: "not applied: the node is stopping, it is safe to send it again",
}

// FindNamespace looks a named namespace up. Part of command.Host.
func (s *Store) FindNamespace(ctx context.Context, name string) (engine.Info, *command.Error) {
	p := s.patience(ctx)
	defer p.end()
	if _, err := s.readPoint(&p); err != nil {
		return engine.Info{}, err
	}
	var info engine.Info
	var found bool
	_, err := s.look(&p, "", engine.NoNamespace, 0, func(v *engine.View) {
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
	_, err := s.look(&p, credential, ref, 0, func(v *engine.View) {
		w.Revision = v.Revision()
		_, w.Alive = v.Lookup(key)
	})
	if err != nil {
		return command.Watch{}, err
	}
	return w, nil
}
