package auth

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestSignIsAccepted(t *testing.T) {
	k := testKeys()
	j := newTestJWT(t, nil)
	dir := t.TempDir()
	ecDER := must(x509.MarshalECPrivateKey(k.ec))
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	sec1 := append(parameters, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: ecDER})...)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k.rsa)})
	for name, data := range map[string][]byte{
		"s.key": []byte(testSecret), "rsa.pem": privatePEM(k.rsa),
		"ec.pem": privatePEM(k.ec), "ed.pem": privatePEM(k.ed),
		"ec-sec1.pem": sec1, "rsa-pkcs1.pem": pkcs1,
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(dir, name), data)
			token, err := Sign(file, Claims{Credential: "acme", Namespaces: []string{"a"}, Scope: Read | Admin,
				IssuedAt: testNow, Expires: testNow.Add(time.Hour), Issuer: "i", Audience: "a"})
			if err != nil {
				t.Fatal(err)
			}
			p, err := j.Authenticate(token, testNow)
			if err != nil || p.Scope != Read|Admin || !p.May(Read, "a") || p.May(Read, "b") {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
	c := Claims{Credential: "acme", Expires: testNow.Add(time.Second), KeyID: "e"}
	named := must(Sign(filepath.Join(dir, "ec.pem"), c))
	if p, err := j.Authenticate(named, testNow); err != nil || p.KeyID != "e" || p.Scope != ScopeDefault {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestSignRefuses(t *testing.T) {
	k := testKeys()
	dir := t.TempDir()
	good := Claims{Credential: "acme", Expires: testNow}
	long := slices.Repeat([]string{strings.Repeat("a", 128)}, 200)
	secret := writeFile(t, filepath.Join(dir, "s"), []byte(testSecret))
	for name, data := range map[string][]byte{
		"short secret": []byte("short"),
		"public key":   publicPEM(&k.rsa.PublicKey),
		"small RSA":    privatePEM(k.rsaSmall),
		"other curve":  privatePEM(k.ec384),
		"encrypted":    pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}),
		"damaged":      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}),
		"JWKS":         jwksJSON(t, jose.JSONWebKey{Key: &k.rsa.PublicKey}),
	} {
		if _, err := Sign(writeFile(t, filepath.Join(dir, "k"), data), good); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := Sign(filepath.Join(dir, "nowhere"), good); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	for name, c := range map[string]Claims{
		"no credential":  {Expires: testNow},
		"bad credential": {Credential: "a/b", Expires: testNow},
		"no expiry":      {Credential: "acme"},
		"bad namespace":  {Credential: "acme", Expires: testNow, Namespaces: []string{""}},
		"too long":       {Credential: "acme", Expires: testNow, Namespaces: long},
	} {
		if _, err := Sign(secret, c); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}
