package command

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/auth"
)

// TestDoorsAsRedis gives commands about replication and channels to a real Redis without replicas and to the rows
// here, and compares the answers byte by byte.
func TestDoorsAsRedis(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH to compare with")
	}
	lines := []string{
		"WAIT 0 0", "WAIT -1 0", "WAIT x 0", "WAIT 0 x", "WAIT 0 -1", "WAIT 0", "WAIT 1 1",
		"FAILOVER", "FAILOVER ABORT", "FAILOVER TIMEOUT 0", "FAILOVER TO h x", "FAILOVER NOW",
		"FAILOVER ABORT TIMEOUT 1", "FAILOVER TO 127.0.0.1 1",
		"SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
		"SUBSCRIBE +a", "SUBSCRIBE +a", "SUBSCRIBE +b", "PSUBSCRIBE +*", "PING", "PING hi", "GET k", "NOSUCH",
		"EXEC", "EXEC 1",
		"UNSUBSCRIBE nosuch", "UNSUBSCRIBE +a", "PUNSUBSCRIBE nosuch", "UNSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
		"PUNSUBSCRIBE", "PING", "GET k", "SUBSCRIBE +a", "RESET", "PING", "MULTI", "WAIT 0 0", "EXEC", "EXEC 1",
	}
	for _, proto := range []int{2, 3} {
		t.Run("RESP"+strconv.Itoa(proto), func(t *testing.T) {
			redis, host := startRedis(t, binary), newFakeHost(auth.Off())
			s := host.connect()
			redis.do(t, line("HELLO", strconv.Itoa(proto)))
			host.send(s, "HELLO", strconv.Itoa(proto))
			for _, text := range lines {
				words := strings.Fields(text)
				want, got := string(redis.do(t, line(words...))), host.send(s, words...)
				if words[0] == "WAIT" && !strings.HasPrefix(want, "-") { // the fake cluster's number means nothing
					want, got = want[:1], got[:1]
				}
				if want != got {
					t.Errorf("%s\nRedis: %q\nhere:  %q", text, want, got)
				}
			}
		})
	}
}
