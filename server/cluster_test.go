package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
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
	for _, s := range servers[1:] {
		if s.core.identity.Cluster != servers[0].core.identity.Cluster {
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

// names are the members that a node tells of, with their roles.
func names(s *Server) string {
	topology := s.node.cluster.Topology()
	var parts []string
	for i := range topology.Members {
		m := &topology.Members[i]
		role := "learner"
		switch {
		case m.ID == topology.Leader:
			role = "leader"
		case m.Voter:
			role = "voter"
		}
		if !m.RESP.Known() || m.GRPC == "" || m.Peer == "" {
			role = "unknown"
		}
		parts = append(parts, m.Name+" "+role)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// agree waits until all tell of the same members, each with its addresses, and of a leader.
func agree(t *testing.T, servers []*Server, voters int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d voters everywhere", voters), func() bool {
		for _, s := range servers {
			told := names(s)
			if told != names(servers[0]) || strings.Contains(told, "unknown") ||
				strings.Count(told, "voter") != voters-1 || !strings.Contains(told, "leader") {
				return false
			}
		}
		return true
	})
}

// others returns all servers but one.
func others(servers []*Server, but *Server) []*Server {
	return slices.DeleteFunc(slices.Clone(servers), func(s *Server) bool { return s == but })
}

func mustChange(t *testing.T, err *command.Error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTransferAndRemove: any node takes changes of the members; a leader gives its place away before it is removed;
// who was removed stops, and does not start again.
func TestTransferAndRemove(t *testing.T) {
	all := foundingOptions(t, t.TempDir(), 3)
	servers := startAll(t, all)
	agree(t, servers, 3)
	first := leader(t, servers)
	next := others(servers, first)[0]
	mustChange(t, others(servers, first)[1].node.cluster.Transfer(t.Context(), next.core.cluster.Name()))
	if leader(t, servers) != next {
		t.Fatal("another leads than was named")
	}
	for name, err := range map[string]*command.Error{
		"an unknown node": servers[0].node.cluster.Remove(t.Context(), "nobody", false),
		"an unknown id":   servers[0].node.cluster.Promote(t.Context(), "0000000000000001"),
	} {
		if err == nil || err.Code != command.Precondition {
			t.Errorf("%s: %v", name, err)
		}
	}

	mustChange(t, first.node.cluster.Remove(t.Context(), fmt.Sprintf("%016x", next.core.identity.Node), false))
	select {
	case why := <-next.Ended():
		if !errors.Is(why, cluster.ErrRemoved) {
			t.Fatal(why)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the removed node does not learn of it")
	}
	mustStop(t, next)
	left := others(servers, next)
	agree(t, left, 2)
	if answer := ask(t, left[0], "SET", "k", "v"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	gone := all[slices.Index(servers, next)]
	gone.peerListener = nil
	if _, err := Start(t.Context(), gone); !errors.Is(err, cluster.ErrRemoved) {
		t.Fatalf("the removed node starts again: %v", err)
	}

	follower := others(left, leader(t, left))[0]
	mustStop(t, follower)
	survivor := others(left, follower)[0]
	brief, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := survivor.node.cluster.Remove(brief, follower.core.cluster.Name(), false)
	if err == nil {
		t.Fatal("a change without a majority was made")
	}
	mustStop(t, survivor)
}

// TestLeaveGivesLeadershipAway: a leader that stops hands over first, and the others go on at once.
func TestLeaveGivesLeadershipAway(t *testing.T) {
	servers := startAll(t, foundingOptions(t, t.TempDir(), 3))
	agree(t, servers, 3)
	first := leader(t, servers)
	left := others(servers, first)
	term := first.core.group.Status().Term
	mustStop(t, first)
	second := leader(t, left)
	if got := second.core.group.Status().Term; got != term+1 {
		t.Errorf("term %d after %d: there was an election nobody had asked for", got, term)
	}
	if answer := ask(t, left[0], "SET", "k", "v"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	stopAll(t, left)
}

// joinOptions are those of a node that joins others at a free port, with data in the folder name of dir.
func joinOptions(t *testing.T, dir, name string, join ...string) Options {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	o := testOptions(t, filepath.Join(dir, name))
	o.Config.Cluster = ClusterConfig{Name: name, Join: join, PeerAddr: "127.0.0.1:0"}
	o.peerListener = listener
	return o
}

// restarted are the options for another run of a node that listens at the same address.
func restarted(t *testing.T, o Options) Options {
	t.Helper()
	addr := o.peerListener.Addr().String()
	o.peerListener = nil
	o.Config.Cluster.PeerAddr = addr
	return o
}

// TestLoneNodeGrows: a node that was alone becomes a cluster of three by nodes that join it. They get what it has,
// become voters by themselves, and know all that without a flag when they are started again.
func TestLoneNodeGrows(t *testing.T) {
	dir := t.TempDir()
	first := joinOptions(t, dir, "n1")
	all := []Options{first}
	servers := []*Server{mustStart(t, first)}
	if answer := ask(t, servers[0], "SET", "k", "kept"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	for _, name := range []string{"n2", "n3"} {
		// Each asks the one that joined last: who does not lead passes the question on.
		o := joinOptions(t, dir, name, servers[len(servers)-1].core.cluster.PeerAddr())
		all = append(all, o)
		servers = append(servers, mustStart(t, o))
		agree(t, servers, len(servers))
	}
	for i, s := range servers {
		if answer := ask(t, s, "GET", "k"); answer != "$4\r\nkept\r\n" {
			t.Fatalf("GET at node %d answers %q", i+1, answer)
		}
	}
	stopAll(t, servers)
	for i := range all {
		all[i] = restarted(t, all[i])
		all[i].Config.Cluster.Join = nil
	}
	servers = startAll(t, all)
	defer stopAll(t, servers)
	agree(t, servers, 3)
	if answer := ask(t, servers[2], "GET", "k"); answer != "$4\r\nkept\r\n" {
		t.Fatalf("GET answers %q", answer)
	}
}

// TestReplace: a node that waits is invited and takes the place of a lost one, without a voter more or less meanwhile;
// then of the leader.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	all := foundingOptions(t, dir, 3)
	servers := startAll(t, all)
	agree(t, servers, 3)
	if answer := ask(t, leader(t, servers), "SET", "k", "kept"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	lost := others(servers, leader(t, servers))[0]
	mustStop(t, lost)
	for i, victim := range []*Server{lost, leader(t, others(servers, lost))} {
		o := joinOptions(t, dir, fmt.Sprintf("n%d", i+4))
		o.Config.Cluster.Invited = true
		waiting := make(chan *Server, 1)
		go func() {
			s, err := Start(t.Context(), o)
			if err != nil {
				t.Error(err)
			}
			waiting <- s
		}()
		servers = others(servers, lost)
		old, addr := victim.core.cluster.Name(), o.peerListener.Addr().String()
		brief, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		mustChange(t, servers[0].node.cluster.Replace(brief, old, addr))
		cancel()
		newcomer := <-waiting
		if newcomer == nil {
			t.Fatal("the invited node has not started")
		}
		if victim != lost {
			<-victim.Ended()
			mustStop(t, victim)
			servers = others(servers, victim)
		}
		servers = append(servers, newcomer)
		agree(t, servers, 3)
	}
	defer stopAll(t, servers)
	for i, s := range servers {
		if answer := ask(t, s, "GET", "k"); answer != "$4\r\nkept\r\n" {
			t.Fatalf("GET at %d answers %q", i, answer)
		}
	}
}

// TestReadsBySetting: how reads are served is a setting of the cluster, made at any node and told by all, and reads
// go on either way.
func TestReadsBySetting(t *testing.T) {
	servers := startAll(t, foundingOptions(t, t.TempDir(), 3))
	defer stopAll(t, servers)
	agree(t, servers, 3)
	if answer := ask(t, servers[0], "SET", "k", "v"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	follower := others(servers, leader(t, servers))[0]
	err := follower.node.cluster.SetReads(t.Context(), time.Millisecond)
	if err == nil || err.Code != command.Precondition {
		t.Errorf("a lease that is too short: %v", err)
	}
	for _, lease := range []time.Duration{0, 200 * time.Millisecond, 200 * time.Millisecond, 0} {
		mustChange(t, follower.node.cluster.SetReads(t.Context(), lease))
		eventually(t, fmt.Sprintf("leases of %v everywhere", lease), func() bool {
			return !slices.ContainsFunc(servers, func(s *Server) bool {
				return s.node.cluster.Topology().Lease != lease
			})
		})
		eventually(t, fmt.Sprintf("a leader that reads under leases of %v", lease), func() bool {
			leased := slices.ContainsFunc(servers, func(s *Server) bool { return s.core.group.Status().Leased })
			return leased == (lease > 0)
		})
		for i, s := range servers {
			if answer := ask(t, s, "GET", "k"); answer != "$1\r\nv\r\n" {
				t.Fatalf("GET at node %d answers %q", i+1, answer)
			}
		}
	}
}
