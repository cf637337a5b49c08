package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"github.com/primatomic/primatomic/internal/nodedb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const segmentBytes = 256 << 10

// testOptions are the default settings on a data directory, with doors at free ports.
func testOptions(t *testing.T, dir string) Options {
	t.Helper()
	o := Options{
		Logger:       slog.New(slog.DiscardHandler),
		Fatal:        func(err error) { t.Errorf("fatal: %v", err) },
		segmentBytes: segmentBytes,
	}
	if err := kong.ApplyDefaults(&o.Config); err != nil {
		t.Fatal(err)
	}
	o.Config.Storage.DataDir = dir
	o.Config.Storage.DiskReserve = 0
	o.Config.Listen = ListenConfig{RespAddr: "127.0.0.1:0", GrpcAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"}
	return o
}

func mustStart(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustStop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// ask sends one command of words and returns the first line of the answer.
func ask(t *testing.T, s *Server, words ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.door.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(word), word)
	}
	answer := make([]byte, 256)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}

func TestStartTwice(t *testing.T) {
	o := testOptions(t, filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	if answer := ask(t, s, "SET", "k", "kept"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), nodedb.ErrLocked.Error()) {
		t.Errorf("a second start on the directory: %v", err)
	}
	if answer := ask(t, s, "GET", "k"); answer != "$4\r\nkept\r\n" {
		t.Errorf("after the refused start, GET answers %q", answer)
	}
	mustStop(t, s)
	s = mustStart(t, o)
	if answer := ask(t, s, "GET", "k"); answer != "$4\r\nkept\r\n" {
		t.Errorf("after a restart, GET answers %q", answer)
	}
	mustStop(t, s)
}

// TestStartFailsClean: a start that fails leaves no goroutine, no port and no lock behind.
func TestStartFailsClean(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"RESP port taken", func(c *Config) { c.Listen.RespAddr = taken.Addr().String() }, "in use"},
		{"gRPC port taken", func(c *Config) { c.Listen.GrpcAddr = taken.Addr().String() }, "in use"},
		{"HTTP port taken", func(c *Config) { c.Listen.HTTPAddr = taken.Addr().String() }, "in use"},
		{"no certificate", func(c *Config) {
			c.Security.TLSCert, c.Security.TLSKey = "/no/such", "/no/such"
		}, "--tls-cert"},
		{"settings", func(c *Config) { c.Limits.CallTimeout = 0 }, "--call-timeout"},
		{"data directory is a file", func(c *Config) { c.Storage.DataDir = "server_test.go" }, "server_test.go"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := testOptions(t, dir)
			tt.change(&o.Config)
			before := goleak.IgnoreCurrent()
			if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Start = %v, want %q in it", err, tt.want)
			}
			goleak.VerifyNone(t, before)
			mustStop(t, mustStart(t, testOptions(t, dir)))
		})
	}
}

func TestStartGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := testOptions(t, t.TempDir())
	if _, err := Start(ctx, o); err == nil {
		t.Fatal("started although nobody waits for it")
	}
	mustStop(t, mustStart(t, o))
}

func TestAnnounce(t *testing.T) {
	o := testOptions(t, filepath.Join(t.TempDir(), "data"))
	o.Config.Listen.RespAddr, o.Config.Security.Insecure = "0.0.0.0:0", true
	s := mustStart(t, o)
	defer mustStop(t, s)
	var text strings.Builder
	s.Announce(&text)
	_, port, _ := net.SplitHostPort(s.door.Addr().String())
	for _, want := range []string{
		"primatomic dev is ready, data in " + o.Config.Storage.DataDir + "\n",
		"redis-cli -h 127.0.0.1 -p " + port + "\n",
		"primatomic kv list 0 --grpc-addr " + s.config.Listen.GrpcAddr + "\n",
		"http://" + s.health.addr.String() + "/readyz\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	closed := testOptions(t, t.TempDir())
	closed.Config.Listen.GrpcAddr, closed.Config.Listen.HTTPAddr = "", ""
	bare := mustStart(t, closed)
	defer mustStop(t, bare)
	text.Reset()
	bare.Announce(&text)
	if strings.Contains(text.String(), "gRPC") || strings.Contains(text.String(), "health") {
		t.Errorf("doors that are closed are announced:\n%s", text.String())
	}
}
