package auth

import (
	"slices"
	"strings"
	"time"
)

// CredentialDefault is the one credential of a server without authentication. It is also the user
// name that Redis clients send when they are given a password only, and then stands for "whoever
// the token says".
const CredentialDefault = "default"

const nameBytesMax = 128

// Principal is a verified caller. It is shared between calls and connections: never change one.
type Principal struct {
	// Credential owns the namespaces the caller works with.
	Credential string
	// Namespaces are the names the caller is restricted to; nil: every namespace of the credential.
	Namespaces []string
	// Scope holds the caller's rights.
	Scope Scope
	// Expires is the moment from which the principal counts no more; zero: never.
	Expires time.Time
	// KeyID names the key that vouched for the token; for logs. Empty if it has no name.
	KeyID string
}

// May reports whether p holds every right of scope, and for the namespace of that name. The empty
// name means a call that concerns no namespace. A nil principal may nothing.
func (p *Principal) May(scope Scope, namespace string) bool {
	if p == nil || !p.Scope.Has(scope) {
		return false
	}
	return namespace == "" || p.Namespaces == nil || slices.Contains(p.Namespaces, namespace)
}

// Expired reports whether p counts no more at now.
func (p *Principal) Expired(now time.Time) bool {
	return !p.Expires.IsZero() && !now.Before(p.Expires)
}

const credentialRule = "1 to 128 bytes of [A-Za-z0-9._:@-]"

// ValidCredential reports whether name is 1 to 128 bytes of [A-Za-z0-9._:@-]. It has no slash, so that
// "credential/namespace" reads only one way.
func ValidCredential(name string) bool { return validName(name, "._:@-") }

// validNamespace is the rule of namespace names, checked so that a restriction to a name which cannot
// exist is seen when the token is made.
func validNamespace(name string) bool { return validName(name, "._:-") }

func validName(name, punctuation string) bool {
	if name == "" || len(name) > nameBytesMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return true
}
