package store

import (
	"context"

	"github.com/primatomic/primatomic/command"
)

// gate is passed by every command once, in the same order: lookup, arity, grammar and sizes; credential
// and permission; growth. Then it routes: a call of class Conn is carried out on the spot, inside
// MULTI a call is queued. following says that earlier calls of the connection are still on their way.
func (s *Store) gate(
	ctx context.Context, session *command.Session, c *command.Call, out *command.Reply, following bool,
) step {
	if err := s.registry.Prepare(c); err != nil {
		out.Error(session.Refuse(c.Spec, err))
		return done
	}
	if following && mustWait(session, c) {
		return behind
	}
	if err := s.admit(session, c); err != nil {
		out.Error(session.Refuse(c.Spec, err))
		return done
	}
	if session.Multi.Active && !c.Spec.Flags.Has(command.MultiNow) {
		if err := session.Enqueue(c); err != nil {
			out.Error(session.Refuse(c.Spec, err))
			return done
		}
		out.Status("QUEUED")
		return done
	}
	return s.route(ctx, session, c, out)
}

// admit asks whether the session may, puts the call in its name, and refuses growth when there is no
// room for it.
func (s *Store) admit(session *command.Session, c *command.Call) *command.Error {
	if err := session.Admit(c); err != nil {
		return err
	}
	session.Note(c.Spec, s.source.Now())
	if s.diskFull.Load() && c.Spec.Flags.Has(command.DenyGrowth) {
		return command.ErrDiskFull
	}
	return nil
}

// route tells the way of a call, or carries it out if its way ends on the connection.
func (s *Store) route(
	ctx context.Context, session *command.Session, c *command.Call, out *command.Reply,
) step {
	if c.Spec == s.exec {
		if err := session.TakeExec(ctx, c); err != nil {
			out.Error(err)
			return done
		}
	}
	switch c.Class() {
	case command.Read:
		return read
	case command.Write:
		return write
	}
	c.Spec.Conn(ctx, session, c, out)
	return done
}

// mustWait reports whether a call needs a read point or a state of the connection of its own, after
// all that the connection sent before.
func mustWait(session *command.Session, c *command.Call) bool {
	if c.Spec.Flags.Has(command.Barrier) {
		return true
	}
	queued := session.Multi.Active && !c.Spec.Flags.Has(command.MultiNow)
	return c.Spec.Class() == command.Read && !c.Spec.Flags.Has(command.Fast) && !queued
}
