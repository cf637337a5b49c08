package auth

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// makeToken signs freely, without the checks of Sign.
func makeToken(method jwt.SigningMethod, key any, header, payload map[string]any) string {
	token := jwt.NewWithClaims(method, jwt.MapClaims(payload))
	for name, value := range header {
		token.Header[name] = value
	}
	return must(token.SignedString(key))
}

func hs256(header, payload map[string]any) string {
	return makeToken(jwt.SigningMethodHS256, []byte(testSecret), header, payload)
}

type m = map[string]any

func exp(d time.Duration) int64 { return testNow.Add(d).Unix() }

func TestAuthenticateAccepts(t *testing.T) {
	k := testKeys()
	j := newTestJWT(t, func(o *Options) { o.Issuer, o.Audience = "", "" })
	base := m{"sub": "acme", "exp": exp(time.Hour)}
	with := func(name string, value any) m {
		c := m{"sub": "acme", "exp": exp(time.Hour)}
		c[name] = value
		return c
	}
	plain := Principal{Credential: "acme", Scope: Read | Write, Expires: time.Unix(exp(time.Hour), 0)}
	want := func(change func(*Principal)) Principal {
		p := plain
		change(&p)
		return p
	}
	for _, tc := range []struct {
		name  string
		token string
		want  Principal
	}{
		{"secret by kid", hs256(m{"kid": "s"}, base), want(func(p *Principal) { p.KeyID = "s" })},
		{"secret without kid", hs256(nil, base), plain},
		{"RSA", makeToken(jwt.SigningMethodRS256, k.rsa, nil, base), plain},
		{"RSA by kid", makeToken(jwt.SigningMethodRS256, k.rsa, m{"kid": "r"}, base),
			want(func(p *Principal) { p.KeyID = "r" })},
		{"EC", makeToken(jwt.SigningMethodES256, k.ec, nil, base), plain},
		{"Ed25519", makeToken(jwt.SigningMethodEdDSA, k.ed, nil, base), plain},
		{"scope of words", hs256(nil, with("scope", "read admin")),
			want(func(p *Principal) { p.Scope = Read | Admin })},
		{"scope with commas", hs256(nil, with("scope", "read,write")), plain},
		{"scope as array", hs256(nil, with("scope", []string{"write"})),
			want(func(p *Principal) { p.Scope = Write })},
		{"scope of a provider gives nothing", hs256(nil, with("scope", "openid email")),
			want(func(p *Principal) { p.Scope = 0 })},
		{"empty scope gives nothing", hs256(nil, with("scope", "")), want(func(p *Principal) { p.Scope = 0 })},
		{"namespaces", hs256(nil, with("namespaces", []string{"a", "0"})),
			want(func(p *Principal) { p.Namespaces = []string{"a", "0"} })},
		{"namespaces of words", hs256(nil, with("namespaces", "a b")),
			want(func(p *Principal) { p.Namespaces = []string{"a", "b"} })},
		{"empty namespaces allow none", hs256(nil, with("namespaces", []string{})),
			want(func(p *Principal) { p.Namespaces = []string{} })},
		{"nbf and iat now",
			hs256(nil, m{"sub": "acme", "exp": exp(time.Hour), "nbf": exp(0), "iat": exp(0)}), plain},
		{"times with fractions", hs256(nil, with("nbf", float64(exp(0))-0.5)), plain},
		{"claims of others", hs256(nil, with("Exp", 1)), plain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 2 { // the second answer is a remembered one
				p, err := j.Authenticate(tc.token, testNow)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, *p); diff != "" {
					t.Fatalf("principal (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// refusal is a token and why it is not accepted.
type refusal struct {
	name, token string
	want        Reason
}

func testRefusals(t *testing.T, j *JWT, refusals []refusal) {
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			p, err := j.Authenticate(tc.token, testNow)
			if p != nil || ReasonOf(err) != tc.want {
				t.Fatalf("got %v, %v; want reason %q", p, err, tc.want)
			}
			checkRefusal(t, err)
		})
	}
}

func TestAuthenticateRefusesSignatures(t *testing.T) {
	k := testKeys()
	j := newTestJWT(t, nil)
	base := m{"sub": "acme", "exp": exp(time.Hour)}
	good := hs256(nil, base)
	unsigned := makeToken(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, base)
	b64 := base64.RawURLEncoding.EncodeToString
	testRefusals(t, j, []refusal{
		{"empty", "", NoToken},
		{"one part", "abc", Malformed},
		{"four parts", good + ".x", Malformed},
		{"not base64", "ä.b.c", Malformed},
		{"header no JSON", b64([]byte("x")) + ".e30.", Malformed},
		{"header null", b64([]byte("null")) + ".e30.", WrongAlgorithm},
		{"no alg", b64([]byte("{}")) + ".e30.", WrongAlgorithm},
		{"too long", good + strings.Repeat("x", TokenBytesMax), Malformed},
		{"line breaks", "a\r\n+OK", Malformed},
		{"alg none", unsigned, WrongAlgorithm},
		{"alg None", b64([]byte(`{"alg":"None"}`)) + strings.TrimPrefix(unsigned, strings.Split(unsigned, ".")[0]),
			WrongAlgorithm},
		{"alg none with kid",
			makeToken(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, m{"kid": "s"}, base),
			WrongAlgorithm},
		{"HS512 of the secret", makeToken(jwt.SigningMethodHS512, []byte(testSecret), nil, base), WrongAlgorithm},
		{"PS256 of the RSA key", makeToken(jwt.SigningMethodPS256, k.rsa, nil, base), WrongAlgorithm},
		{"RS512 of the RSA key", makeToken(jwt.SigningMethodRS512, k.rsa, m{"kid": "r"}, base), WrongAlgorithm},
		{"HS256 with the public PEM", makeToken(jwt.SigningMethodHS256, publicPEM(&k.rsa.PublicKey), nil, base),
			BadSignature},
		{"HS256 with the public PEM by kid",
			makeToken(jwt.SigningMethodHS256, publicPEM(&k.rsa.PublicKey), m{"kid": "r"}, base), WrongAlgorithm},
		{"other secret", makeToken(jwt.SigningMethodHS256, []byte(testSecret+"x"), nil, base), BadSignature},
		{"other RSA key", makeToken(jwt.SigningMethodRS256, k.rsaOther, nil, base), BadSignature},
		{"kid of another key", makeToken(jwt.SigningMethodRS256, k.rsaOther, m{"kid": "r"}, base), BadSignature},
		{"kid unknown", hs256(m{"kid": "nobody"}, base), UnknownKey},
		{"kid a path", hs256(m{"kid": "../../dev/null"}, base), UnknownKey},
		{"kid empty", hs256(m{"kid": ""}, base), Malformed},
		{"kid a number", hs256(m{"kid": 1}, base), Malformed},
		{"key in the header",
			makeToken(jwt.SigningMethodRS256, k.rsaOther, m{"jwk": m{"kty": "RSA"}}, base), BadSignature},
		{"crit", hs256(m{"crit": []string{"b64"}, "b64": false}, base), Malformed},
		{"payload changed", changePayload(good), BadSignature},
		{"signature cut", good[:len(good)-4], BadSignature},
	})
}

func TestAuthenticateRefusesClaims(t *testing.T) {
	with := func(name string, value any) string {
		c := m{"sub": "acme", "exp": exp(time.Hour)}
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
		return hs256(nil, c)
	}
	testRefusals(t, newTestJWT(t, nil), []refusal{
		{"no exp", with("exp", nil), NoExpiry},
		{"Exp is not exp", hs256(nil, m{"sub": "acme", "Exp": exp(time.Hour)}), NoExpiry},
		{"exp a string", with("exp", "2030"), BadClaim},
		{"exp beyond all times", with("exp", 1e300), BadClaim},
		{"exp negative", with("exp", -1), BadClaim},
		{"expired", with("exp", exp(-time.Second)), Expired},
		{"expires now", with("exp", exp(0)), Expired},
		{"exp zero", with("exp", 0), Expired},
		{"nbf in the future", with("nbf", exp(time.Minute)), NotYetValid},
		{"iat in the future", with("iat", exp(time.Minute)), NotYetValid},
		{"nbf a word", with("nbf", "x"), BadClaim},
		{"no sub", with("sub", nil), BadClaim},
		{"sub empty", with("sub", ""), BadClaim},
		{"sub a number", with("sub", 7), BadClaim},
		{"sub with a slash", with("sub", "a/b"), BadClaim},
		{"sub with a line break", with("sub", "a\r\n"), BadClaim},
		{"sub not ASCII", with("sub", "ä"), BadClaim},
		{"sub long", with("sub", strings.Repeat("a", 129)), BadClaim},
		{"scope a number", with("scope", 7), BadClaim},
		{"scope of numbers", with("scope", []int{7}), BadClaim},
		{"namespaces an object", with("namespaces", m{"a": 1}), BadClaim},
		{"namespaces with a bad name", with("namespaces", []string{"a b"}), BadClaim},
		{"namespaces without end", with("namespaces", strings.Repeat("a ", namespacesMax+1)), BadClaim},
	})
}

// checkRefusal holds every refusal to what it promises: typed, one line, short, no secret.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, e.Reason) {
		t.Errorf("refusal is not typed: %#v", err)
	}
	text := err.Error()
	if strings.ContainsAny(text, "\r\n") || len(text) > 300 || strings.Contains(text, testSecret) {
		t.Errorf("refusal is not fit for a client: %q", text)
	}
}

