package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/cluster"
)

// journal keeps the log of nodes.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) says(words string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), words)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// startRefused starts a node that is not let in, and returns why it is not.
func startRefused(t *testing.T, o Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s, err := Start(ctx, o)
	if err == nil {
		mustStop(t, s)
		t.Fatal("it was let in")
	}
	if ctx.Err() != nil {
		t.Fatalf("it was not told: %v", err)
	}
	return err
}

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(name, []byte(secret), 0o600))
	return name
}

// TestStrangersRefused: who may not join is told why, and so is the log of the members.
func TestStrangersRefused(t *testing.T) {
	dir := t.TempDir()
	members := new(journal)
	all := foundingOptions(t, dir, 3)
	secret := secretFile(t, "a secret of sixteen bytes and more")
	for i := range all {
		all[i].Config.Cluster.ClusterSecretFile = secret
		all[i].Logger = members.logger()
	}
	servers := startAll(t, all)
	defer stopAll(t, servers)
	agree(t, servers, 3)
	follower := others(servers, leader(t, servers))[0]
	n2 := servers[1]
	for i, tt := range []struct {
		name    string
		change  func(c *ClusterConfig)
		here    string // in the error
		members string // in their log; "": the same
	}{
		{"taken name", func(c *ClusterConfig) { c.Name = "n2" }, "the name n2 is that of node " + nodeID(n2), ""},
		{
			"address of another",
			func(c *ClusterConfig) { c.AdvertisePeerAddr = n2.core.cluster.PeerAddr() },
			"at " + n2.core.cluster.PeerAddr() + ", the address that it gives for other nodes, there is the node " +
				nodeID(n2) + ": two nodes cannot have one address", "",
		},
		{
			"another secret",
			func(c *ClusterConfig) { c.ClusterSecretFile = secretFile(t, "another secret, long enough") },
			"wrong cluster secret", "",
		},
		{"no secret", func(c *ClusterConfig) { c.ClusterSecretFile = "" }, "wrong cluster secret", ""},
		{
			"its own address", func(c *ClusterConfig) { c.Join = []string{c.PeerAddr} },
			"connection to itself", "two nodes cannot have one address", // said before
		},
	} {
		o := joinOptions(t, dir, fmt.Sprint("x", i), follower.core.cluster.PeerAddr())
		o.Config.Cluster.ClusterSecretFile = secret
		o.Config.Cluster.PeerAddr = o.peerListener.Addr().String()
		tt.change(&o.Config.Cluster)
		err := startRefused(t, o)
		if !strings.Contains(err.Error(), tt.here) {
			t.Errorf("%s: %v", tt.name, err)
		}
		said := tt.members
		if said == "" {
			said = tt.here
		}
		eventually(t, tt.name+": in the log of the members", func() bool { return members.says(said) })
	}
	if got := len(leader(t, servers).core.group.Status().Learners); got != 0 {
		t.Errorf("%d learners", got)
	}
}

func nodeID(s *Server) string { return fmt.Sprintf("%016x", s.core.identity.Node) }

