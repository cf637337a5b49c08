package server

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// peersOf listens at n free ports and returns the listeners, and the flag --cluster for them.
func peersOf(t *testing.T, n int) (listeners []net.Listener, list []string) {
	t.Helper()
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		listeners = append(listeners, l)
		list = append(list, fmt.Sprintf("n%d=%s", i+1, l.Addr()))
	}
	return listeners, list
}

// foundingOptions are those of n founders, with data in the folders n1, n2 ... of dir.
func foundingOptions(t *testing.T, dir string, n int) []Options {
	t.Helper()
	listeners, list := peersOf(t, n)
	var all []Options
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		o := testOptions(t, filepath.Join(dir, name))
		o.Config.Cluster = ClusterConfig{Name: name, Cluster: list}
		o.peerListener = listeners[i]
		all = append(all, o)
	}
	return all
}

// startAll starts nodes at one time: founders wait for each other.
func startAll(t *testing.T, all []Options) []*Server {
	t.Helper()
	servers := make([]*Server, len(all))
	errs := make([]error, len(all))
	var starting sync.WaitGroup
	for i := range all {
		starting.Go(func() { servers[i], errs[i] = Start(t.Context(), all[i]) })
	}
	starting.Wait()
	for _, err := range errs {
		must(t, err)
	}
	return servers
}

func stopAll(t *testing.T, servers []*Server) {
	t.Helper()
	var stopping sync.WaitGroup
	for _, s := range servers {
		stopping.Go(func() {
			if err := s.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	stopping.Wait()
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// leader waits for the one that leads and serves.
func leader(t *testing.T, servers []*Server) *Server {
	t.Helper()
	var found *Server
	eventually(t, "a leader that serves", func() bool {
		for _, s := range servers {
			if status := s.core.group.Status(); status.Role == raft.RoleLeader && status.Readable {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// TestFoundAndServe: three nodes found a cluster, one leads, and what it has acknowledged the others have; all of
// them come back by themselves after a stop.
func TestFoundAndServe(t *testing.T) {
	all := foundingOptions(t, t.TempDir(), 3)
	servers := startAll(t, all)
	cluster := servers[0].core.identity.Cluster
	for _, s := range servers[1:] {
		if s.core.identity.Cluster != cluster {
			t.Fatal("they have founded different clusters")
		}
	}
	leader(t, servers)
	for i, s := range servers {
		if answer := ask(t, s, "SET", fmt.Sprintf("k%d", i), "kept"); answer != "+OK\r\n" {
			t.Fatalf("SET at node %d answers %q", i+1, answer)
		}
	}
	stopAll(t, servers)

	for i := range all {
		if i > 0 { // the flag no longer counts: the nodes know each other
			all[i].Config.Cluster.Cluster = nil
			all[i].Config.Cluster.Name = ""
		}
		var err error
		addr := strings.TrimPrefix(all[0].Config.Cluster.Cluster[i], fmt.Sprintf("n%d=", i+1))
		all[i].peerListener, err = net.Listen("tcp", addr)
		must(t, err)
	}
	servers = startAll(t, all)
	defer stopAll(t, servers)
	leader(t, servers)
	for i, s := range servers {
		if answer := ask(t, s, "GET", fmt.Sprintf("k%d", (i+1)%3)); answer != "$4\r\nkept\r\n" {
			t.Fatalf("GET at node %d answers %q", i+1, answer)
		}
	}
}
