package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// certificate makes a certificate for this machine that signs itself, and writes it and its key to files.
func certificate(t testing.TB) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	if pair, err = tls.X509KeyPair(cert, private); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "cert.pem", string(cert)), writeFile(t, "key.pem", string(private)), pair
}

// TestTLS: both doors speak TLS and nothing else, and ask for a client's certificate if told to.
func TestTLS(t *testing.T) {
	certFile, keyFile, pair := certificate(t)
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	plain := []string{"--tls-cert", certFile, "--tls-key", keyFile}
	for _, test := range []struct {
		name   string
		flags  []string
		config *tls.Config // nil: no TLS
		served bool
	}{
		{"server's certificate", plain, &tls.Config{RootCAs: roots}, true},
		{"without TLS", plain, nil, false},
		{"unknown authority", plain, &tls.Config{}, false},
		{"client's certificate", append(plain, "--tls-client-ca", certFile),
			&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, true},
		{"no client's certificate", append(plain, "--tls-client-ca", certFile),
			&tls.Config{RootCAs: roots}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := startNode(t, test.flags...)
			client := n.redis(t, func(o *redis.Options) { o.TLSConfig = test.config })
			if err := client.Set(t.Context(), "k", "v", 0).Err(); (err == nil) != test.served {
				t.Errorf("RESP: %v", err)
			}
			if test.config == nil {
				_, err := n.keyValue(t, "").GetKey(t.Context(), &pb.GetKeyRequest{Namespace: "0", Key: "k"})
				if err == nil {
					t.Error("gRPC is served without TLS")
				}
				return
			}
			creds := grpc.WithTransportCredentials(credentials.NewTLS(test.config))
			conn, err := grpc.NewClient(n.grpcAddr(), creds)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			kv := pb.NewKeyValueClient(conn)
			_, err = kv.PutKey(t.Context(), &pb.PutKeyRequest{Namespace: "0", Key: "k"})
			if (err == nil) != test.served {
				t.Errorf("gRPC: %v", err)
			}
		})
	}
}

// TestHealthOverHTTP asks the side door.
func TestHealthOverHTTP(t *testing.T) {
	n := startNode(t, "--http-addr", "127.0.0.1:0")
	said := regexp.MustCompile(`http://\S+?:\d+`)
	eventually(t, startTimeout, "the door is announced", func() bool {
		return said.MatchString(n.current().out.String())
	})
	base := said.FindString(n.current().out.String())
	client := &http.Client{Timeout: wireTimeout}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/nothing": 404} {
		reply, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("%s is answered by %d", path, reply.StatusCode)
		}
	}
}
