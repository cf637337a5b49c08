package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenBytesMax bounds a token; nothing of a longer one is looked at.
const TokenBytesMax = 8 << 10

// LeewayDefault is a leeway that forgives clocks which are set by NTP.
const LeewayDefault = 10 * time.Second

// Options say which tokens a JWT accepts.
type Options struct {
	KeyFiles  []string      // each a secret, a PEM public key or a JWKS, told apart by content
	JWKSFiles []string      // each a JWKS, anything else is refused
	Issuer    string        // required iss; "": any
	Audience  string        // required element of aud; "": any
	Leeway    time.Duration // how far the issuer's clock may be off, applied to exp, nbf and iat
	Logger    *slog.Logger  // reloads, and what is wrong with a file; nil: slog.Default()
}

// JWT is an Authenticator that verifies tokens with the keys of files.
type JWT struct {
	files  keyFiles
	expect expectation
	parser *jwt.Parser
	log    *slog.Logger

	current atomic.Pointer[keySet] // never nil

	reloading sync.Mutex
	loaded    contentHash // of the files behind current; guarded by reloading
}

// NewJWT loads the keys. Its error names the file and says what to do.
func NewJWT(o Options) (*JWT, error) {
	if len(o.KeyFiles)+len(o.JWKSFiles) == 0 {
		return nil, errors.New("auth: tokens need a key; name at least one key file")
	}
	if o.Leeway < 0 {
		return nil, fmt.Errorf("auth: leeway %v is negative", o.Leeway)
	}
	j := &JWT{
		files:  keyFiles{any: o.KeyFiles, jwks: o.JWKSFiles},
		expect: expectation{issuer: o.Issuer, audience: o.Audience, leeway: o.Leeway},
		parser: newParser(),
		log:    o.Logger,
	}
	if j.log == nil {
		j.log = slog.Default()
	}
	if _, err := j.Reload(); err != nil {
		return nil, err
	}
	return j, nil
}

// newParser leaves the claims to expectation, which knows reasons and the caller's time.
func newParser() *jwt.Parser {
	return jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
}

// Authenticate verifies token as of now.
func (j *JWT) Authenticate(token string, now time.Time) (*Principal, error) {
	if token == "" {
		return nil, &Error{NoToken, "a JWT is needed"}
	}
	if len(token) > TokenBytesMax {
		return nil, &Error{Malformed, fmt.Sprintf("%d bytes, at most %d", len(token), TokenBytesMax)}
	}
	set := j.current.Load()
	hash := tokenHash(sha256.Sum256([]byte(token)))
	if p := set.verified.get(hash); p != nil {
		if p.Expired(now) {
			return nil, expiredError(p.Expires)
		}
		return p, nil
	}
	p, err := j.verify(set, token, now)
	if err != nil {
		return nil, err
	}
	set.verified.put(hash, p, now)
	return p, nil
}

func (j *JWT) verify(set *keySet, token string, now time.Time) (*Principal, error) {
	c := claims{}
	parsed, err := j.parser.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		return verificationKeys(set, t)
	})
	if err != nil {
		return nil, parseError(err)
	}
	p, err := j.expect.principal(c, now)
	if err != nil {
		return nil, err
	}
	p.KeyID, _ = parsed.Header["kid"].(string)
	return p, nil
}

// verificationKeys picks the keys by the token's header. The algorithm decides only which keys can
// be meant: each key is used with its own and no other.
func verificationKeys(set *keySet, t *jwt.Token) (any, error) {
	if !slices.Contains(algorithms, t.Method.Alg()) {
		return nil, wrongAlgorithm
	}
	if _, ok := t.Header["crit"]; ok { // RFC 7515, 4.1.11: not to be ignored
		return nil, &Error{Malformed, "header extensions (crit) are not supported"}
	}
	id := ""
	if value, ok := t.Header["kid"]; ok {
		if id, ok = value.(string); !ok || id == "" {
			return nil, &Error{Malformed, "kid must be a string, not empty"}
		}
	}
	found, err := set.candidates(t.Method.Alg(), id)
	if err != nil {
		return nil, err
	}
	var keys jwt.VerificationKeySet
	for _, k := range found {
		keys.Keys = append(keys.Keys, k.material)
	}
	return keys, nil
}

var wrongAlgorithm = &Error{WrongAlgorithm, "alg must be one of " + strings.Join(algorithms, ", ")}

// parseError turns an error of the library into one of ours. The library's text is not passed on.
func parseError(err error) *Error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return &Error{Malformed, "it must be header.payload.signature, each in base64url"}
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return wrongAlgorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return &Error{BadSignature, ""}
	}
	return &Error{Malformed, ""}
}

// Reload reads the key files and, if their content has changed, puts the new keys in the place of the
// old ones and forgets the tokens that those had vouched for. On an error the old keys stay.
func (j *JWT) Reload() (changed bool, err error) {
	j.reloading.Lock()
	defer j.reloading.Unlock()
	contents, err := j.files.read()
	if err != nil {
		return false, err
	}
	hash := contents.hash()
	if hash == j.loaded && j.current.Load() != nil {
		return false, nil
	}
	keys, err := contents.keys(j.log)
	if err != nil {
		return false, err
	}
	set, err := newKeySet(keys)
	if err != nil {
		return false, err
	}
	j.current.Store(set)
	j.loaded = hash
	return true, nil
}
