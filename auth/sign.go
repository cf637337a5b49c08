package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token says. Zero values are left out of the token, but for Credential and Expires,
// which must be given.
type Claims struct {
	Credential string
	Namespaces []string // nil: all; not nil and empty: none
	Scope      Scope    // 0: left out, which means ScopeDefault
	IssuedAt   time.Time
	Expires    time.Time
	Issuer     string
	Audience   string
	KeyID      string // kid of the header; "": see Sign
}

// Sign makes a token with the key of a file: a secret for HS256, or a PEM private key (RSA, EC P-256,
// Ed25519). Without a KeyID, a token signed with a secret names the file's id, as the server that
// verifies with the same file does; one signed with a private key names none, since the name of the
// public key's file is not known here.
func Sign(keyFile string, c Claims) (string, error) {
	payload, err := c.payload()
	if err != nil {
		return "", err
	}
	data, err := readKeyFile(keyFile)
	if err != nil {
		return "", err
	}
	method, material, err := signingKey(data)
	if err != nil {
		return "", fmt.Errorf("auth: key file %s: %w", keyFile, err)
	}
	token := jwt.NewWithClaims(method, payload)
	if c.KeyID != "" {
		token.Header["kid"] = c.KeyID
	} else if method == jwt.SigningMethodHS256 {
		token.Header["kid"] = keyID(keyFile)
	}
	signed, err := token.SignedString(material)
	if err != nil {
		return "", fmt.Errorf("auth: key file %s: %w", keyFile, err)
	}
	if len(signed) > TokenBytesMax {
		return "", fmt.Errorf("auth: the token has %d bytes, servers take %d; name fewer namespaces",
			len(signed), TokenBytesMax)
	}
	return signed, nil
}

func (c Claims) payload() (claims, error) {
	if !ValidCredential(c.Credential) {
		return nil, fmt.Errorf("auth: credential %s must be %s", quote(c.Credential), credentialRule)
	}
	if err := checkNamespaces(c.Namespaces); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if c.Expires.IsZero() {
		return nil, errors.New("auth: a token must expire")
	}
	p := claims{"sub": c.Credential, "exp": c.Expires.Unix()}
	if !c.IssuedAt.IsZero() {
		p["iat"] = c.IssuedAt.Unix()
	}
	if c.Issuer != "" {
		p["iss"] = c.Issuer
	}
	if c.Audience != "" {
		p["aud"] = c.Audience
	}
	if c.Namespaces != nil {
		p[claimNamespaces] = c.Namespaces
	}
	if c.Scope != 0 {
		p[claimScope] = c.Scope.String()
	}
	return p, nil
}

func signingKey(data []byte) (jwt.SigningMethod, any, error) {
	if looksLikeJWKS(data) {
		return nil, nil, errors.New("a JWKS cannot sign; give a secret or a PEM private key")
	}
	if !looksLikePEM(data) {
		secret, err := secretOf(data)
		return jwt.SigningMethodHS256, secret, err
	}
	private, err := privateKeyPEM(data)
	if err != nil {
		return nil, nil, err
	}
	var algorithm string
	switch k := private.(type) {
	case *rsa.PrivateKey:
		algorithm, err = algorithmOf(&k.PublicKey)
	case *ecdsa.PrivateKey:
		algorithm, err = algorithmOf(&k.PublicKey)
	case ed25519.PrivateKey:
		algorithm, err = algorithmOf(k.Public())
	default:
		algorithm, err = algorithmOf(private)
	}
	return jwt.GetSigningMethod(algorithm), private, err
}

func privateKeyPEM(data []byte) (private any, err error) {
	block, err := onePEM(data)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted; decrypt it with: openssl pkey -in FILE")
	default:
		return nil, fmt.Errorf("PEM block %s cannot sign; give a private key", quote(block.Type))
	}
	if err != nil {
		return nil, errors.New("its private key is damaged or of an unknown kind")
	}
	return private, nil
}
