package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// Each refusal shows its reason on both sides: who finds it, and who is told.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name             string
		reason           error
		dialing          func(c *Config)
		accepting        func(c *Config)
		unknown          bool // the accepting side does not know the other
		found            bool // by the side that dials
		knownIncarnation uint64
	}{
		{name: "cluster", reason: ErrCluster, dialing: func(c *Config) { c.Cluster++ }},
		{name: "secret", reason: ErrSecret, dialing: func(c *Config) { c.Secret = []byte("another") }},
		{name: "no secret", reason: ErrSecret, dialing: func(c *Config) { c.Secret = nil }},
		{name: "no secret here", reason: ErrSecret, accepting: func(c *Config) { c.Secret = nil }},
		{name: "unknown", reason: ErrUnknownPeer, unknown: true},
		{name: "other disk", reason: ErrIDUsed, knownIncarnation: 4711},
		{
			name: "id of the other", reason: ErrIDUsed, found: false,
			// It dials the higher id 3, where a node lives that has its own id.
			accepting: func(c *Config) { c.Self = 1 },
		},
		{
			name: "another node there", reason: ErrWrongNode,
			accepting: func(c *Config) { c.Self = 4 },
		},
		{
			name: "removed", reason: ErrRemoved,
			accepting: func(c *Config) { c.Removed = func(id NodeID) bool { return id == 1 } },
		},
		{
			name: "removed, says who dials", reason: ErrRemoved, found: true,
			dialing: func(c *Config) { c.Removed = func(id NodeID) bool { return id == 3 } },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := newNode(t, 1, tt.dialing), newNode(t, 3, tt.accepting)
			if err := a.SetPeer(Peer{ID: 3, Addr: b.addr}); err != nil {
				t.Fatal(err)
			}
			if !tt.unknown {
				if err := b.SetPeer(Peer{ID: 1, Addr: a.addr, Incarnation: tt.knownIncarnation}); err != nil {
					t.Fatal(err)
				}
			}
			a.Start()
			b.Start()
			poll(t, "both to know", func() bool {
				return isRefusal(a.peerStatus(3).Raft.LastError, tt.reason, !tt.found) &&
					isRefusal(b.Status().LastRefusal, tt.reason, tt.found)
			})
			if a.peerStatus(3).Raft.Connects+b.peerStatus(1).Raft.Connects != 0 {
				t.Fatal("connected")
			}
			if why := b.Status().LastRefusal.Error(); misnamed.MatchString(why) {
				t.Errorf("a node has 16 digits, not as in %q", why)
			}
		})
	}
}

// misnamed is the id of a node written as something else than 16 digits.
var misnamed = regexp.MustCompile(`node ([0-9a-f]{17}|[0-9a-f]{1,15}\b)`)

// accepting starts a node that others may talk to byte by byte.
func accepting(t *testing.T, change func(c *Config)) *node {
	t.Helper()
	n := newNode(t, 3, change)
	if err := n.SetPeer(Peer{ID: 1}); err != nil {
		t.Fatal(err)
	}
	n.Start()
	return n
}

func dialNode(t *testing.T, n *node) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// greeting is the hello of node 1 to node 3.
func greeting(change func(h *hello)) []byte {
	h := hello{
		versionMin: 1, versionMax: 1, cluster: testCluster, node: 1, expected: 3, incarnation: 1001, process: 1,
	}
	if change != nil {
		change(&h)
	}
	return h.encode()
}