// TestOutOfReach: a node that the leader does not reach waits and says why; it does not become a member that gets
// nothing.
func TestOutOfReach(t *testing.T) {
	dir := t.TempDir()
	first := mustStart(t, joinOptions(t, dir, "n1"))
	defer mustStop(t, first)
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	nowhere := unused.Addr().String()
	must(t, unused.Close())
	o := joinOptions(t, dir, "n2", first.core.cluster.PeerAddr())
	o.Config.Cluster.AdvertisePeerAddr = nowhere
	log := new(journal)
	o.Logger = log.logger()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		s, err := Start(ctx, o)
		if err == nil {
			err = errors.Join(errors.New("it was let in"), s.Stop(context.Background()))
		}
		ended <- err
	}()
	eventually(t, "it says why it waits", func() bool {
		return log.says("the leader does not reach it at " + nowhere)
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s := first.core.group.Status(); len(s.Learners)+len(s.Charter.Members) > 1 {
		t.Errorf("it is a member: %+v", s.Charter.Members)
	}
}

// TestFoundersRefused: founders that were told different things, and one that has lost its disk, hear why on both
// sides.
func TestFoundersRefused(t *testing.T) {
	dir := t.TempDir()
	all := foundingOptions(t, dir, 3)
	members := new(journal)
	for i := range all {
		all[i].Logger = members.logger()
	}
	servers := startAll(t, all)
	agree(t, servers, 3)
	lost := others(servers, leader(t, servers))[0]
	i := slices.Index(servers, lost)
	addr := lost.core.cluster.PeerAddr()
	mustStop(t, lost)
	left := others(servers, lost)
	defer stopAll(t, left)

	relisten := func(name string) Options {
		o := all[i]
		var err error
		o.peerListener, err = net.Listen("tcp", addr)
		must(t, err)
		o.Config.Storage.DataDir = filepath.Join(dir, name)
		return o
	}
	if err := startRefused(t, relisten("wiped")); !errors.Is(err, cluster.ErrWiped) {
		t.Errorf("a founder without its disk: %v", err)
	}
	eventually(t, "the others log it", func() bool { return members.says("a founder came back with another disk") })

	more := relisten("more")
	more.Config.Cluster.Cluster = append(slices.Clone(more.Config.Cluster.Cluster), "n4=127.0.0.1:1")
	if err := startRefused(t, more); !strings.Contains(err.Error(), cluster.ErrFlags.Error()) {
		t.Errorf("another list: %v", err)
	}
	eventually(t, "the others log it", func() bool { return members.says(cluster.ErrFlags.Error()) })

	renamed := relisten(fmt.Sprint("n", i+1))
	renamed.Config.Cluster.Cluster, renamed.Config.Cluster.Name = nil, "another"
	renamed.Config.Cluster.PeerAddr = addr
	if err := startRefused(t, renamed); !strings.Contains(err.Error(), "is of the node n") {
		t.Errorf("another name: %v", err)
	}
}

// TestRemovedWhileAway: a node that was removed while it did not run learns it when it comes back.
func TestRemovedWhileAway(t *testing.T) {
	all := foundingOptions(t, t.TempDir(), 3)
	servers := startAll(t, all)
	agree(t, servers, 3)
	away := others(servers, leader(t, servers))[0]
	i := slices.Index(servers, away)
	mustStop(t, away)
	left := others(servers, away)
	defer stopAll(t, left)
	eventually(t, "the removal is made", func() bool {
		err := left[0].node.cluster.Remove(t.Context(), fmt.Sprint("n", i+1), false)
		return err == nil
	})
	back := mustStart(t, restarted(t, all[i]))
	select {
	case why := <-back.Ended():
		if !errors.Is(why, cluster.ErrRemoved) {
			t.Error(why)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not learn that it was removed")
	}
	mustStop(t, back)
	if _, err := Start(t.Context(), restarted(t, all[i])); !errors.Is(err, cluster.ErrRemoved) {
		t.Errorf("it starts again: %v", err)
	}
}

// TestStopAlone: a leader whose followers are gone stops in bounded time.
func TestStopAlone(t *testing.T) {
	servers := startAll(t, foundingOptions(t, t.TempDir(), 3))
	agree(t, servers, 3)
	first := leader(t, servers)
	var stopping sync.WaitGroup
	for _, s := range others(servers, first) {
		stopping.Go(func() { mustStopLater(t, s) })
	}
	begun := time.Now()
	mustStop(t, first)
	if took := time.Since(begun); took > leaveTimeout+drainTimeout {
		t.Errorf("it took %v", took)
	}
	stopping.Wait()
}

// mustStopLater is mustStop for another goroutine than the test's.
func mustStopLater(t *testing.T, s *Server) {
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
