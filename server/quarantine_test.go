package server

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
)

// A node whose data is known to be wrong starts, so that it votes, and serves nothing.
func TestStartInQuarantine(t *testing.T) {
	dir := ran(t)
	must(t, checkpoint.Quarantine(checkpointDir(dir), groupID, "planted"))
	report, sound := check(t, dir)
	if sound || !strings.Contains(report, "group 1 is in quarantine: planted") {
		t.Errorf("sound = %v, the check says\n%s", sound, report)
	}
	s := mustStart(t, testOptions(t, dir))
	defer mustStop(t, s)
	for _, words := range [][]string{{"GET", "a"}, {"SET", "a", "1"}} {
		if got := ask(t, s, words...); !strings.HasPrefix(got, "-TRYAGAIN not applied: this node's data differs") {
			t.Errorf("%s is answered %q", words, got)
		}
	}
	if status, text := readyAt(t, s); status != http.StatusServiceUnavailable || !strings.Contains(text, "planted") {
		t.Errorf("/readyz says %d %q", status, text)
	}
}

// falsify changes what the newest checkpoint of a stopped node says of a key, as a faulty memory would have before it
// was written: nothing in the file tells.
func falsify(t *testing.T, dir, key string) {
	t.Helper()
	all, err := checkpoint.List(checkpointDir(dir))
	must(t, err)
	r, err := checkpoint.Open(all[0].Path)
	must(t, err)
	defer r.Close()
	aside := t.TempDir()
	w, err := checkpoint.Create(aside, r.Meta())
	must(t, err)
	found := false
	must(t, r.Sections(w.Section, func(k, data []byte) error {
		if string(k) == key {
			found, data = true, append([]byte(nil), data...)
			data[len(data)-1]++
		}
		return w.Put(k, data)
	}))
	if !found {
		t.Fatalf("the checkpoint has no key %s", key)
	}
	_, err = w.Commit(t.Context())
	must(t, err)
	made, err := os.ReadDir(aside)
	must(t, err)
	for _, file := range made {
		must(t, os.Rename(filepath.Join(aside, file.Name()), filepath.Join(checkpointDir(dir), file.Name())))
	}
}

// quarantinedAt are the names of the members that a node knows to be in quarantine.
func quarantinedAt(s *Server) string {
	var list []string
	topology := s.node.cluster.Topology()
	for i := range topology.Members {
		if topology.Members[i].Quarantined {
			list = append(list, topology.Members[i].Name)
		}
	}
	return strings.Join(list, " ")
}

