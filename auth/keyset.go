package auth

import (
	"fmt"
)

const (
	keysMax = 64 // keys of one server
	// triesMax bounds the signatures checked for a token that names no key: an RSA one costs about
	// 30 us, and whoever sends garbage pays nothing.
	triesMax = 8
)

// The algorithms. Each key is for exactly one.
const (
	algHS256 = "HS256"
	algRS256 = "RS256"
	algES256 = "ES256"
	algEdDSA = "EdDSA"
)

var algorithms = []string{algHS256, algRS256, algES256, algEdDSA}

// key verifies tokens of one algorithm.
type key struct {
	id        string // kid; empty for a JWKS key without one
	algorithm string
	material  any // []byte, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// keySet is all keys at one moment, together with the tokens that they have vouched for. It is
// replaced as a whole.
type keySet struct {
	keys     []key // (id, algorithm) is unique where id is not empty
	verified *verified
}

func newKeySet(keys []key) (*keySet, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("auth: no key to verify tokens with")
	}
	if len(keys) > keysMax {
		return nil, fmt.Errorf("auth: %d keys, at most %d", len(keys), keysMax)
	}
	type name struct{ id, algorithm string }
	seen := make(map[name]bool)
	for _, k := range keys {
		n := name{k.id, k.algorithm}
		if k.id != "" && seen[n] {
			return nil, fmt.Errorf("auth: two %s keys with the id %q; rename one of the files", k.algorithm, k.id)
		}
		seen[n] = true
	}
	return &keySet{keys: keys, verified: newVerified()}, nil
}

// candidates are the keys that may vouch for a token of that algorithm and kid ("" if it names none).
func (s *keySet) candidates(algorithm, id string) ([]key, error) {
	var found []key
	named := false
	for _, k := range s.keys {
		if id != "" && k.id != id {
			continue
		}
		named = true
		if k.algorithm == algorithm {
			found = append(found, k)
		}
	}
	switch {
	case id != "" && !named:
		detail := "no key has the id (kid) " + quote(id) + "; a key file's id is its name without extension"
		return nil, &Error{UnknownKey, detail}
	case id != "" && len(found) == 0:
		return nil, &Error{WrongAlgorithm, "key " + quote(id) + " is not for " + algorithm}
	case len(found) == 0:
		return nil, &Error{UnknownKey, "no key is for " + algorithm}
	case len(found) > triesMax:
		detail := fmt.Sprintf("more than %d keys are for %s; name one in the header (kid)", triesMax, algorithm)
		return nil, &Error{UnknownKey, detail}
	}
	return found, nil
}
