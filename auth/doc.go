// Package auth says who calls and what they may do. A caller shows a JSON Web Token (RFC 7519); the
// token's "sub" is the credential, the owner of namespaces and data.
//
// The nouns:
//
//   - Principal: a verified caller. Credential, allowed namespaces, Scope, expiry. Never changes.
//   - Scope: a set of Read, Write and Admin. None of them contains another.
//   - Authenticator: token in, Principal out. Off() for a server without authentication, JWT for one with.
//   - Reason: the closed set of answers why a token was not accepted.
//
// # Keys
//
// Key files are told apart by content: a secret for HS256 (at least 32 bytes), a PEM public key (RSA
// of 2048 to 8192 bits for RS256, P-256 for ES256, Ed25519 for EdDSA), or a JWKS (RFC 7517). The key
// fixes the algorithm; what the token says of it must agree. A key file's id ("kid") is its base name
// without the last extension, a JWKS names its own. A token that names a kid is checked with that key
// alone, one that names none with every key of its algorithm.
//
// A secret file of printable ASCII is taken without the line end that editors and openssl add; any
// other file is taken as its bytes. Base64 or hex text is not decoded: the text is the secret.
//
// # Claims
//
//	sub         the credential: 1 to 128 bytes of [A-Za-z0-9._:@-]; required
//	exp         required, also ends connections that are already open (Principal.Expired)
//	nbf, iat    not in the future, if present
//	iss, aud    must match if the server is told what to expect
//	namespaces  restricts the token to these namespaces of the credential, "0".."15" included;
//	            absent: all of them; an empty list: none
//	scope       of read, write, admin; absent: read and write; other words, such as an identity
//	            provider's own, give nothing
//
// scope and namespaces may be an array of strings or one string, separated by spaces or commas.
//
// # Caveats
//
// Taking a key away does not end connections that were opened with it; their token's exp does.
// Replace key files by rename. A file that was damaged or removed leaves the old keys in force.
package auth
