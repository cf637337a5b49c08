package integration

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestStopWhileWaiting: a node that waits for others ends as well as one that serves when it is told to.
func TestStopWhileWaiting(t *testing.T) {
	here, nobody := loopback(), loopback()
	for name, test := range map[string]struct {
		says  string
		flags []string
	}{
		"founder": {"waiting for a founder", []string{"--cluster", "n1=" + here + ":8379,n2=" + nobody + ":8379"}},
		"joiner":  {"waiting to be taken in", []string{"--join", nobody + ":8379", "--peer-addr", here + ":8379"}},
		"invited": {"joining a cluster", []string{"--invited", "--peer-addr", here + ":8379"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := launch(t, binary(t, tested), append([]string{
				"serve", "--name", "n1", "--data-dir", filepath.Join(t.TempDir(), "data"),
				"--resp-addr", here + ":6379", "--grpc-addr=", "--http-addr=",
			}, test.flags...)...)
			eventually(t, startTimeout, test.says, func() bool { return strings.Contains(p.log.String(), test.says) })
			p.signal(syscall.SIGTERM)
			if status := p.wait(); status != 0 {
				t.Errorf("it ends with %d", status)
			}
		})
	}
}
