package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// jwkHead holds the members of a JWK that decide whether it is used at all.
type jwkHead struct {
	Kty    string          `json:"kty"`
	Crv    string          `json:"crv"`
	Kid    string          `json:"kid"`
	Use    string          `json:"use"`
	Alg    string          `json:"alg"`
	KeyOps []string        `json:"key_ops"`
	D      json.RawMessage `json:"d"`
}

type jwks struct {
	Keys []json.RawMessage `json:"keys"`
}

// looksLikeJWKS reports whether data is a JWKS or a single JWK: such a file must never be taken for a
// secret.
func looksLikeJWKS(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '{' && json.Valid(data)
}

// parseJWKS reads a JWK set. A provider's set may hold keys for other ends (encryption, algorithms
// that we do not speak): they are skipped, as RFC 7517 section 5 asks. A damaged or a private key is
// an error.
func parseJWKS(data []byte) (keys []key, skipped []string, err error) {
	var set jwks
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, nil, errors.New("it is not a JWKS: the JSON is damaged")
	}
	if set.Keys == nil {
		return nil, nil, errors.New(`it is not a JWKS: a JSON object with a list named "keys"`)
	}
	for i, raw := range set.Keys {
		var head jwkHead
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, nil, fmt.Errorf("key %d is not a JWK", i)
		}
		name := fmt.Sprintf("key %d, kid %s", i, quote(head.Kid))
		if reason := head.unusable(); reason != "" {
			skipped = append(skipped, name+": "+reason)
			continue
		}
		k, err := parseJWK(raw, head)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		keys = append(keys, k)
	}
	return keys, skipped, nil
}

// unusable says why the key is not for verifying our tokens, "" if it is.
func (h jwkHead) unusable() string {
	switch {
	case h.Use != "" && h.Use != "sig":
		return "it is not for signatures (use)"
	case h.KeyOps != nil && !slices.Contains(h.KeyOps, "verify"):
		return "it is not for verifying (key_ops)"
	}
	var algorithm string
	switch {
	case h.Kty == "oct":
		algorithm = algHS256
	case h.Kty == "RSA":
		algorithm = algRS256
	case h.Kty == "EC" && h.Crv == "P-256":
		algorithm = algES256
	case h.Kty == "OKP" && h.Crv == "Ed25519":
		algorithm = algEdDSA
	default:
		return "its kind or curve is not supported"
	}
	if h.Alg != "" && h.Alg != algorithm && (h.Alg != "Ed25519" || algorithm != algEdDSA) {
		return "its algorithm " + quote(h.Alg) + " is not supported"
	}
	return ""
}

func parseJWK(raw json.RawMessage, head jwkHead) (key, error) {
	if head.D != nil {
		return key{}, errors.New("it is a private key, which a server must not have; publish the public one")
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return key{}, errors.New("it is damaged")
	}
	k := key{id: jwk.KeyID, material: jwk.Key}
	if secret, ok := jwk.Key.([]byte); ok {
		if len(secret) < secretBytesMin {
			return key{}, fmt.Errorf("the secret has %d bytes, HS256 needs at least %d", len(secret), secretBytesMin)
		}
		k.algorithm = algHS256
		return k, nil
	}
	var err error
	k.algorithm, err = algorithmOf(jwk.Key)
	return k, err
}
