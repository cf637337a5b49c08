package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys are made once per run: RSA keys are dear.
var testKeys = sync.OnceValue(func() (k struct {
	rsa, rsaOther, rsaSmall *rsa.PrivateKey
	ec, ec384               *ecdsa.PrivateKey
	ed                      ed25519.PrivateKey
}) {
	k.rsa = must(rsa.GenerateKey(rand.Reader, 2048))
	k.rsaOther = must(rsa.GenerateKey(rand.Reader, 2048))
	k.rsaSmall = must(rsa.GenerateKey(rand.Reader, 1024))
	k.ec = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	k.ec384 = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

const testSecret = "0123456789abcdef0123456789abcdef"

var testNow = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(public any) []byte {
	der := must(x509.MarshalPKIXPublicKey(public))
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func privatePEM(private any) []byte {
	der := must(x509.MarshalPKCS8PrivateKey(private))
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func jwksJSON(t *testing.T, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	set.Keys = keys
	return must(json.Marshal(set))
}

// writeFile puts data in place by rename, as operators should.
func writeFile(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// newTestJWT is a server that knows a secret "s", and public keys "r", "e" and "d" of RSA, EC and Ed25519.
func newTestJWT(t *testing.T, change func(*Options)) *JWT {
	t.Helper()
	k := testKeys()
	dir := t.TempDir()
	o := Options{
		KeyFiles: []string{
			writeFile(t, filepath.Join(dir, "s.key"), []byte(testSecret)),
			writeFile(t, filepath.Join(dir, "r.pem"), publicPEM(&k.rsa.PublicKey)),
			writeFile(t, filepath.Join(dir, "e.pem"), publicPEM(&k.ec.PublicKey)),
			writeFile(t, filepath.Join(dir, "d.pem"), publicPEM(k.ed.Public())),
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&o)
	}
	j, err := NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
