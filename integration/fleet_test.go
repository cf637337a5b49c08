package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fleet is several nodes that have founded a cluster.
type fleet struct {
	t      testing.TB
	nodes  []*node
	net    *network   // nil: on loopback, no link can be cut
	secret string     // file with the cluster secret
	doors  []string   // where peers connect, by seat if there are any, if it is not where the nodes listen for them
	man    *middleman // nil: peers reach each other themselves
	extra  []string   // flags that all nodes have
	born   int        // nodes that have joined later
}

// loopbacks counts the addresses on loopback that this process has given to nodes.
var loopbacks atomic.Int32

// loopback returns an address that no other node of any test has.
func loopback() string {
	pid, n := os.Getpid(), loopbacks.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 64+pid>>8%128, pid%256, n%254+1)
}

// newFleet makes nodes that do not run yet: on loopback, or each in a network namespace if links are to be cut.
func newFleet(t testing.TB, size int, cuts bool, flags ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, secret: writeFile(t, "cluster.secret", "a secret of the fleets of these tests")}
	binary := binary(t, tested)
	if cuts {
		f.net = newNetwork(t, size+1) // a seat more, for one that joins
	}
	for i := range size {
		n := &node{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "data"), name: nameOf(i)}
		f.settle(n, i)
		f.nodes = append(f.nodes, n)
	}
	f.arm(flags...)
	return f
}

// arm gives all nodes their flags.
func (f *fleet) arm(flags ...string) {
	f.extra = flags
	for _, n := range f.nodes {
		n.flags = append([]string{
			"--name", n.name, "--cluster", f.founders(), "--peer-addr", n.peerAddr(),
			"--cluster-secret-file", f.secret, "--insecure",
		}, flags...)
	}
}

// settle gives a node its place.
func (f *fleet) settle(n *node, seat int) {
	if f.net == nil {
		n.host = loopback()
		return
	}
	n.seat, n.host, n.entry = seat, f.net.addr(seat), f.net.entry(seat)
}

// startFleet makes a fleet and starts it.
func startFleet(t testing.TB, size int, cuts bool, flags ...string) *fleet {
	t.Helper()
	f := newFleet(t, size, cuts, flags...)
	f.start()
	return f
}

func nameOf(i int) string { return fmt.Sprint("n", i+1) }

func (n *node) peerAddr() string { return n.host + ":8379" }

// founders is the list for --cluster.
func (f *fleet) founders() string {
	var list []string
	for _, n := range f.nodes {
		list = append(list, n.name+"="+f.door(n))
	}
	return strings.Join(list, ",")
}

// door is where peers connect to a node.
func (f *fleet) door(n *node) string {
	switch {
	case f.doors == nil || f.net == nil && f.place(n) < 0:
		return n.peerAddr()
	case f.net == nil:
		return f.doors[f.place(n)]
	}
	return f.doors[n.seat]
}

// start starts all nodes and waits until each of them serves.
func (f *fleet) start() {
	f.t.Helper()
	for _, n := range f.nodes {
		n.launch()
	}
	for _, n := range f.nodes {
		n.opened()
	}
	f.serves(startTimeout, f.nodes...)
}

// opened waits until the doors of a node that was launched are open.
func (n *node) opened() {
	n.t.Helper()
	resp, grpc := n.current().ready()
	n.mu.Lock()
	n.resp, n.grpc = resp, grpc
	n.mu.Unlock()
}

// serves waits until nodes answer reads, which takes a leader that serves.
func (f *fleet) serves(within time.Duration, nodes ...*node) {
	f.t.Helper()
	for _, n := range nodes {
		eventually(f.t, within, "the node at "+n.host+" serves", func() bool {
			a, err := n.ask("GET", "serves?")
			return err == nil && a.kind != '-'
		})
	}
}

const (
	askTimeout   = 3 * time.Second  // bounds a question to a node that may not answer
	orderTimeout = 20 * time.Second // bounds what is to be done: that may take 15 s
)

// ask asks a node on a connection of its own.
func (n *node) ask(args ...string) (answer, error) { return n.askWithin(askTimeout, args...) }

// order has a node administer its cluster.
func (n *node) order(args ...string) (answer, error) { return n.askWithin(orderTimeout, args...) }

func (n *node) askWithin(timeout time.Duration, args ...string) (answer, error) {
	w, err := connectWithin(n.respAddr(), timeout)
	if err != nil {
		return answer{}, err
	}
	defer w.Close()
	return w.call(args...)
}

// state is what a node says of itself.
type state struct {
	leads                  bool
	leased                 bool
	term, leader           uint64
	id                     uint64
	first, applied, commit uint64
}

// state asks a node for its place in the cluster.
func (n *node) state() (s state, err error) {
	a, err := n.ask("INFO", "raft")
	if err != nil {
		return s, err
	}
	if a.kind == '-' {
		return s, fmt.Errorf("INFO is answered by %q", a.raw)
	}
	number := func(name string) uint64 {
		value, _ := strconv.ParseUint(field(a.text, name), 10, 64)
		return value
	}
	return state{
		leads: field(a.text, "raft_role") == "leader", leased: number("raft_lease_held") == 1,
		term: number("raft_term"), leader: number("raft_leader"), id: number("raft_replica"),
		first: number("raft_first_index"), applied: number("raft_applied_index"), commit: number("raft_commit_index"),
	}, nil
}

// field returns a value of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// leader waits until one of the nodes leads, and returns its place among all. Without any it is among all.
func (f *fleet) leader(among ...*node) int {
	f.t.Helper()
	if len(among) == 0 {
		among = f.nodes
	}
	found := -1
	eventually(f.t, 20*time.Second, "a node leads", func() bool {
		term := uint64(0)
		found = -1
		for _, n := range among {
			if s, err := n.state(); err == nil && s.leads && s.term > term {
				found, term = f.place(n), s.term
			}
		}
		return found >= 0
	})
	return found
}

func (f *fleet) place(n *node) int {
	for i := range f.nodes {
		if f.nodes[i] == n {
			return i
		}
	}
	return -1
}

// except returns all nodes but those at some places.
func (f *fleet) except(places ...int) []*node {
	var rest []*node
	for i, n := range f.nodes {
		out := false
		for _, place := range places {
			out = out || i == place
		}
		if !out {
			rest = append(rest, n)
		}
	}
	return rest
}

// pause is SIGSTOP, resume SIGCONT.
func (n *node) pause()  { n.current().signal(syscall.SIGSTOP) }
func (n *node) resume() { n.current().signal(syscall.SIGCONT) }

// isolate cuts a node off from the others, in the ways that are asked for. This process still reaches it.
func (f *fleet) isolate(place int, in, out bool) { f.net.isolate(f.nodes[place].seat, in, out) }

// cut lets nothing through from one node to another.
func (f *fleet) cut(from, to int) { f.net.cut(f.nodes[from].seat, f.nodes[to].seat) }
