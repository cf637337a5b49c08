package command

import (
	"slices"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// Allowed says whether the session may use the command at all: it has a credential, the credential has
// not expired, and its scope and namespaces cover the command in the selected namespace.
func (s *Session) Allowed(spec *Spec) *Error {
	if spec.Flags.Has(BeforeAuth) {
		return nil
	}
	if err := s.verified(); err != nil {
		return err
	}
	if err := s.refuseSubscribed(spec); err != nil {
		return err
	}
	scope := spec.scope()
	if err := permitScope(s.Principal, spec, scope); err != nil {
		return err
	}
	if scope&(auth.Read|auth.Write) != 0 && !spec.Flags.Has(AnyNamespace) {
		return permitNamespace(s.Principal, s.Namespace.name())
	}
	return nil
}

// Admit is Allowed for a call, and puts the call in the session's name: its credential, its namespace
// and the names that its token is restricted to.
func (s *Session) Admit(c *Call) *Error {
	if err := s.Allowed(c.Spec); err != nil {
		return err
	}
	c.Credential, c.Namespace, c.Only = s.credential(), s.Namespace.Ref, nil
	if s.Principal != nil {
		c.Only = s.Principal.Namespaces
	}
	if c.Spec.Flags.Has(AnyNamespace) {
		c.Namespace = engine.NoNamespace
	}
	if c.Only != nil && c.Spec.Reaches != nil {
		return s.permitReached(c)
	}
	return nil
}

// permitReached holds the namespaces that a call names against a token that is restricted to some. It
// parses the call itself: a gate asks for permission before it looks at grammar, and options that are
// not parsed yet would hide a name.
func (s *Session) permitReached(c *Call) *Error {
	if err := c.Parse(); err != nil {
		return err
	}
	for _, name := range c.Spec.Reaches(c) {
		if err := permitNamespace(s.Principal, name); err != nil {
			return err
		}
	}
	return nil
}

// Refuse takes note that the gate refuses a call of the session, and returns what to answer: inside of
// MULTI the transaction is broken by it, and a refused EXEC ends the transaction. As in Redis, EXEC is refused in
// the same words if there is none.
func (s *Session) Refuse(spec *Spec, err *Error) *Error {
	if spec != nil && spec.Name == "exec" {
		if s.Multi.Active {
			s.endMulti()
		}
		return Errorf(ExecAbort, "Transaction discarded because of: %s", err.Text)
	}
	s.Multi.Broken = s.Multi.Active
	return err
}

// verified refuses a session without a credential, or with one that has expired.
func (s *Session) verified() *Error {
	p := s.Principal
	if p == nil {
		return ErrNoAuth
	}
	if !p.Expires.IsZero() && p.Expired(s.Host.Now()) {
		return ErrExpiredAuth
	}
	return nil
}

// scope returns the rights that a command needs. Commands that steer a transaction need none: the
// commands inside of it do.
func (s *Spec) scope() auth.Scope {
	switch {
	case s.Flags.Has(Admin):
		return auth.Admin
	case s.Flags.Has(MultiNow):
		return 0
	case s.Write != nil:
		return auth.Write
	case s.Read != nil:
		return auth.Read
	}
	return 0
}

// mayRead is for a command of class Conn that tells something of the selected namespace.
func (s *Session) mayRead(spec *Spec) *Error {
	if err := permitScope(s.Principal, spec, auth.Read); err != nil {
		return err
	}
	return permitNamespace(s.Principal, s.Namespace.name())
}

func permitScope(p *auth.Principal, spec *Spec, scope auth.Scope) *Error {
	if p.May(scope, "") {
		return nil
	}
	return Errorf(NoPerm, "User %s has no permissions to run the '%s' command: the token lacks the %s scope",
		p.Credential, spec.FullName(), scope&^p.Scope)
}

func permitNamespace(p *auth.Principal, name string) *Error {
	if p.May(0, name) {
		return nil
	}
	return Errorf(NoPerm, "User %s has no permissions to access the namespace %q: "+
		"the token is restricted to other namespaces, SELECT one of those", p.Credential, name)
}

// Permits reports whether the caller's token covers a namespace of that name.
func (c *Call) Permits(name string) bool { return c.Only == nil || slices.Contains(c.Only, name) }
