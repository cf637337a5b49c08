package integration

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// hostile are packets that announce more than they bring, or make no sense.
var hostile = map[string]string{
	"largest argument":      "*1\r\n$9223372036854775807\r\n",
	"most arguments":        "*9223372036854775807\r\n",
	"beyond 64 bits":        "*1\r\n$99999999999999999999\r\n",
	"negative argument":     "*1\r\n$-7\r\n",
	"negative count":        "*-7\r\n$-7\r\n",
	"1 GiB announced":       "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n" + strings.Repeat("x", 8<<20),
	"512 MiB announced":     "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + strings.Repeat("x", 8<<20),
	"a million arguments":   "*1048576\r\n" + strings.Repeat("$1\r\nx\r\n", 100_000),
	"endless line":          strings.Repeat("x", 8<<20),
	"endless count":         "*" + strings.Repeat("1", 8<<20),
	"endless length":        "*1\r\n$" + strings.Repeat("1", 8<<20),
	"no dollar":             "*1\r\nPING\r\n",
	"unbalanced quotes":     "GET \"k\r\n",
	"zeros":                 strings.Repeat("\x00", 8<<20),
	"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\xa5", 500),
	"HTTP":                  "POST / HTTP/1.1\r\nHost: localhost:6379\r\n\r\nSET k v\r\n",
	"many unknown commands": strings.Repeat("*1\r\n$300\r\n"+strings.Repeat("y", 300)+"\r\n", 20_000),
}

// TestConnectionLimit: one connection too many is told so and closed, and there is room again when one ends.
func TestConnectionLimit(t *testing.T) {
	n := startNode(t, "--max-connections", "20")
	var wires []*wire
	for range 20 {
		w := n.wire(t)
		w.do(t, "PING")
		wires = append(wires, w)
	}
	for range 5 {
		w := n.wire(t)
		w.expect(t, "-ERR max number of clients reached\r\n")
		w.expectEnd(t)
	}
	for _, w := range wires {
		w.do(t, "PING")
	}
	_ = wires[0].Close()
	eventually(t, 10*time.Second, "a new connection is served", func() bool {
		w, err := connect(n.respAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		a, err := w.call("PING")
		return err == nil && a.raw == "+PONG\r\n"
	})
}

// TestIdleTimeout: the silent one is closed, the one that speaks is not.
func TestIdleTimeout(t *testing.T) {
	n := startNode(t, "--idle-timeout", "500ms")
	silent, speaking := n.wire(t), n.wire(t)
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		silent.expectEnd(t)
	}()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for over := false; !over; <-ticker.C {
		speaking.do(t, "PING")
		select {
		case <-ended:
			over = true
		default:
		}
	}
	if after := time.Since(began); after < 400*time.Millisecond {
		t.Errorf("the silent connection was closed after %v", after)
	}
	speaking.do(t, "PING")
}

// TestProtocolErrors: a broken frame is answered as Redis does, and ends the connection.
func TestProtocolErrors(t *testing.T) {
	n := startNode(t)
	for send, want := range map[string]string{
		"*1\r\n$9223372036854775807\r\n":                    "invalid bulk length",
		"*9223372036854775807\r\n":                          "invalid multibulk length",
		"*1\r\n$-7\r\n":                                     "invalid bulk length",
		"*1\r\n!4\r\nPING\r\n":                              "expected '$', got '!'",
		"GET \"k\r\n":                                       "unbalanced quotes in request",
		strings.Repeat("x", 70<<10):                         "too big inline request",
		"*1\r\n$4\r\nPING\r\n*x\r\n":                        "invalid multibulk length",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\nxxxx": "invalid bulk length",
	} {
		w := n.wire(t)
		w.send(t, send)
		if strings.HasPrefix(send, "*1\r\n$4") {
			w.expect(t, "+PONG\r\n")
		}
		w.expect(t, "-ERR Protocol error: "+want+"\r\n")
		w.expectEnd(t)
	}
}

// TestGarbageAtGRPC: what is no HTTP/2 harms nobody.
func TestGarbageAtGRPC(t *testing.T) {
	n := startNode(t)
	for _, garbage := range hostile {
		conn, err := net.Dial("tcp", n.grpcAddr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(garbage)) // the node may close it halfway
		_ = conn.Close()
	}
	_, err := n.keyValue(t, "").PutKey(t.Context(), &pb.PutKeyRequest{Namespace: "0", Key: "k"})
	if err != nil {
		t.Error(err)
	}
}

// TestMemoryLimit: above it writes that grow are refused, deletions make room.
func TestMemoryLimit(t *testing.T) {
	n := startNode(t, "--max-memory", "8MiB")
	w, kv := n.wire(t), n.keyValue(t, "")
	value := strings.Repeat("v", 1<<20)
	stored := 0
	for a := (answer{}); a.prefix() != "OOM"; stored++ {
		if a = w.do(t, "SET", strings.Repeat("k", stored+1), value); stored > 20 {
			t.Fatal("20 MiB were stored under a limit of 8 MiB")
		}
	}
	if stored < 8 {
		t.Errorf("after %d MiB a limit of 8 MiB is reached", stored)
	}
	_, err := kv.PutKey(t.Context(), &pb.PutKeyRequest{Namespace: "0", Key: "k", Value: []byte(value)})
	expectStatus(t, err, codes.ResourceExhausted, "OUT_OF_MEMORY")
	for _, line := range []string{"GET k", "DEL k", "DEL kk", "DEL kkk", "SET k v"} {
		expectPrefix(t, w.do(t, strings.Fields(line)...), "")
	}
}
