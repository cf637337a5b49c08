package command

import (
	"context"
	"strconv"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// Selected is the namespace that a session works in. The zero value is database 0.
type Selected struct {
	Name string // "0".."15" of numbered databases
	Ref  engine.Ref
}

func (n Selected) name() string {
	if n.Name == "" {
		return strconv.Itoa(int(n.Ref.Number))
	}
	return n.Name
}

func numbered(number int16) Selected {
	return Selected{Name: strconv.Itoa(int(number)), Ref: engine.Ref{Number: number}}
}

// find resolves the name of a namespace for a principal: a number for a numbered database, else a
// name that the principal's credential owns.
func (s *Session) find(ctx context.Context, p *auth.Principal, name string) (Selected, *Error) {
	number, isNumber := engine.Numbered(name)
	if !isNumber && !engine.ValidName(name) {
		return Selected{}, errNamespaceName
	}
	if err := permitNamespace(p, name); err != nil {
		return Selected{}, err
	}
	if isNumber {
		return numbered(number), nil
	}
	info, err := s.Host.FindNamespace(ctx, name)
	switch {
	case err != nil && err.Code == NoNamespace:
		return Selected{}, notSelected(name)
	case err != nil:
		return Selected{}, err
	case info.Credential != p.Credential:
		return Selected{}, foreignNamespace(p.Credential, name)
	}
	return Selected{Name: name, Ref: engine.Ref{ID: info.ID}}, nil
}

// notSelected is SELECT's answer to a name that no namespace has. A number keeps Redis' wording.
func notSelected(name string) *Error {
	if _, err := strconv.Atoi(name); err == nil {
		return &Error{Invalid, "DB index is out of range"}
	}
	return noNamespace(name)
}

// Choose makes n the session's namespace.
func (s *Session) Choose(n Selected) {
	s.Namespace = n
	s.publish()
}

// login gives the session the credential of a token, and the namespace that the user name asks for.
// The user name is "", "credential" or "credential/namespace". A connection that renews its token
// keeps its namespace and its watches; one that changes its credential starts in database 0. A login
// that fails changes nothing.
func (s *Session) login(ctx context.Context, user, token string) *Error {
	p, namespace, err := auth.Login(s.Host, user, token, s.Host.Now())
	if err != nil {
		return refusedLogin(err)
	}
	chosen := s.Namespace
	if p.Credential != s.credential() {
		chosen = numbered(0)
	}
	if namespace != "" {
		var failed *Error
		if chosen, failed = s.find(ctx, p, namespace); failed != nil {
			return failed
		}
	}
	if p.Credential != s.credential() {
		s.unwatch()
	}
	s.Principal = p
	s.Choose(chosen)
	return nil
}

// refusedLogin keeps Redis' wording, which clients look for, and adds the reason.
func refusedLogin(err error) *Error {
	if auth.ReasonOf(err) == auth.NoToken {
		return ErrNoAuth
	}
	return Errorf(WrongPass, "invalid username-password pair or user is disabled: %v", err)
}
