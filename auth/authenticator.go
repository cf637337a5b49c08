package auth

import (
	"fmt"
	"strings"
	"time"
)

// Authenticator tells who shows a token. Implementations may be called by any number of goroutines.
type Authenticator interface {
	// Authenticate verifies token as of now. Errors are of type *Error. A principal that is returned
	// has not expired at now.
	Authenticate(token string, now time.Time) (*Principal, error)
}

type off struct{}

var offPrincipal = Principal{Credential: CredentialDefault, Scope: ScopeAll}

// Off is a server without authentication: everyone, with a token or without, is the credential
// "default" with every right. Fit for loopback only.
func Off() Authenticator { return off{} }

func (off) Authenticate(string, time.Time) (*Principal, error) { return &offPrincipal, nil }

// Login is AUTH over RESP: it verifies token and checks it against user, the optional name that the
// client gave (see SplitUser). It returns the namespace which the user name asks for, "" if none;
// whether the principal may use it is for the caller to check, as for SELECT.
func Login(a Authenticator, user, token string, now time.Time) (*Principal, string, error) {
	credential, namespace := SplitUser(user)
	p, err := a.Authenticate(token, now)
	if err != nil {
		return nil, "", err
	}
	if credential != "" && credential != CredentialDefault && credential != p.Credential {
		detail := fmt.Sprintf("AUTH names %s; give the token's sub, or no user name", quote(credential))
		return nil, "", &Error{WrongCredential, detail}
	}
	return p, namespace, nil
}

// SplitUser splits the user name of AUTH, "credential" or "credential/namespace", at its last slash.
// Both parts may be empty, then that part is not stated; the credential "default" is not a statement
// either, since clients send it when they know a password only.
func SplitUser(user string) (credential, namespace string) {
	if i := strings.LastIndexByte(user, '/'); i >= 0 {
		return user[:i], user[i+1:]
	}
	return user, ""
}

// quote makes text of a caller fit for a one-line message.
func quote(text string) string {
	const shown = 64
	if len(text) > shown {
		return fmt.Sprintf("%q...", text[:shown])
	}
	return fmt.Sprintf("%q", text)
}
