package auth

import "errors"

// Reason is why a token was not accepted. The set is closed. A Reason is an error to compare with:
// errors.Is(err, auth.Expired).
//
// Front doors answer NoToken with NOAUTH and the others with WRONGPASS over RESP, all of them with
// UNAUTHENTICATED over gRPC.
type Reason uint8

// The reasons.
const (
	NoToken         Reason = iota + 1 // nothing was shown
	Malformed                         // not a signed JWT, or too long
	WrongAlgorithm                    // an algorithm that the key is not for, or none
	UnknownKey                        // no key of that name, or none that fits
	BadSignature                      // the key does not vouch for this token
	NoExpiry                          // exp is missing
	Expired                           // exp has passed
	NotYetValid                       // nbf or iat lies in the future
	WrongIssuer                       // iss is not the one expected
	WrongAudience                     // aud does not hold the one expected
	BadClaim                          // sub, scope, namespaces or a time cannot be used
	WrongCredential                   // the user name of AUTH is not the token's sub
	reasonEnd
)

var reasonTexts = [reasonEnd]string{
	NoToken:         "no token given",
	Malformed:       "not a usable JWT",
	WrongAlgorithm:  "token's algorithm is not accepted",
	UnknownKey:      "token's key is not known",
	BadSignature:    "token's signature does not verify",
	NoExpiry:        "token has no exp claim",
	Expired:         "token has expired",
	NotYetValid:     "token is not valid yet",
	WrongIssuer:     "token's issuer (iss) is not accepted",
	WrongAudience:   "token's audience (aud) is not accepted",
	BadClaim:        "token's claims cannot be used",
	WrongCredential: "token belongs to another credential",
}

// Error gives the reason in words, one line.
func (r Reason) Error() string {
	if r == 0 || r >= reasonEnd {
		return "unknown reason"
	}
	return reasonTexts[r]
}

// Error is a refusal of a token. Its text is one line and may be shown to the caller: it says what to
// put right and holds neither key nor token. What it repeats of the token is quoted and short.
type Error struct {
	Reason Reason
	Detail string // may be empty
}

// Error joins reason and detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Reason.Error()
	}
	return e.Reason.Error() + ": " + e.Detail
}

// Unwrap gives the reason, for errors.Is.
func (e *Error) Unwrap() error { return e.Reason }

// ReasonOf gives the reason in err's chain, 0 if it holds none.
func ReasonOf(err error) Reason {
	var r Reason
	errors.As(err, &r)
	return r
}
