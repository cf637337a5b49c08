package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/codes"

	"github.com/primatomic/primatomic/auth"
	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

const secret = "a secret for tests that is long enough to sign with"

// issuer makes tokens that a node of startAuth accepts.
type issuer struct {
	t    testing.TB
	file string
}

// startAuth starts a node that asks for tokens.
func startAuth(t testing.TB, flags ...string) (*node, issuer) {
	t.Helper()
	i := issuer{t, writeFile(t, "jwt.key", secret)}
	return startNode(t, append([]string{"--auth", "jwt", "--jwt-key", i.file}, flags...)...), i
}

// token signs a token of one hour.
func (i issuer) token(credential string, change ...func(*auth.Claims)) string {
	i.t.Helper()
	now := time.Now()
	claims := auth.Claims{
		Credential: credential, Scope: auth.ScopeDefault, IssuedAt: now, Expires: now.Add(time.Hour),
	}
	for _, fn := range change {
		fn(&claims)
	}
	token, err := auth.Sign(i.file, claims)
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func expires(at time.Time) func(*auth.Claims) { return func(c *auth.Claims) { c.Expires = at } }

func only(namespaces ...string) func(*auth.Claims) {
	return func(c *auth.Claims) { c.Namespaces = namespaces }
}

func scope(s auth.Scope) func(*auth.Claims) { return func(c *auth.Claims) { c.Scope = s } }

// expectPrefix checks the first word of an error.
func expectPrefix(t testing.TB, a answer, prefix string) {
	t.Helper()
	if a.prefix() != prefix {
		t.Errorf("the answer is %.200q, want the error %s", a.raw, prefix)
	}
}

// login opens a wire as someone.
func (n *node) login(t testing.TB, token string) *wire {
	t.Helper()
	w := n.wire(t)
	if a := w.do(t, "AUTH", token); a.raw != "+OK\r\n" {
		t.Fatalf("AUTH: %q", a.raw)
	}
	return w
}

// TestAuthFlows: the ways to log in over RESP, and what is answered to those who do not.
func TestAuthFlows(t *testing.T) {
	n, i := startAuth(t)
	alice := i.token("alice")
	if a := n.login(t, alice).do(t, "NAMESPACE", "CREATE", "orders"); a.raw != "+OK\r\n" {
		t.Fatal(a.raw)
	}
	for _, test := range []struct {
		name string
		args []string
		want string // "" is OK; else an error's first word
	}{
		{"token alone", []string{"AUTH", alice}, ""},
		{"name and token", []string{"AUTH", "alice", alice}, ""},
		{"name with namespace", []string{"AUTH", "alice/orders", alice}, ""},
		{"default and token", []string{"AUTH", "default", alice}, ""},
		{"other name", []string{"AUTH", "bob", alice}, "WRONGPASS"},
		{"missing namespace", []string{"AUTH", "alice/nothing", alice}, "NONAMESPACE"},
		{"garbage", []string{"AUTH", "garbage"}, "WRONGPASS"},
		{"expired", []string{"AUTH", i.token("alice", expires(time.Now().Add(-time.Minute)))}, "WRONGPASS"},
		{"altered", []string{"AUTH", alice[:len(alice)-4] + "AAAA"}, "WRONGPASS"},
		{"HELLO", []string{"HELLO", "3", "AUTH", "alice", alice, "SETNAME", "me"}, ""},
		{"HELLO without AUTH", []string{"HELLO", "3"}, "NOAUTH"},
		{"HELLO with a bad token", []string{"HELLO", "3", "AUTH", "alice", "bad"}, "WRONGPASS"},
		{"nothing", []string{"GET", "k"}, "NOAUTH"},
		{"too many arguments", []string{"AUTH", "a", "b", "c"}, "ERR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := n.wire(t)
			if a := w.do(t, test.args...); a.prefix() != test.want {
				t.Errorf("%.300q", a.raw)
			}
			after := "NOAUTH"
			if test.want == "" {
				after = ""
			}
			expectPrefix(t, w.do(t, "SET", "k", "v"), after)
		})
	}
	client := n.redis(t, func(o *redis.Options) { o.Username, o.Password, o.DB = "alice", alice, 4 })
	if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Errorf("go-redis: %v", err)
	}
	client = n.redis(t, func(o *redis.Options) { o.Password, o.Protocol = "wrong", 2 })
	if err := client.Ping(t.Context()).Err(); err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
		t.Errorf("go-redis with a wrong password: %v", err)
	}
}

