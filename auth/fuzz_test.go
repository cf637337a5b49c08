package auth

import (
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// newSecretJWT knows testSecret, and no files.
func newSecretJWT() *JWT {
	j := &JWT{parser: newParser()}
	j.current.Store(must(newKeySet([]key{{id: "s", algorithm: algHS256, material: []byte(testSecret)}})))
	return j
}

// rawToken signs header and payload as they are, well formed or not.
func rawToken(header, payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	signature := must(jwt.SigningMethodHS256.Sign(text, []byte(testSecret)))
	return text + "." + encode(signature)
}

// FuzzAuthenticate: no token makes us panic, every refusal is typed and fit for a client, and what
// is accepted bears the signature of one of our keys.
func FuzzAuthenticate(f *testing.F) {
	j := newSecretJWT()
	good := hs256(nil, m{"sub": "acme", "exp": exp(time.Hour)})
	f.Add(good)
	f.Add(makeToken(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, m{"sub": "acme"}))
	f.Add("..")
	f.Add("bnVsbA.bnVsbA.")
	f.Add("eyJhbGciOiJIUzI1NiIsImtpZCI6W119.e30.")
	f.Add(strings.Repeat("a.", 5000))
	f.Fuzz(func(t *testing.T, token string) {
		p, err := j.Authenticate(token, testNow)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		parts := strings.Split(token, ".")
		signature := must(newParser().DecodeSegment(parts[2]))
		if jwt.SigningMethodHS256.Verify(parts[0]+"."+parts[1], signature, []byte(testSecret)) != nil {
			t.Errorf("accepted %+v without a signature", p)
		}
	})
}

// FuzzClaims: claims of any form, signed properly, give a principal within its bounds or a refusal.
func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"acme","exp":1e10,"scope":"read","namespaces":["a"]}`)
	f.Add(`{"sub":"acme","exp":1e10,"scope":["admin",""],"namespaces":"a,b"}`)
	f.Add(`{"sub":null,"exp":-0,"nbf":1e400}`)
	f.Add(`null`)
	j := newSecretJWT()
	f.Fuzz(func(t *testing.T, payload string) {
		token := rawToken(`{"alg":"HS256"}`, payload)
		p, err := j.Authenticate(token, testNow)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !ValidCredential(p.Credential) || p.Expired(testNow) || p.Expires.IsZero() ||
			len(p.Namespaces) > namespacesMax || p.Scope&^ScopeAll != 0 {
			t.Errorf("principal out of bounds: %+v", p)
		}
	})
}

// FuzzSign: what an operator asks for is refused, or becomes a token that says exactly that.
func FuzzSign(f *testing.F) {
	f.Add("acme", "a,b", true, uint8(Read|Admin))
	f.Add("acme", "", true, uint8(0))
	f.Add("tenant/x", "a b", false, uint8(ScopeAll))
	f.Add("", "\x00,a", true, uint8(0xff))
	j := newSecretJWT()
	file := writeFile(f, filepath.Join(f.TempDir(), "s.key"), []byte(testSecret))
	f.Fuzz(func(t *testing.T, credential, names string, restricted bool, scope uint8) {
		c := Claims{Credential: credential, Scope: Scope(scope) & ScopeAll, Expires: testNow.Add(time.Hour)}
		if restricted {
			c.Namespaces = strings.FieldsFunc(names, func(r rune) bool { return r == ',' })
		}
		token, err := Sign(file, c)
		if err != nil {
			return
		}
		p, err := j.Authenticate(token, testNow)
		if err != nil {
			t.Fatalf("%+v is signed and refused: %v", c, err)
		}
		if c.Scope == 0 {
			c.Scope = ScopeDefault
		}
		if p.Credential != c.Credential || p.Scope != c.Scope || (p.Namespaces == nil) != (c.Namespaces == nil) ||
			!slices.Equal(p.Namespaces, c.Namespaces) || !p.Expires.Equal(c.Expires) {
			t.Fatalf("%+v became %+v", c, p)
		}
	})
}

// FuzzKeyFile: no content of a key file makes us panic, and keys that are accepted have an algorithm.
func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(testSecret))
	f.Add(publicPEM(&testKeys().ec.PublicKey))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"","e":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _, err := keyContent{file: "k", data: data}.keys()
		if err != nil {
			return
		}
		for _, k := range keys {
			if k.algorithm == "" || k.material == nil {
				t.Errorf("key without algorithm or material: %+v", k)
			}
		}
	})
}

func BenchmarkAuthenticateRemembered(b *testing.B) {
	j := newSecretJWT()
	token := hs256(nil, m{"sub": "acme", "exp": exp(time.Hour)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Authenticate(token, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k := testKeys()
	base := m{"sub": "acme", "exp": exp(time.Hour)}
	for _, bc := range []struct {
		algorithm string
		material  any
		token     string
	}{
		{algHS256, []byte(testSecret), hs256(nil, base)},
		{algRS256, &k.rsa.PublicKey, makeToken(jwt.SigningMethodRS256, k.rsa, nil, base)},
		{algES256, &k.ec.PublicKey, makeToken(jwt.SigningMethodES256, k.ec, nil, base)},
		{algEdDSA, k.ed.Public(), makeToken(jwt.SigningMethodEdDSA, k.ed, nil, base)},
	} {
		b.Run(bc.algorithm, func(b *testing.B) {
			set, err := newKeySet([]key{{algorithm: bc.algorithm, material: bc.material}})
			if err != nil {
				b.Fatal(err)
			}
			j := &JWT{parser: newParser()}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.verify(set, bc.token, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
