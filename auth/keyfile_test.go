package auth

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

func TestKeyFiles(t *testing.T) {
	k := testKeys()
	spki := must(x509.MarshalPKIXPublicKey(&k.rsa.PublicKey))
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)
	for _, tc := range []struct {
		name      string
		data      []byte
		algorithm string // "" if it is refused
		says      string // part of the refusal
	}{
		{"secret", []byte(testSecret), algHS256, ""},
		{"secret with line end", []byte(testSecret + "\r\n"), algHS256, ""},
		{"secret of bytes that ends like a line", append(make([]byte, 31), '\n'), algHS256, ""},
		{"secret one byte short", []byte(testSecret[1:] + "\n"), "", "openssl rand"},
		{"empty", nil, "", "openssl rand"},
		{"RSA", publicPEM(&k.rsa.PublicKey), algRS256, ""},
		{"RSA in PKCS 1", block("RSA PUBLIC KEY", pkcs1), algRS256, ""},
		{"RSA too small", publicPEM(&k.rsaSmall.PublicKey), "", "1024 bits"},
		{"EC", publicPEM(&k.ec.PublicKey), algES256, ""},
		{"EC of another curve", publicPEM(&k.ec384.PublicKey), "", "P-384"},
		{"Ed25519", publicPEM(k.ed.Public()), algEdDSA, ""},
		{"private key", privatePEM(k.rsa), "", "-pubout"},
		{"encrypted private key", block("ENCRYPTED PRIVATE KEY", spki), "", "-pubout"},
		{"certificate", block("CERTIFICATE", spki), "", "openssl x509"},
		{"other block", block("X509 CRL", spki), "", "not a public key"},
		{"damaged block", block("PUBLIC KEY", spki[:40]), "", "damaged"},
		{"damaged PEM", publicPEM(&k.ec.PublicKey)[:60], "", "damaged"},
		{"two keys", append(publicPEM(&k.ec.PublicKey), publicPEM(k.ed.Public())...), "", "more than one"},
		{"second key damaged", append(publicPEM(&k.ec.PublicKey), publicPEM(k.ed.Public())[:50]...), "", "damaged"},
		{"DER is no secret", spki, "", "not a secret"},
		{"PKCS 1 DER is no secret", pkcs1, "", "not a secret"},
		{"SSH key is no secret", []byte("ssh-ed25519 " + strings.Repeat("A", 64)), "", "not a secret"},
		{"JWKS that was cut short is no secret", jwksJSON(t, jose.JSONWebKey{Key: &k.rsa.PublicKey})[:300],
			"", "cut short"},
		{"indented JWKS that was cut short is no secret", append([]byte("\ufeff{\n  \"keys\": [\n\t{\r\n"),
			strings.Repeat("\"n\": \"AQAB\",\n", 20)...), "", "cut short"},
		{"page of an error is no secret", []byte("<html>\n" + strings.Repeat("<p>404</p>\n", 20)),
			"", "not a secret"},
		{"secret of bytes that begins with a brace", append([]byte("{\x00\x01\xff"), make([]byte, 32)...),
			algHS256, ""},
		{"JWK is no secret", must(jose.JSONWebKey{Key: &k.rsa.PublicKey}.MarshalJSON()), "", "keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, _, err := keyContent{file: "x/my.key.pem", data: tc.data}.keys()
			if tc.algorithm == "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("got %v, want a refusal that says %q", err, tc.says)
				}
				return
			}
			if err != nil || len(keys) != 1 || keys[0].algorithm != tc.algorithm || keys[0].id != "my.key" {
				t.Fatalf("got %+v, %v", keys, err)
			}
		})
	}
}

func TestKeyID(t *testing.T) {
	for file, want := range map[string]string{
		"a/k1.pem": "k1", "k1": "k1", "k1.pub.pem": "k1.pub", ".secret": ".secret",
	} {
		if got := keyID(file); got != want {
			t.Errorf("%s: got %s", file, got)
		}
	}
}