// TestSelectByName: names, numbers, and what is refused.
func TestSelectByName(t *testing.T) {
	n := startNode(t)
	w := n.wire(t)
	for _, line := range []string{
		"NAMESPACE CREATE orders", "SET k zero", "SELECT orders", "SET k orders", "SELECT 5", "SET k five",
	} {
		if a := w.do(t, strings.Fields(line)...); a.raw != "+OK\r\n" {
			t.Fatalf("%s: %q", line, a.raw)
		}
	}
	for name, want := range map[string]string{"0": "zero", "orders": "orders", "5": "five"} {
		w.do(t, "SELECT", name)
		if a := w.do(t, "GET", "k"); a.text != want {
			t.Errorf("in %s the value is %q", name, a.raw)
		}
	}
	for name, prefix := range map[string]string{
		"16": "ERR", "-1": "ERR", "a b": "ERR", "": "ERR", strings.Repeat("n", 129): "ERR",
		"nothing": "NONAMESPACE",
	} {
		expectPrefix(t, w.do(t, "SELECT", name), prefix)
	}
	client := n.redis(t, func(o *redis.Options) { o.DB = 5 })
	if got := client.Get(t.Context(), "k").Val(); got != "five" {
		t.Errorf("go-redis reads %q in database 5", got)
	}
	w.do(t, "SELECT", "orders")
	w.do(t, "NAMESPACE", "DROP", "orders")
	expectPrefix(t, w.do(t, "GET", "k"), "NONAMESPACE")
	expectPrefix(t, w.do(t, "SET", "k", "v"), "NONAMESPACE")
	n.wire(t).do(t, "NAMESPACE", "CREATE", "orders")
	expectPrefix(t, w.do(t, "SET", "k", "v"), "NONAMESPACE") // the connection's namespace is the old one
}

// TestBothDoors: what one door writes the other one reads, at once.
func TestBothDoors(t *testing.T) {
	n := startNode(t)
	w, kv, ctx := n.wire(t), n.keyValue(t, ""), t.Context()
	if _, err := kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "shared"}); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"0", "15", "shared"} {
		w.do(t, "SELECT", namespace)
		if _, err := kv.PutKey(ctx, &pb.PutKeyRequest{
			Namespace: namespace, Key: "a", Value: []byte("rpc"),
		}); err != nil {
			t.Fatal(err)
		}
		if a := w.do(t, "GET", "a"); a.text != "rpc" {
			t.Errorf("%s: RESP reads %q", namespace, a.raw)
		}
		w.do(t, "SET", "b\xff", "resp")
		got, err := kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: namespace, KeyBytes: []byte("b\xff")})
		if err != nil || string(got.Value) != "resp" || got.Key != "" {
			t.Errorf("%s: gRPC reads %v, %v", namespace, got, err)
		}
		list, err := kv.ListKeys(ctx, &pb.ListKeysRequest{Namespace: namespace})
		if err != nil || !slices.Equal(list.Keys, []string{"a"}) || len(list.KeysBytes) != 2 ||
			string(list.KeysBytes[1]) != "b\xff" || list.Status.GetMessage() == "" {
			t.Errorf("%s: gRPC lists %v, %v", namespace, list, err)
		}
		if _, err := kv.DeleteKey(ctx, &pb.DeleteKeyRequest{
			Namespace: namespace, KeyBytes: []byte("b\xff"),
		}); err != nil {
			t.Error(err)
		}
		if a := w.do(t, "EXISTS", "b\xff"); a.int() != 0 {
			t.Errorf("%s: RESP sees a key that gRPC has deleted", namespace)
		}
	}
}