func TestHelloRefused(t *testing.T) {
	n := accepting(t, func(c *Config) { delete(c.Kinds, kindChunk) })
	for name, tt := range map[string]struct {
		change func(h *hello)
		reason error
	}{
		"later version":   {func(h *hello) { h.versionMin, h.versionMax = 2, 9 }, ErrVersion},
		"earlier version": {func(h *hello) { h.versionMin, h.versionMax = 0, 0 }, ErrVersion},
		"unknown lane":    {func(h *hello) { h.lane = lanes }, ErrLane},
		"higher id":       {func(h *hello) { h.node = 4 }, ErrLane},
		"this process":    {func(h *hello) { h.node, h.incarnation = 3, 1003 }, ErrSelf},
		"its id":          {func(h *hello) { h.node = 3 }, ErrIDUsed},
		"for another":     {func(h *hello) { h.expected = 2 }, ErrWrongNode},
		"for anyone":      {func(h *hello) { h.expected = 0 }, ErrWrongNode},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialNode(t, n)
			if err := writeStep(conn, stepHello, greeting(tt.change)); err != nil {
				t.Fatal(err)
			}
			if _, err := readStep(conn, stepHello); !isRefusal(err, tt.reason, true) {
				t.Fatal(err)
			}
			poll(t, "the other side", func() bool { return isRefusal(n.Status().LastRefusal, tt.reason, false) })
		})
	}
	// A hello of a later version may be longer.
	conn := dialNode(t, n)
	longer := append(greeting(func(h *hello) { h.versionMax = 7 }), "and more"...)
	if err := writeStep(conn, stepHello, longer); err != nil {
		t.Fatal(err)
	}
	if _, err := readStep(conn, stepHello); err != nil {
		t.Fatal(err)
	}
}

// A proof that was heard is of no use: not to who asks for it, nor on another connection.
func TestProofCannotBeReflectedOrReplayed(t *testing.T) {
	n := accepting(t, nil)
	ours := greeting(nil)
	knows, err := New(n.config) // whoever knows the secret
	if err != nil {
		t.Fatal(err)
	}
	var heard []byte
	for _, attempt := range []struct {
		name  string
		proof func(theirs []byte) []byte
		taken bool
	}{
		{"right", func(theirs []byte) []byte { return knows.proof("dial", ours, theirs) }, true},
		{"replayed", func([]byte) []byte { return heard }, false},
		{"of the other role", func(theirs []byte) []byte { return knows.proof("accept", ours, theirs) }, false},
		{"of swapped hellos", func(theirs []byte) []byte { return knows.proof("dial", theirs, ours) }, false},
		{"none", func([]byte) []byte { return nil }, false},
		{"zeros", func([]byte) []byte { return make([]byte, proofBytes) }, false},
	} {
		conn := dialNode(t, n)
		if err := writeStep(conn, stepHello, ours); err != nil {
			t.Fatal(err)
		}
		theirs, err := readStep(conn, stepHello)
		if err != nil {
			t.Fatal(err)
		}
		proof := attempt.proof(theirs)
		heard = proof
		if err := writeStep(conn, stepProof, proof); err != nil {
			t.Fatal(err)
		}
		answer, err := readStep(conn, stepProof)
		if attempt.taken && (err != nil || string(answer) != string(knows.proof("accept", ours, theirs))) {
			t.Fatalf("%s: %v", attempt.name, err)
		}
		if !attempt.taken && !isRefusal(err, ErrSecret, true) {
			t.Fatalf("%s: %v", attempt.name, err)
		}
	}
}

