package command

// standing is what the queued calls of class Conn of a transaction may change of their session.
type standing struct {
	namespace             Selected
	name, libName, libVer string
	noEvict, noTouch      bool
}

func (s *Session) standing() standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return standing{
		s.Namespace, s.shown.Name, s.shown.LibName, s.shown.LibVer, s.shown.NoEvict, s.shown.NoTouch,
	}
}

// Tentative reports whether a transaction that TakeExec has taken changed the session. It is not known yet whether
// that holds: the executor carries out nothing more before it has called SettleExec.
func (s *Session) Tentative() bool { return s.before != nil }

// SettleExec ends a transaction that TakeExec has taken. If it was not carried out, the session is put back to what it
// was before: what follows must not be written where only a SELECT in it would have led.
func (s *Session) SettleExec(carriedOut bool) {
	before := s.before
	s.before = nil
	if before == nil || carriedOut {
		return
	}
	s.describe(func(shown *Shown) {
		shown.Name, shown.LibName, shown.LibVer = before.name, before.libName, before.libVer
		shown.NoEvict, shown.NoTouch = before.noEvict, before.noTouch
	})
	s.Choose(before.namespace)
}
