package auth

import (
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	claimNamespaces = "namespaces"
	claimScope      = "scope"

	namespacesMax = 256          // names in one token
	secondsMax    = 253402300799 // the end of the year 9999
)

// claims are the members of a token's payload. Names are compared exactly.
type claims = jwt.MapClaims

// expectation is what a server asks of claims beyond a good signature.
type expectation struct {
	issuer   string        // "": any
	audience string        // "": any
	leeway   time.Duration // how far the issuer's clock may be from ours
}

// principal checks the claims as of now. Issuer and audience come first: they tell a token that was
// made for someone else, of which the rest says nothing.
func (e expectation) principal(c claims, now time.Time) (*Principal, error) {
	if err := e.checkOrigin(c); err != nil {
		return nil, err
	}
	expires, err := e.checkTimes(c, now)
	if err != nil {
		return nil, err
	}
	p := &Principal{Expires: expires}
	p.Credential, _ = c["sub"].(string)
	if !ValidCredential(p.Credential) {
		return nil, &Error{BadClaim, "sub must be " + credentialRule}
	}
	if p.Scope, err = scopeClaim(c); err != nil {
		return nil, err
	}
	if p.Namespaces, err = namespacesClaim(c); err != nil {
		return nil, err
	}
	return p, nil
}

func (e expectation) checkOrigin(c claims) error {
	if issuer, _ := c["iss"].(string); e.issuer != "" && issuer != e.issuer {
		return &Error{WrongIssuer, "it must be " + quote(e.issuer)}
	}
	if e.audience == "" {
		return nil
	}
	audience, err := c.GetAudience()
	if err != nil || !slices.Contains(audience, e.audience) {
		return &Error{WrongAudience, "it must hold " + quote(e.audience)}
	}
	return nil
}

// checkTimes returns the moment at which the token ends, leeway included.
func (e expectation) checkTimes(c claims, now time.Time) (time.Time, error) {
	exp, ok, err := timeClaim(c, "exp")
	if err != nil {
		return time.Time{}, err
	}
	if !ok {
		return time.Time{}, &Error{NoExpiry, "tokens must end; sign one with exp"}
	}
	end := exp.Add(e.leeway)
	if !now.Before(end) {
		return time.Time{}, expiredError(end)
	}
	for _, name := range []string{"nbf", "iat"} {
		from, ok, err := timeClaim(c, name)
		if err != nil {
			return time.Time{}, err
		}
		if ok && now.Add(e.leeway).Before(from) {
			detail := fmt.Sprintf("%s is %s, the server's clock says %s", name, stamp(from), stamp(now))
			return time.Time{}, &Error{NotYetValid, detail}
		}
	}
	return end, nil
}

func expiredError(end time.Time) *Error { return &Error{Expired, "it ended at " + stamp(end)} }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// timeClaim reads a NumericDate of RFC 7519: seconds since 1970, fractions allowed.
func timeClaim(c claims, name string) (t time.Time, ok bool, err error) {
	value, ok := c[name]
	if !ok {
		return time.Time{}, false, nil
	}
	seconds, isNumber := value.(float64)
	if !isNumber || !(seconds >= 0 && seconds <= secondsMax) {
		return time.Time{}, false, &Error{BadClaim, name + " must be a number of seconds since 1970"}
	}
	return time.UnixMilli(int64(seconds * 1000)), true, nil
}

func scopeClaim(c claims) (Scope, error) {
	words, ok, err := wordsClaim(c, claimScope)
	if err != nil {
		return 0, err
	}
	if !ok {
		return ScopeDefault, nil
	}
	var s Scope
	for _, word := range words {
		s |= scopeOf(word)
	}
	return s, nil
}

// namespacesClaim is nil only if the claim is absent: an empty list allows no namespace.
func namespacesClaim(c claims) ([]string, error) {
	names, ok, err := wordsClaim(c, claimNamespaces)
	if err != nil || !ok {
		return nil, err
	}
	return names, checkNamespaces(names)
}

func checkNamespaces(names []string) error {
	if len(names) > namespacesMax {
		return &Error{BadClaim, fmt.Sprintf("namespaces may hold %d names", namespacesMax)}
	}
	for _, name := range names {
		if !validNamespace(name) {
			return &Error{BadClaim, "no namespace can be named " + quote(name)}
		}
	}
	return nil
}

// wordsClaim reads a claim that is an array of strings or one string of words. The result is not nil
// if ok.
func wordsClaim(c claims, name string) (words []string, ok bool, err error) {
	value, ok := c[name]
	if !ok {
		return nil, false, nil
	}
	words = []string{}
	switch value := value.(type) {
	case string:
		return append(words, splitWords(value)...), true, nil
	case []any:
		for _, element := range value {
			word, isString := element.(string)
			if !isString {
				return nil, false, wordsError(name)
			}
			words = append(words, word)
		}
		return words, true, nil
	}
	return nil, false, wordsError(name)
}

func wordsError(name string) error {
	return &Error{BadClaim, name + " must be an array of strings, or words separated by spaces or commas"}
}