func TestJWKS(t *testing.T) {
	k := testKeys()
	public := func(id string, key any, change func(*jose.JSONWebKey)) jose.JSONWebKey {
		jwk := jose.JSONWebKey{Key: key, KeyID: id}
		if change != nil {
			change(&jwk)
		}
		return jwk
	}
	rsaKey := public("r1", &k.rsa.PublicKey, nil)
	for _, tc := range []struct {
		name    string
		data    []byte
		want    string // algorithm and id of each key used
		skipped int
		says    string
	}{
		{"one of each", jwksJSON(t, rsaKey, public("e1", &k.ec.PublicKey, nil), public("d1", k.ed.Public(), nil),
			public("s1", []byte(testSecret), nil)), "RS256 r1,ES256 e1,EdDSA d1,HS256 s1", 0, ""},
		{"without ids", jwksJSON(t, public("", &k.rsa.PublicKey, nil), public("", &k.ec.PublicKey, nil)),
			"RS256 ,ES256 ", 0, ""},
		{"alg stated", jwksJSON(t, public("r1", &k.rsa.PublicKey,
			func(j *jose.JSONWebKey) { j.Algorithm = "RS256" })),
			"RS256 r1", 0, ""},
		{"key for encryption", jwksJSON(t, rsaKey, public("x", &k.rsa.PublicKey,
			func(j *jose.JSONWebKey) { j.Use = "enc" })), "RS256 r1", 1, ""},
		{"key for PS256", jwksJSON(t, rsaKey, public("x", &k.rsa.PublicKey,
			func(j *jose.JSONWebKey) { j.Algorithm = "PS256" })), "RS256 r1", 1, ""},
		{"RSA key for HS256", jwksJSON(t, rsaKey, public("x", &k.rsa.PublicKey,
			func(j *jose.JSONWebKey) { j.Algorithm = "HS256" })), "RS256 r1", 1, ""},
		{"other curve", jwksJSON(t, rsaKey, public("x", &k.ec384.PublicKey, nil)), "RS256 r1", 1, ""},
		{"unknown kind", []byte(`{"keys":[{"kty":"AKP","kid":"x"}]}`), "", 1, ""},
		{"no verify in key_ops", []byte(`{"keys":[{"kty":"RSA","key_ops":["sign"]}]}`), "", 1, ""},
		{"private key", jwksJSON(t, public("r1", k.rsa, nil)), "", 0, "private key"},
		{"small RSA key", jwksJSON(t, public("r1", &k.rsaSmall.PublicKey, nil)), "", 0, "1024 bits"},
		{"short secret", jwksJSON(t, public("s", []byte("short"), nil)), "", 0, "at least 32"},
		{"damaged key", []byte(`{"keys":[{"kty":"RSA","n":"!","e":"AQAB"}]}`), "", 0, "damaged"},
		{"damaged JSON", []byte(`{"keys":[`), "", 0, "damaged"},
		{"no list", []byte(`{"kty":"RSA"}`), "", 0, `"keys"`},
		{"not an object", []byte(`[]`), "", 0, "not a JWKS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			keys, skipped, err := keyContent{file: "jwks.json", jwks: true, data: tc.data}.keys()
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("got %v, want a refusal that says %q", err, tc.says)
				}
				return
			}
			var got []string
			for _, k := range keys {
				got = append(got, k.algorithm+" "+k.id)
			}
			if err != nil || strings.Join(got, ",") != tc.want || len(skipped) != tc.skipped {
				t.Fatalf("got %q, skipped %q, %v", got, skipped, err)
			}
		})
	}
}

func TestJWKSVerifies(t *testing.T) {
	k := testKeys()
	file := writeFile(t, filepath.Join(t.TempDir(), "keys.json"), jwksJSON(t,
		jose.JSONWebKey{Key: &k.rsa.PublicKey, KeyID: "one"},
		jose.JSONWebKey{Key: &k.rsaOther.PublicKey, KeyID: "two"},
		jose.JSONWebKey{Key: &k.ec.PublicKey, KeyID: "one"})) // one id for two algorithms is fine
	j := newTestJWT(t, func(o *Options) { o.KeyFiles, o.JWKSFiles = nil, []string{file} })
	base := m{"sub": "acme", "exp": exp(time.Hour)}
	for name, tc := range map[string]struct {
		token string
		want  Reason
	}{
		"first":               {makeToken(jwt.SigningMethodRS256, k.rsa, m{"kid": "one"}, base), 0},
		"second":              {makeToken(jwt.SigningMethodRS256, k.rsaOther, m{"kid": "two"}, base), 0},
		"second without kid":  {makeToken(jwt.SigningMethodRS256, k.rsaOther, nil, base), 0},
		"same id, other kind": {makeToken(jwt.SigningMethodES256, k.ec, m{"kid": "one"}, base), 0},
		"swapped ids":         {makeToken(jwt.SigningMethodRS256, k.rsa, m{"kid": "two"}, base), BadSignature},
		"file name is no id":  {makeToken(jwt.SigningMethodRS256, k.rsa, m{"kid": "keys"}, base), UnknownKey},
	} {
		if _, err := j.Authenticate(tc.token, testNow); ReasonOf(err) != tc.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNewJWTRefuses(t *testing.T) {
	dir := t.TempDir()
	secret := writeFile(t, filepath.Join(dir, "a.key"), []byte(testSecret))
	twin := writeFile(t, filepath.Join(dir, "a.txt"), []byte(testSecret))
	empty := writeFile(t, filepath.Join(dir, "empty.json"), []byte(`{"keys":[]}`))
	large := writeFile(t, filepath.Join(dir, "large"), make([]byte, fileBytesMax+1))
	var many []string
	for i := range keysMax + 1 {
		many = append(many, writeFile(t, filepath.Join(dir, fmt.Sprintf("m%d", i)), []byte(testSecret)))
	}
	for name, o := range map[string]Options{
		"no files":        {},
		"missing file":    {KeyFiles: []string{filepath.Join(dir, "nowhere")}},
		"a directory":     {KeyFiles: []string{dir}},
		"one id twice":    {KeyFiles: []string{secret, twin}},
		"no keys":         {JWKSFiles: []string{empty}},
		"secret as JWKS":  {JWKSFiles: []string{secret}},
		"large file":      {KeyFiles: []string{large}},
		"too many keys":   {KeyFiles: many},
		"negative leeway": {KeyFiles: []string{secret}, Leeway: -1},
	} {
		if _, err := NewJWT(o); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}
