package integration

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// devCluster is a run of primatomic dev.
type devCluster struct {
	*process
	port int // of the first node for Redis clients
}

// freePorts finds a port for dev with as many free ones behind it as it needs for three nodes.
func freePorts(t *testing.T) int {
	t.Helper()
	choose := random(t)
	for range 100 {
		port := 10_000 + choose.IntN(15_000)
		if taken(port) == 0 {
			return port
		}
	}
	t.Fatal("no ports are free")
	return 0
}

// taken counts the ports of three nodes that nobody can listen on.
func taken(port int) int {
	count := 0
	for distance := 0; distance <= 3000; distance += 1000 {
		for i := range 3 {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+distance+i))
			if err != nil {
				count++
				continue
			}
			_ = l.Close()
		}
	}
	return count
}

func launchDev(t *testing.T, port int, dir string) devCluster {
	t.Helper()
	p := launch(t, binary(t, tested), "dev", "--nodes", "3", "--port", fmt.Sprint(port), "--data-dir", dir)
	return devCluster{p, port}
}

// ready waits until all nodes serve, and returns their processes.
func (d devCluster) ready() (pids []int) {
	d.t.Helper()
	eventually(d.t, startTimeout, "the nodes serve", func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("dev has ended: %s", excerpt(d.log.String()))
		default:
		}
		return strings.Contains(d.out.String(), "Ctrl-C stops the nodes.")
	})
	for _, match := range regexp.MustCompile(`(?m)^  n\d +(\d+) `).FindAllStringSubmatch(d.out.String(), -1) {
		pid, err := strconv.Atoi(match[1])
		if err != nil {
			d.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 3 {
		d.t.Fatalf("dev tells of the processes %v:\n%s", pids, d.out.String())
	}
	return pids
}

// ask asks a node, again as long as it is told to try again.
func (d devCluster) ask(node int, args ...string) string {
	d.t.Helper()
	text := ""
	eventually(d.t, startTimeout, fmt.Sprintf("%v at node %d", args, node), func() bool {
		w, err := connectWithin(fmt.Sprint("127.0.0.1:", d.port+node-1), askTimeout)
		if err != nil {
			return false
		}
		defer func() { _ = w.Close() }()
		a, err := w.call(args...)
		text = a.text
		return err == nil && a.kind != '-'
	})
	return text
}

// gone waits until no node has its ports.
func (d devCluster) gone() {
	d.t.Helper()
	eventually(d.t, stopTimeout, "all nodes have let go of their ports", func() bool { return taken(d.port) == 0 })
}

// TestDev: three nodes with one command. One is killed and started again as it is told; a signal stops all; and all
// is still there in the next run.
func TestDev(t *testing.T) {
	port, dir := freePorts(t), filepath.Join(t.TempDir(), "data of nodes")
	d := launchDev(t, port, dir)
	pids := d.ready()
	if got := d.ask(1, "SET", "k", "v"); got != "OK" {
		t.Fatalf("SET answers %s", got)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := d.ask(3, "GET", "k"); got != "v" {
		t.Fatalf("GET answers %s", got)
	}
	again := regexp.MustCompile(`(?m)n1 has ended \(signal: killed\)\. To start it again:\n\n +(.*)\n`)
	eventually(t, startTimeout, "dev tells of the node that was killed", func() bool {
		return again.MatchString(d.out.String())
	})
	n1 := launch(t, "/bin/sh", "-c", "exec "+again.FindStringSubmatch(d.out.String())[1])
	n1.ready()
	if got := d.ask(1, "GET", "k"); got != "v" {
		t.Fatalf("GET at the node that has come back answers %s", got)
	}
	n1.signal(syscall.SIGTERM)
	if status := n1.wait(); status != 0 {
		t.Errorf("the node that has come back ends with %d", status)
	}
	d.signal(syscall.SIGINT)
	if status := d.wait(); status != 0 {
		t.Errorf("dev ends with %d", status)
	}
	d.gone()

	d = launchDev(t, port, dir)
	d.ready()
	if got := d.ask(2, "GET", "k"); got != "v" {
		t.Fatalf("GET in the next run answers %s", got)
	}
	d.kill() // its nodes end all the same
	if endWithParent {
		d.gone()
	}
}

// TestDevCannotStart: one node that cannot start ends all, with its reason.
func TestDevCannotStart(t *testing.T) {
	port := freePorts(t)
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+2))
	if err != nil {
		t.Fatal(err)
	}
	d := launchDev(t, port, t.TempDir())
	started := time.Now()
	if status := d.wait(); status != 1 {
		t.Errorf("dev ends with %d", status)
	}
	t.Logf("ended after %v", time.Since(started))
	log := d.log.String()
	for _, want := range []string{"n3 | ", "address already in use", "n3 has not started (exit status 1)"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	d.gone()
}