func changePayload(token string) string {
	parts := strings.Split(token, ".")
	payload := must(base64.RawURLEncoding.DecodeString(parts[1]))
	changed := strings.Replace(string(payload), "acme", "evil", 1)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}

func TestAuthenticateExpectsOrigin(t *testing.T) {
	j := newTestJWT(t, func(o *Options) { o.Issuer, o.Audience = "https://issuer", "primatomic" })
	for _, tc := range []struct {
		name     string
		iss, aud any
		want     Reason
	}{
		{"both fit", "https://issuer", "primatomic", 0},
		{"one of many audiences", "https://issuer", []string{"x", "primatomic"}, 0},
		{"no issuer", nil, "primatomic", WrongIssuer},
		{"other issuer", "https://issuer/", "primatomic", WrongIssuer},
		{"issuer a number", 1, "primatomic", WrongIssuer},
		{"no audience", "https://issuer", nil, WrongAudience},
		{"other audience", "https://issuer", "x", WrongAudience},
		{"audience of numbers", "https://issuer", []int{1}, WrongAudience},
		{"audience an object", "https://issuer", m{"primatomic": 1}, WrongAudience},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := m{"sub": "acme", "exp": exp(time.Hour)}
			if tc.iss != nil {
				c["iss"] = tc.iss
			}
			if tc.aud != nil {
				c["aud"] = tc.aud
			}
			_, err := j.Authenticate(hs256(nil, c), testNow)
			if ReasonOf(err) != tc.want {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestLeewayShiftsEveryTime(t *testing.T) {
	j := newTestJWT(t, func(o *Options) { o.Leeway = 10 * time.Second })
	late := hs256(nil, m{"sub": "acme", "exp": exp(-9 * time.Second)})
	p, err := j.Authenticate(late, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if p.Expired(testNow) || !p.Expired(testNow.Add(time.Second)) {
		t.Errorf("principal ends at %v, want exp and the leeway", p.Expires)
	}
	early := hs256(nil, m{"sub": "acme", "exp": exp(time.Hour), "nbf": exp(10 * time.Second)})
	if _, err := j.Authenticate(early, testNow); err != nil {
		t.Error(err)
	}
	tooEarly := hs256(nil, m{"sub": "acme", "exp": exp(time.Hour), "iat": exp(11 * time.Second)})
	if _, err := j.Authenticate(tooEarly, testNow); !errors.Is(err, NotYetValid) {
		t.Error(err)
	}
}

func TestRememberedTokenExpires(t *testing.T) {
	j := newTestJWT(t, nil)
	token := hs256(nil, m{"sub": "acme", "exp": exp(time.Minute)})
	first, err := j.Authenticate(token, testNow)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := j.Authenticate(token, testNow.Add(time.Minute-1))
	if second != first {
		t.Error("the token was verified twice")
	}
	if _, err := j.Authenticate(token, testNow.Add(time.Minute)); !errors.Is(err, Expired) {
		t.Errorf("a remembered token outlived its exp: %v", err)
	}
}

func TestVerifiedIsBounded(t *testing.T) {
	v := newVerified()
	p := &Principal{Expires: testNow.Add(time.Hour)}
	for i := range verifiedMax + 100 {
		v.put(tokenHash{byte(i), byte(i >> 8), byte(i >> 16)}, p, testNow)
	}
	if n := len(v.principals); n != verifiedMax {
		t.Errorf("%d tokens are remembered, the bound is %d", n, verifiedMax)
	}
}

func TestTokenWithoutKidTriesFewKeys(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range triesMax + 1 {
		name := filepath.Join(dir, string(rune('a'+i)))
		files = append(files, writeFile(t, name, []byte(strings.Repeat(string(rune('a'+i)), 32))))
	}
	last := []byte(strings.Repeat(string(rune('a'+triesMax)), 32))
	base := m{"sub": "acme", "exp": exp(time.Hour)}
	j := newTestJWT(t, func(o *Options) { o.KeyFiles = files })
	unnamed := makeToken(jwt.SigningMethodHS256, last, nil, base)
	if _, err := j.Authenticate(unnamed, testNow); !errors.Is(err, UnknownKey) {
		t.Errorf("got %v, want a refusal to try more than %d keys", err, triesMax)
	}
	named := makeToken(jwt.SigningMethodHS256, last, m{"kid": filepath.Base(files[triesMax])}, base)
	if _, err := j.Authenticate(named, testNow); err != nil {
		t.Error(err)
	}
}