// TestTenantsAreIsolated: two credentials meet nowhere, over neither door.
func TestTenantsAreIsolated(t *testing.T) {
	n, i := startAuth(t)
	ctx := t.Context()
	alice, bob := n.login(t, i.token("alice")), n.login(t, i.token("bob"))
	rpcAlice, rpcBob := n.keyValue(t, i.token("alice")), n.keyValue(t, i.token("bob"))
	alice.do(t, "SET", "secret", "alice")
	alice.do(t, "NAMESPACE", "CREATE", "orders")
	alice.do(t, "SELECT", "orders")
	alice.do(t, "SET", "secret", "alice")

	if a := bob.do(t, "GET", "secret"); !a.null {
		t.Errorf("bob reads %q in his database 0", a.raw)
	}
	if a := bob.do(t, "DBSIZE"); a.int() != 0 {
		t.Errorf("bob sees %d keys", a.int())
	}
	expectPrefix(t, bob.do(t, "SELECT", "orders"), "NOPERM")
	expectPrefix(t, bob.do(t, "NAMESPACE", "CREATE", "orders"), "NAMESPACETAKEN")
	expectPrefix(t, bob.do(t, "NAMESPACE", "DROP", "orders"), "NOPERM")
	expectPrefix(t, bob.do(t, "NAMESPACE", "INFO", "orders"), "NOPERM")
	if a := bob.do(t, "NAMESPACE", "LIST"); strings.Contains(a.raw, "orders") {
		t.Errorf("bob's list: %q", a.raw)
	}
	_, err := rpcBob.GetKey(ctx, &pb.GetKeyRequest{Namespace: "orders", Key: "secret"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	_, err = rpcBob.PutKey(ctx, &pb.PutKeyRequest{Namespace: "orders", Key: "secret", Value: []byte("bob")})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	_, err = rpcBob.ListKeys(ctx, &pb.ListKeysRequest{Namespace: "orders"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	_, err = rpcBob.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "orders"})
	expectStatus(t, err, codes.AlreadyExists, "NAMESPACE_TAKEN")
	_, err = rpcBob.DropNamespace(ctx, &pb.DropNamespaceRequest{Namespace: "orders"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	_, err = rpcBob.GetKey(ctx, &pb.GetKeyRequest{Namespace: "0", Key: "secret"})
	expectStatus(t, err, codes.NotFound, "NO_KEY")

	bob.do(t, "FLUSHALL")
	if a := bob.do(t, "CLIENT", "LIST"); strings.Contains(a.text, "alice") {
		t.Errorf("bob sees alice's connections: %s", a.text)
	}
	if a := bob.do(t, "CLIENT", "KILL", "USER", "alice"); a.int() != 0 {
		t.Errorf("bob has closed %d connections of alice", a.int())
	}
	if a := bob.do(t, "INFO"); strings.Contains(a.text, "alice") || strings.Contains(a.text, "orders") {
		t.Errorf("bob's INFO names alice: %s", a.text)
	}
	for _, namespace := range []string{"0", "orders"} {
		got, err := rpcAlice.GetKey(ctx, &pb.GetKeyRequest{Namespace: namespace, Key: "secret"})
		if err != nil || string(got.Value) != "alice" {
			t.Errorf("alice reads %v, %v in %s", got, err, namespace)
		}
	}
}

// TestTokenNamespaces: a token that is restricted to namespaces reaches no other.
func TestTokenNamespaces(t *testing.T) {
	n, i := startAuth(t)
	ctx := t.Context()
	whole := n.login(t, i.token("alice"))
	for _, name := range []string{"orders", "stock"} {
		whole.do(t, "NAMESPACE", "CREATE", name)
	}
	token := i.token("alice", only("orders", "1"))
	w, kv := n.login(t, token), n.keyValue(t, token)
	expectPrefix(t, w.do(t, "SET", "k", "v"), "NOPERM") // database 0
	expectPrefix(t, w.do(t, "SELECT", "stock"), "NOPERM")
	expectPrefix(t, w.do(t, "SELECT", "1"), "")
	expectPrefix(t, w.do(t, "SET", "k", "v"), "")
	expectPrefix(t, w.do(t, "COPY", "k", "k", "DB", "2"), "NOPERM")
	expectPrefix(t, w.do(t, "FLUSHALL"), "NOPERM")
	expectPrefix(t, w.do(t, "NAMESPACE", "CREATE", "more"), "NOPERM")
	expectPrefix(t, w.do(t, "AUTH", "alice/orders", token), "")
	expectPrefix(t, w.do(t, "SET", "k", "v"), "")
	_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "stock", Key: "k"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	_, err = kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "more"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
	list, err := kv.ListNamespaces(ctx, &pb.ListNamespacesRequest{})
	if err != nil || !slices.Equal(list.Namespaces, []string{"1", "orders"}) {
		t.Errorf("the list is %v, %v", list.GetNamespaces(), err)
	}
	reader := i.token("alice", scope(auth.Read))
	expectPrefix(t, n.login(t, reader).do(t, "SET", "k", "v"), "NOPERM")
	expectPrefix(t, n.login(t, reader).do(t, "GET", "k"), "")
	_, err = n.keyValue(t, reader).PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: "k"})
	expectStatus(t, err, codes.PermissionDenied, "NOT_PERMITTED")
}

// TestTokensOverGRPC: without a good token there is no call.
func TestTokensOverGRPC(t *testing.T) {
	n, i := startAuth(t)
	past := expires(time.Now().Add(-time.Minute))
	for _, test := range []struct {
		name, token string
		code        codes.Code
		reason      string
	}{
		{"none", "", codes.Unauthenticated, "NO_TOKEN"},
		{"garbage", "garbage", codes.Unauthenticated, "TOKEN_REFUSED"},
		{"expired", i.token("a", past), codes.Unauthenticated, "TOKEN_REFUSED"},
		{"good", i.token("a"), codes.OK, ""},
	} {
		_, err := n.keyValue(t, test.token).PutKey(t.Context(), &pb.PutKeyRequest{Namespace: "0", Key: "k"})
		t.Run(test.name, func(t *testing.T) { expectStatus(t, err, test.code, test.reason) })
	}
}

// TestTokenExpiresOnOpenConnection: a connection ends to be someone when its token does, and is again with
// a new one.
func TestTokenExpiresOnOpenConnection(t *testing.T) {
	n, i := startAuth(t)
	token := i.token("alice", expires(time.Now().Add(2*time.Second-auth.LeewayDefault)))
	w, kv := n.login(t, token), n.keyValue(t, token)
	if a := w.do(t, "SET", "k", "v"); a.raw != "+OK\r\n" {
		t.Fatalf("the token has expired before the test could begin: %q", a.raw)
	}
	eventually(t, 15*time.Second, "the token has expired", func() bool {
		a := w.do(t, "GET", "k")
		return a.prefix() == "NOAUTH"
	})
	expectPrefix(t, w.do(t, "SET", "k", "after"), "NOAUTH")
	_, err := kv.GetKey(t.Context(), &pb.GetKeyRequest{Namespace: "0", Key: "k"})
	expectStatus(t, err, codes.Unauthenticated, "TOKEN_REFUSED")
	w.do(t, "AUTH", i.token("alice"))
	if a := w.do(t, "GET", "k"); a.text != "v" {
		t.Errorf("with a new token the value is %q", a.raw)
	}
}

// TestKeyFileReload: the file of keys can be exchanged while the node runs; a bad one changes nothing.
func TestKeyFileReload(t *testing.T) {
	n, i := startAuth(t)
	old := i.token("alice")
	replace := func(content string) {
		next := filepath.Join(filepath.Dir(i.file), "next")
		if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, i.file); err != nil {
			t.Fatal(err)
		}
	}
	replace("short")
	eventually(t, 15*time.Second, "the bad file is complained of", func() bool {
		return strings.Contains(n.current().log.String(), "token keys not reloaded")
	})
	n.login(t, old)
	replace(strings.ToUpper(secret))
	fresh := i.token("alice")
	eventually(t, 15*time.Second, "a token of the new key is accepted", func() bool {
		a := n.wire(t).do(t, "AUTH", fresh)
		return a.raw == "+OK\r\n"
	})
	expectPrefix(t, n.wire(t).do(t, "AUTH", old), "WRONGPASS")
	_, err := n.keyValue(t, old).GetKey(t.Context(), &pb.GetKeyRequest{Namespace: "0", Key: "k"})
	expectStatus(t, err, codes.Unauthenticated, "TOKEN_REFUSED")
}

// TestAuthOffThenOn: the data of the time without authentication belongs to the credential default.
func TestAuthOffThenOn(t *testing.T) {
	n := startNode(t)
	n.wire(t).do(t, "SET", "k", "v")
	n.stop()
	i := issuer{t, writeFile(t, "jwt.key", secret)}
	n.flags = append(n.flags, "--auth", "jwt", "--jwt-key", i.file)
	n.restart()
	if a := n.login(t, i.token("default")).do(t, "GET", "k"); a.text != "v" {
		t.Errorf("default reads %q", a.raw)
	}
	if a := n.login(t, i.token("other")).do(t, "GET", "k"); !a.null {
		t.Errorf("other reads %q", a.raw)
	}
}