// readyAt asks a node whether it can serve.
func readyAt(t *testing.T, s *Server) (status int, text string) {
	t.Helper()
	answer, err := http.Get("http://" + s.health.addr.String() + "/readyz")
	must(t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(content)
}

// changing changes the data until a condition holds: else there would be no digests.
func changing(t *testing.T, what string, at *Server, condition func() bool) {
	t.Helper()
	n := 0
	eventually(t, what, func() bool {
		n++
		if answer := ask(t, at, "SET", "changed", strconv.Itoa(n)); answer != "+OK\r\n" {
			t.Fatalf("SET answers %q", answer)
		}
		return condition()
	})
}

// servesNothing checks what a node in quarantine answers, and that it says what to do.
func servesNothing(t *testing.T, bad *Server) {
	t.Helper()
	for _, words := range [][]string{{"GET", "k"}, {"SET", "k", "x"}} {
		if got := ask(t, bad, words...); !strings.HasPrefix(got, "-TRYAGAIN not applied: this node's data differs") {
			t.Errorf("%s is answered %q", words, got)
		}
	}
	if status, text := readyAt(t, bad); status != http.StatusServiceUnavailable ||
		!strings.Contains(text, "cluster remove "+cluster.ID(bad.core.identity.Node)) {
		t.Errorf("/readyz says %d %q", status, text)
	}
}

// TestRebuild: a node whose data has changed behind its back is found out by the others and serves nothing; all of
// them say so, also after they were started again; removed, emptied and started with --join it is sound.
func TestRebuild(t *testing.T) {
	dir := t.TempDir()
	all := foundingOptions(t, dir, 3)
	for i := range all {
		all[i].Config.Cluster.DigestInterval = 100 * time.Millisecond
	}
	servers := startAll(t, all)
	agree(t, servers, 3)
	for _, k := range []string{"k", "other"} {
		if answer := ask(t, servers[0], "SET", k, "sound"); answer != "+OK\r\n" {
			t.Fatalf("SET answers %q", answer)
		}
	}
	stopAll(t, servers)
	falsify(t, all[2].Config.Storage.DataDir, "k")
	for i := range all {
		all[i] = restarted(t, all[i])
	}
	servers = startAll(t, all)
	agree(t, servers, 3)

	bad, good := servers[2], servers[:2]
	changing(t, "all tell of the quarantine", good[0], func() bool {
		return !slices.ContainsFunc(servers, func(s *Server) bool { return quarantinedAt(s) != "n3" })
	})
	servesNothing(t, bad)

	// Who found it out forgets, who is wrong does not.
	for i := range good {
		mustStop(t, good[i])
		good[i] = mustStart(t, all[i])
		leader(t, servers)
	}
	changing(t, "all tell of the quarantine again", good[0], func() bool {
		return !slices.ContainsFunc(servers, func(s *Server) bool { return quarantinedAt(s) != "n3" })
	})

	mustChange(t, good[0].node.cluster.Remove(t.Context(), "n3", false))
	<-bad.Ended()
	mustStop(t, bad)
	fresh := all[2]
	fresh.Config.Storage.DataDir = filepath.Join(dir, "empty")
	fresh.Config.Cluster.Cluster, fresh.Config.Cluster.Join = nil, []string{good[1].core.cluster.PeerAddr()}
	servers[2] = mustStart(t, fresh)
	defer stopAll(t, servers)
	agree(t, servers, 3)
	if answer := ask(t, servers[2], "GET", "k"); answer != "$5\r\nsound\r\n" {
		t.Errorf("GET answers %q", answer)
	}
	changing(t, "all three agree on a digest", good[0], func() bool {
		return !slices.ContainsFunc(servers, func(s *Server) bool {
			return s.core.store.DigestStatus().Agreed == 0 || quarantinedAt(s) != ""
		})
	})
	if status, text := readyAt(t, servers[2]); status != http.StatusOK {
		t.Errorf("/readyz says %d %q", status, text)
	}
}

// TestWrongNodesAreNotMadeLeaders: who hands the leadership over, without a name or because it stops, passes over a
// node in quarantine, and by name that is refused.
func TestWrongNodesAreNotMadeLeaders(t *testing.T) {
	all := foundingOptions(t, t.TempDir(), 3)
	servers := startAll(t, all)
	agree(t, servers, 3)
	bad := others(servers, leader(t, servers))[0]
	at := slices.Index(servers, bad)
	mustStop(t, bad)
	all[at] = restarted(t, all[at])
	must(t, checkpoint.Quarantine(checkpointDir(all[at].Config.Storage.DataDir), groupID, "planted"))
	bad = mustStart(t, all[at])
	servers[at] = bad
	name := bad.core.cluster.Name()
	eventually(t, "all tell of the quarantine", func() bool {
		return !slices.ContainsFunc(servers, func(s *Server) bool { return quarantinedAt(s) != name })
	})
	for range 4 {
		from := leader(t, servers)
		mustChange(t, bad.node.cluster.Transfer(t.Context(), ""))
		if to := leader(t, servers); to == bad || to == from {
			t.Fatal("the leadership did not go to the other sound node")
		}
	}
	if err := bad.node.cluster.Transfer(t.Context(), name); err == nil || err.Code != command.Precondition {
		t.Errorf("to the node in quarantine: %v", err)
	}
	last := leader(t, servers)
	term := last.core.group.Status().Term
	mustStop(t, last)
	left := others(servers, last)
	if next := leader(t, left); next == bad || next.core.group.Status().Term != term+1 {
		t.Errorf("not handed over to the sound node at once")
	}
	stopAll(t, left)
}
