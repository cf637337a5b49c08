package server

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestHugeTransaction: a transaction nearly as large as one may be, taken at a node that follows, comes to all nodes.
func TestHugeTransaction(t *testing.T) {
	all := foundingOptions(t, t.TempDir(), 3)
	for i := range all {
		all[i].Config.Limits.CallTimeout = 30 * time.Second
		all[i].segmentBytes = 0
	}
	servers := startAll(t, all)
	defer stopAll(t, servers)
	agree(t, servers, 3)
	follower := others(servers, leader(t, servers))[0]

	conn, err := net.Dial("tcp", follower.door.Addr().String())
	must(t, err)
	defer conn.Close()
	value := strings.Repeat("v", 15<<20)
	fmt.Fprint(conn, "MULTI\r\n")
	for i := range 4 {
		fmt.Fprintf(conn, "*3\r\n$3\r\nSET\r\n$5\r\nbig:%d\r\n$%d\r\n%s\r\n", i, len(value), value)
	}
	fmt.Fprint(conn, "EXEC\r\n")
	answers := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED", "*4", "+OK", "+OK", "+OK", "+OK"} {
		line, err := answers.ReadString('\n')
		must(t, err)
		if strings.TrimSpace(line) != want {
			t.Fatalf("answer %q, want %s", line, want)
		}
	}
	for i, s := range servers {
		if got := ask(t, s, "STRLEN", "big:3"); got != fmt.Sprintf(":%d\r\n", len(value)) {
			t.Errorf("node %d answers %q", i+1, got)
		}
	}
}
