package store

import (
	"context"
	"slices"

	"github.com/primatomic/primatomic/command"
)

// gate is passed by every command once, in the same order: lookup and arity; credential and permission;
// growth; grammar and sizes. Then it routes: a call of class Conn is carried out on the spot, inside
// MULTI a call is queued. before holds the earlier calls of the connection that are on their way, nil if all
// have been answered.
func (s *Store) gate(
	ctx context.Context, session *command.Session, c *command.Call, out *command.Reply, before *run,
) step {
	if err := s.registry.Resolve(c); err != nil {
		out.Error(session.Refuse(c.Spec, err))
		return done
	}
	if before != nil && s.mustWait(session, c, before) {
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
	if err := c.Parse(); err != nil { // of a queued call EXEC answers it
		out.Error(session.Refuse(c.Spec, err))
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
	if class := c.Spec.Class(); s.quarantined.Load() != nil && (class == command.Read || class == command.Write) {
		return errQuarantined
	}
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
		if s.diskFull.Load() && grows(c) { // it may have been queued when there was room
			session.SettleExec(false)
			out.Error(command.ErrDiskFull)
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
func (s *Store) mustWait(session *command.Session, c *command.Call, before *run) bool {
	switch {
	case c.Spec == s.exec && before.values >= valuesMax:
		return true
	case c.Spec == s.exec: // what is queued of class Conn may look for what earlier calls have made
		return slices.ContainsFunc(session.Multi.Queue, func(queued command.Call) bool {
			return queued.Spec.Class() == command.Conn
		})
	case c.Spec.Flags.Has(command.Barrier):
		return true
	case session.Multi.Active && !c.Spec.Flags.Has(command.MultiNow):
		return false
	}
	return c.Spec.Class() == command.Read && !c.Spec.Flags.Has(command.Fast)
}

// valuesMax bounds the calls of one run that answer with a value each: their answers are held until the whole
// run is answered, 256 MiB of them at most.
const valuesMax = 16

// answersValue reports whether a write may have a large answer.
func (s *Store) answersValue(c *command.Call) bool { return c.Spec == s.exec || c.AnswersValue() }
