package server

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/raft"
)

var fetching = regexp.MustCompile(`fetching a checkpoint.* pieces=(\d+) of=(\d+)`)

// fetches are the fetches that were begun: how many pieces were missing, of how many.
func (j *journal) fetches() (list [][2]int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, found := range fetching.FindAllStringSubmatch(j.text.String(), -1) {
		missing, _ := strconv.Atoi(found[1])
		all, _ := strconv.Atoi(found[2])
		list = append(list, [2]int{missing, all})
	}
	return list
}

// shortLogOptions are those of three founders that write checkpoints often and keep little log behind them, so that a
// node that was away needs one, which takes it seconds.
func shortLogOptions(t *testing.T, dir string) ([]Options, *journal) {
	all, log := foundingOptions(t, dir, 3), new(journal)
	for i := range all {
		all[i].Config.Storage.CheckpointAfter = 1 << 20
		all[i].Config.Storage.CatchUpRate = 1 << 20
		all[i].tailBytes = 256 << 10
	}
	all[2].Logger = log.logger()
	return all, log
}

// fill writes keys of 256 KiB each through a node.
func fill(t *testing.T, s *Server, from, to int) {
	t.Helper()
	value := strings.Repeat("v", 256<<10)
	for i := from; i < to; i++ {
		if answer := ask(t, s, "SET", fmt.Sprintf("key:%d", i), value); answer != "+OK\r\n" {
			t.Fatalf("SET answers %q", answer)
		}
	}
}

// load writes through a node until it is told to stop, and then says how often.
func load(t *testing.T, s *Server) (stop func() int) {
	end, done, n := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			select {
			case <-end:
				return
			default:
			}
			n++
			if answer := ask(t, s, "INCR", "counter"); answer != fmt.Sprintf(":%d\r\n", n) {
				t.Errorf("INCR answers %q, want %d", answer, n)
				return
			}
		}
	}()
	return func() int {
		close(end)
		<-done
		return n
	}
}

// behind lets the others write more than their logs keep, while the last of three nodes is away.
func behind(t *testing.T, all []Options) (servers []*Server, index raft.Index) {
	t.Helper()
	servers = startAll(t, all)
	agree(t, servers, 3)
	mustChange(t, servers[0].node.cluster.Transfer(t.Context(), "n1"))
	if answer := ask(t, servers[2], "SET", "old", "1"); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	index = servers[2].core.group.Status().Applied
	mustStop(t, servers[2])
	for _, words := range [][]string{{"SET", "fleeting", "x", "PX", "100"}, {"SET", "kept", "y", "EX", "1000"}} {
		if answer := ask(t, servers[0], words...); answer != "+OK\r\n" {
			t.Fatalf("SET answers %q", answer)
		}
	}
	fill(t, servers[0], 0, 64)
	eventually(t, "logs are trimmed", func() bool {
		for _, s := range servers[:2] {
			if s.core.group.Status().First <= index+1 {
				return false
			}
		}
		return true
	})
	return servers, index
}

// arrived is how much of a checkpoint there is in a node's directory for what is on its way.
func arrived(dir string) (size int64) {
	files, _ := filepath.Glob(filepath.Join(stream.Incoming(checkpointDir(dir)), "*.db*"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	return size
}

// TestCatchUpUnderLoad: a node that was away for longer than the logs of the others go back fetches a checkpoint while
// clients write. It is stopped in the middle, goes on where it was, and then has everything: values, and deadlines as
// they were set.
func TestCatchUpUnderLoad(t *testing.T) {
	all, log := shortLogOptions(t, t.TempDir())
	servers, index := behind(t, all)
	for i := range all {
		all[i] = restarted(t, all[i])
	}
	stop := load(t, servers[0])
	for range 2 {
		before := len(log.fetches())
		servers[2] = mustStart(t, all[2])
		eventually(t, "a part of the checkpoint has come", func() bool {
			return len(log.fetches()) > before && arrived(all[2].Config.Storage.DataDir) > 1<<20
		})
		if got := servers[2].core.group.Status().Applied; got > index+8 {
			t.Fatalf("it has applied up to %d", got)
		}
		mustStop(t, servers[2])
	}
	all[2].Config.Storage.CatchUpRate = 0
	servers[2] = mustStart(t, all[2])
	defer stopAll(t, servers)
	eventually(t, "caught up by a checkpoint", func() bool {
		return log.says("caught up by a checkpoint")
	})
	want := stop()
	if got := ask(t, servers[2], "GET", "counter"); !strings.HasSuffix(got, fmt.Sprintf("\r\n%d\r\n", want)) {
		t.Errorf("GET counter answers %q, want %d", got, want)
	}
	for words, answer := range map[string]string{
		"GET old": "$1\r\n1\r\n", "GET fleeting": "$-1\r\n", "STRLEN key:63": ":262144\r\n", "EXISTS kept": ":1\r\n",
	} {
		if got := ask(t, servers[2], strings.Fields(words)...); got != answer {
			t.Errorf("%s answers %q", words, got)
		}
	}
	left, _ := strconv.Atoi(strings.Trim(ask(t, servers[2], "TTL", "kept"), ":\r\n"))
	if left > 999 || left < 900 {
		t.Errorf("%d s are left of the 1000 that were set", left)
	}
	resumed := false
	for _, f := range log.fetches() {
		resumed = resumed || f[0] < f[1]
	}
	if !resumed {
		t.Errorf("all was fetched anew: %v", log.fetches())
	}
}

// TestCrashBeforeInstallation: all of a checkpoint has been fetched when the node crashes, and nothing of it was
// installed. The next start uses what was fetched and asks nobody for it again.
func TestCrashBeforeInstallation(t *testing.T) {
	all, log := shortLogOptions(t, t.TempDir())
	servers, index := behind(t, all)
	all[2] = restarted(t, all[2])
	info := servers[0].core.store.LastCheckpoint()
	incoming := stream.Incoming(checkpointDir(all[2].Config.Storage.DataDir))
	must(t, os.MkdirAll(incoming, 0o700))
	for _, suffix := range []string{".db", ".crc"} {
		path := strings.TrimSuffix(info.Path, ".db") + suffix
		content, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(incoming, filepath.Base(path)), content, 0o600))
	}
	servers[2] = mustStart(t, all[2])
	defer stopAll(t, servers)
	eventually(t, "caught up by a checkpoint", func() bool { return log.says("caught up by a checkpoint") })
	asked, now := log.fetches(), servers[0].core.store.LastCheckpoint()
	if len(asked) > 0 && now == info { // else a newer one was made meanwhile, and that is fetched
		t.Errorf("what was there was asked for: %v", asked)
	}
	if got := ask(t, servers[2], "STRLEN", "key:63"); got != ":262144\r\n" {
		t.Errorf("STRLEN answers %q", got)
	}
	if got := servers[2].core.group.Status().First; got <= index+1 {
		t.Errorf("its log begins at %d", got)
	}
}
