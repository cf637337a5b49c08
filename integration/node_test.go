package integration

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// node is a data directory and the process that runs on it. Its process changes with every start; so do its
// addresses.
type node struct {
	t       testing.TB
	binary  string
	dir     string
	flags   []string
	host    string       // "": 127.0.0.1, and ports as they are free
	entry   []string     // command that runs the binary where host is; nil: it is here
	name    string       // in a fleet
	seat    int          // in the fleet's network
	clock   *warp        // nil: the machine's
	disk    string       // where the small disk is mounted on which dir is, "": it is on none
	brittle *brittleDisk // that disk, if it can be made to fail

	mu         sync.Mutex
	process    *process // nil before the first start; guarded by mu
	resp, grpc string   // guarded by mu
}

// newNode makes a node that does not run yet, on a directory of its own.
func newNode(t testing.TB, flags ...string) *node {
	t.Helper()
	return &node{t: t, binary: binary(t, tested), dir: filepath.Join(t.TempDir(), "data"), flags: flags}
}

// startNode makes a node and starts it.
func startNode(t testing.TB, flags ...string) *node {
	t.Helper()
	n := newNode(t, flags...)
	n.start()
	return n
}

// launch starts the process without waiting for it.
func (n *node) launch() *process {
	n.t.Helper()
	resp, grpc := "127.0.0.1:0", "127.0.0.1:0"
	if n.host != "" {
		resp, grpc = n.host+":6379", n.host+":7379"
	}
	line := slices.Concat(n.entry, n.clock.entry(), []string{
		n.binary, "serve", "--data-dir", n.dir, "--http-addr", "", "--resp-addr", resp, "--grpc-addr", grpc,
	}, n.flags)
	p := launch(n.t, line[0], line[1:]...)
	n.mu.Lock()
	n.process, n.resp, n.grpc = p, "", ""
	if n.host != "" {
		n.resp, n.grpc = resp, grpc // where it will be: clients may be there before the doors are open
	}
	n.mu.Unlock()
	return p
}

// start starts the process and waits until it serves.
func (n *node) start() {
	n.t.Helper()
	resp, grpc := n.launch().ready()
	n.mu.Lock()
	n.resp, n.grpc = resp, grpc
	n.mu.Unlock()
}

// current returns the latest process.
func (n *node) current() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// kill is kill -9.
func (n *node) kill() {
	n.t.Helper()
	p := n.current()
	select {
	case <-p.exited:
		n.t.Fatalf("the node has ended by itself with status %d", p.cmd.ProcessState.ExitCode())
	default:
	}
	p.kill()
}

// stop is SIGTERM, which must end in status 0.
func (n *node) stop() {
	n.t.Helper()
	p := n.current()
	p.signal(syscall.SIGTERM)
	if status := p.wait(); status != 0 {
		n.t.Errorf("after SIGTERM the exit status is %d", status)
	}
}

// restart starts the node again, which has been stopped or killed.
func (n *node) restart() {
	n.t.Helper()
	n.start()
}

func (n *node) respAddr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.resp
}

func (n *node) grpcAddr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.grpc
}

// redis returns a go-redis client. It never sends anything again by itself.
func (n *node) redis(t testing.TB, change ...func(*redis.Options)) *redis.Client {
	t.Helper()
	o := &redis.Options{Addr: n.respAddr(), MaxRetries: -1, ReadTimeout: 30 * time.Second}
	for _, fn := range change {
		fn(o)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// messageBytesMax is what clients set, as the API says: two values and the rest.
const messageBytesMax = 32<<20 + 64<<10

// dial opens a gRPC connection that closes with the test. A token, if not "", is shown with every call.
func (n *node) dial(t testing.TB, token string) *grpc.ClientConn {
	t.Helper()
	conn := n.call(t, token)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call is dial for who closes the connection.
func (n *node) call(t testing.TB, token string) *grpc.ClientConn {
	t.Helper()
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
		grpc.WithDisableRetry(), grpc.WithNoProxy(),
	}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	conn, err := grpc.NewClient(n.grpcAddr(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// keyValue returns a gRPC client.
func (n *node) keyValue(t testing.TB, token string) primatomicv1.KeyValueClient {
	t.Helper()
	return primatomicv1.NewKeyValueClient(n.dial(t, token))
}

// bearer is a token that is shown with every call, in plain text too.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// files returns the files of a folder of the data directory, oldest name first.
func (n *node) files(folder, pattern string) []string {
	n.t.Helper()
	names, err := filepath.Glob(filepath.Join(n.dir, folder, pattern))
	if err != nil {
		n.t.Fatal(err)
	}
	return names
}

// writeFile writes a file for a test.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
