package auth

import (
	"fmt"
	"strings"
)

// Scope is a set of rights. No right contains another: a token of admin alone can neither read nor
// write data, so an operator's token need not be able to see what tenants store.
type Scope uint8

// The rights.
const (
	Read  Scope = 1 << iota // look at keys and values
	Write                   // change keys and values, create and drop namespaces
	Admin                   // look at and change the server and the cluster
)

// ScopeDefault is what a token without a scope claim may do.
const ScopeDefault = Read | Write

// ScopeAll is every right.
const ScopeAll = Read | Write | Admin

var scopeWords = [...]struct {
	word string
	bit  Scope
}{{"read", Read}, {"write", Write}, {"admin", Admin}}

// Has reports whether s holds every right of want.
func (s Scope) Has(want Scope) bool { return s&want == want }

// String gives the words of a scope claim, separated by spaces.
func (s Scope) String() string {
	var words []string
	for _, w := range scopeWords {
		if s.Has(w.bit) {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " ")
}

// ParseScope reads words separated by spaces or commas, as people write them. Unlike in a token, an
// unknown word is an error here: it is a slip of the hand.
func ParseScope(text string) (Scope, error) {
	var s Scope
	for _, word := range splitWords(text) {
		bit := scopeOf(word)
		if bit == 0 {
			return 0, fmt.Errorf("auth: scope %q is not one of read, write, admin", word)
		}
		s |= bit
	}
	return s, nil
}

// scopeOf is the right that word names, 0 if none.
func scopeOf(word string) Scope {
	for _, w := range scopeWords {
		if w.word == word {
			return w.bit
		}
	}
	return 0
}

func splitWords(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
}