// Who accepts without knowing the secret is found out, and told.
func TestImpostorThatAccepts(t *testing.T) {
	a := newNode(t, 1, func(c *Config) { delete(c.Kinds, kindChunk) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := a.SetPeer(Peer{ID: 3, Addr: listener.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	a.Start()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := readStep(conn, stepHello); err != nil {
		t.Fatal(err)
	}
	theirs := greeting(func(h *hello) { h.node, h.expected, h.incarnation = 3, 1, 1003 })
	if err := writeStep(conn, stepHello, theirs); err != nil {
		t.Fatal(err)
	}
	proof, err := readStep(conn, stepProof)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeStep(conn, stepProof, proof); err != nil { // reflected
		t.Fatal(err)
	}
	if _, err := readStep(conn, stepWelcome); !isRefusal(err, ErrSecret, true) {
		t.Fatal(err)
	}
	poll(t, "the dialing side", func() bool {
		return isRefusal(a.peerStatus(3).Raft.LastError, ErrSecret, false)
	})
}

func TestGarbageOnThePort(t *testing.T) {
	n := accepting(t, nil)
	valid := func(s step, body []byte) []byte {
		r, w := io.Pipe()
		go func() { _ = writeStep(w, s, body); _ = w.Close() }()
		b, _ := io.ReadAll(r)
		return b
	}
	damaged := valid(stepHello, greeting(nil))
	damaged[20]++
	for name, b := range map[string][]byte{
		"http":            []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
		"redis":           []byte("*1\r\n$4\r\nPING\r\n and some more"),
		"zeros":           make([]byte, 4096),
		"damaged":         damaged,
		"long body":       {0x70, 0x74, 0x6d, 0x63, 1, 0, 0xff, 0xff, 0},
		"short hello":     valid(stepHello, []byte("hello")),
		"proof first":     valid(stepProof, make([]byte, 32)),
		"unknown step":    valid(99, nil),
		"strange refusal": valid(stepRefusal, []byte{99, 'x'}),
		"empty refusal":   valid(stepRefusal, nil),
		"ssh":             []byte("SSH-2.0-OpenSSH_9.2\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			before := n.Status().Refused
			conn := dialNode(t, n)
			_, _ = conn.Write(b)
			_, _ = io.Copy(io.Discard, conn) // until it is closed
			poll(t, "the refusal", func() bool { return n.Status().Refused == before+1 })
			if err := n.Status().LastRefusal; !errors.Is(err, ErrGarbage) {
				t.Fatal(err)
			}
		})
	}
	before := n.Status().Refused
	conn := dialNode(t, n)
	_, _ = conn.Write(damaged[:10])
	_ = conn.Close()
	poll(t, "the end of half a hello", func() bool { return n.Status().Refused == before+1 })
}

// Who is slow is not waited for, and cannot keep others out for longer.
func TestSlowHandshakes(t *testing.T) {
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	n := accepting(t, func(c *Config) { c.Clock, c.Limits.Handshakes = fake, 2 })
	slow := []net.Conn{dialNode(t, n), dialNode(t, n)}
	_, _ = slow[1].Write([]byte("pt")) // a first bit
	fake.WaitTimers(2)
	third := dialNode(t, n)
	_, _ = io.Copy(io.Discard, third) // closed at once
	if err := n.Status().LastRefusal; !errors.Is(err, errBusy) {
		t.Fatal(err)
	}
	fake.Advance(5 * time.Second)
	for _, conn := range slow {
		_, _ = io.Copy(io.Discard, conn)
	}
	poll(t, "the refusals", func() bool { return n.Status().Refused == 3 })
	if err := n.Status().LastRefusal; !errors.Is(err, ErrTimeout) {
		t.Fatal(err)
	}
	// There is room again.
	conn := dialNode(t, n)
	if err := writeStep(conn, stepHello, greeting(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := readStep(conn, stepHello); err != nil {
		t.Fatal(err)
	}
}

// established is a connection to n after the handshake, as node 1 has it.
func established(t *testing.T, n *node) net.Conn {
	t.Helper()
	c := n.config
	c.Self, c.Incarnation, c.Process = 1, 1001, 1
	knows, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := knows.SetPeer(Peer{ID: 3}); err != nil {
		t.Fatal(err)
	}
	conn := dialNode(t, n)
	if _, err := knows.dialSteps(conn, 3, laneRaft); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A frame twice, one missing, or damage ends the connection, and what came before was received.
func TestBadFramesEndTheConnection(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"repeat": func(b []byte) []byte { return append(b, b[len(b)-headerBytes-1:]...) },
		"gap": func(b []byte) []byte {
			return append(b, written(t, packet{KindUser, 0, nil}, packet{}, packet{}, packet{})[120:]...)
		},
		"damage":  func(b []byte) []byte { return append(b, make([]byte, headerBytes)...) },
		"message": func(b []byte) []byte { return b },
	} {
		t.Run(name, func(t *testing.T) {
			n := accepting(t, nil)
			conn := established(t, n)
			b := change(written(t, packet{kindForward, 0, []byte("first")}, packet{kindForward, 0, []byte("2")}))
			if name == "message" {
				b = written(t, packet{kindForward, 0, []byte("first")}, packet{kindForward, 0, nil},
					packet{kindRaft, 1, []byte{0xff}})
			}
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			err := n.waitEnds(1)[0]
			if got := n.delivered(); len(got) < 2 || string(got[0].payload) != "first" {
				t.Fatalf("received %v", got)
			}
			if !errors.Is(err, ErrFrame) && !errors.Is(err, errMessage) {
				t.Fatal(err)
			}
		})
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add(greeting(nil))
	f.Add([]byte{3, 'n', 'o'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHello(b); err == nil {
			again, err := decodeHello(h.encode())
			if err != nil || again != h {
				t.Fatalf("%+v becomes %+v, %v", h, again, err)
			}
		}
		if err := decodeRefusal(b); err == nil || len(err.Error()) > 2000 {
			t.Fatal(err)
		}
	})
}

// authority makes certificates for nodes.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(t, template, template)
	var err error
	if a.cert, err = x509.ParseCertificate(der.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	a.key = der.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure gives a node the certificate of the node name.
func (a *authority) secure(t *testing.T, c *Config, name NodeID) {
	cert := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: fmt.Sprint(name)},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert)
	c.Secret = nil
	c.TLSClient = &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: a.pool}
	c.TLSServer = &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	c.VerifyPeer = func(id NodeID, s tls.ConnectionState) error {
		if got := s.PeerCertificates[0].Subject.CommonName; got != fmt.Sprint(id) {
			return fmt.Errorf("certificate of %q for node %d", got, id)
		}
		return nil
	}
}

func TestMutualTLS(t *testing.T) {
	ca := newAuthority(t)
	a := newNode(t, 1, func(c *Config) { ca.secure(t, c, 1) })
	b := newNode(t, 3, func(c *Config) { ca.secure(t, c, 3) })
	connect(t, a, b)
	big := value(1<<20, 'x')
	if err := b.SendTo(1, kindForward, big); err != nil {
		t.Fatal(err)
	}
	a.wait("packet", func() bool { return len(a.payloads) == 1 && len(a.payloads[0].payload) == len(big) })

	for name, change := range map[string]func(c *Config){
		"certificate of another node": func(c *Config) { ca.secure(t, c, 4) },
		"another authority":           func(c *Config) { newAuthority(t).secure(t, c, 2) },
		"no tls":                      nil,
	} {
		t.Run(name, func(t *testing.T) {
			bad := newNode(t, 2, change)
			know(t, bad, b)
			bad.Start()
			before := b.Status().Refused
			poll(t, "both to refuse", func() bool {
				return bad.peerStatus(3).Raft.LastError != nil && b.Status().Refused > before
			})
			if err := bad.peerStatus(3).Raft.LastError; name == "certificate of another node" &&
				!isRefusal(err, ErrCertificate, true) {
				t.Fatal(err)
			}
			if bad.peerStatus(3).Raft.Connects+b.peerStatus(2).Raft.Connects != 0 {
				t.Fatal("connected")
			}
			b.RemovePeer(2)
		})
	}
}

// TestTLSOnOneSide: both sides know why they do not come together.
func TestTLSOnOneSide(t *testing.T) {
	ca := newAuthority(t)
	secure := func(c *Config) { ca.secure(t, c, 4) }
	for name, change := range map[string][2]func(c *Config){
		"the one that dials": {secure, nil}, "the other one": {nil, secure},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newNode(t, 1, change[0]), newNode(t, 3, change[1])
			know(t, a, b)
			a.Start()
			b.Start()
			poll(t, "both to know", func() bool {
				return errors.Is(a.peerStatus(3).Raft.LastError, ErrTLS) && errors.Is(b.Status().LastRefusal, ErrTLS)
			})
		})
	}
}

func TestConfigRefused(t *testing.T) {
	ca := newAuthority(t)
	for name, change := range map[string]func(c *Config){
		"no id":           func(c *Config) { c.Self = 0 },
		"no clock":        func(c *Config) { c.Clock = nil },
		"half tls":        func(c *Config) { c.TLSClient = &tls.Config{} },
		"tls for anyone":  func(c *Config) { ca.secure(t, c, 1); c.TLSServer.ClientAuth = tls.RequestClientCert },
		"tls of anyone":   func(c *Config) { ca.secure(t, c, 1); c.VerifyPeer = nil },
		"reserved kind":   func(c *Config) { c.Kinds[1] = KindConfig{Deliver: func(NodeID, []byte) {}} },
		"nobody delivers": func(c *Config) { c.Kinds[99] = KindConfig{} },
	} {
		c := accepting(t, nil).config
		change(&c)
		if _, err := New(c); err == nil {
			t.Error(name)
		}
	}
}
