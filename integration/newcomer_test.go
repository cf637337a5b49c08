package integration

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// newcomer makes a node that is not of the founders. It takes the seat that no other has, and runs when it is launched.
func (f *fleet) newcomer(flags ...string) *node {
	f.t.Helper()
	f.born++
	n := &node{t: f.t, binary: f.nodes[0].binary, dir: filepath.Join(f.t.TempDir(), "data")}
	n.name = fmt.Sprint("new", f.born)
	f.settle(n, f.spare())
	n.flags = append([]string{
		"--name", n.name, "--peer-addr", n.peerAddr(), "--advertise-peer-addr", f.door(n),
		"--cluster-secret-file", f.secret, "--insecure",
	}, flags...)
	if f.nodes[0].clock != nil {
		n.warp()
	}
	if f.nodes[0].disk != "" {
		n.shrink()
	}
	return n
}

// set gives a node a flag, in place of the one of this name that it has.
func (n *node) set(flag, value string) {
	if i := slices.Index(n.flags, flag); i >= 0 {
		n.flags[i+1] = value
		return
	}
	n.flags = append(n.flags, flag, value)
}

// spare is the seat that no node has. Of a fleet on loopback it tells nothing.
func (f *fleet) spare() int {
	if f.net == nil {
		return 0
	}
	taken := map[int]bool{}
	for _, n := range f.nodes {
		taken[n.seat] = true
	}
	seat := 0
	for taken[seat] {
		seat++
	}
	return seat
}

// admin runs primatomic cluster at a node. It must succeed.
func (f *fleet) admin(n *node, verb ...string) string {
	f.t.Helper()
	args := append(append([]string{"cluster"}, verb...), "--grpc-addr", n.grpcAddr(), "--timeout", "60s")
	out, log, status := run(f.t, n.binary, args...)
	if status != 0 {
		f.t.Fatalf("primatomic %s: status %d\n%s%s", strings.Join(args, " "), status, out, log)
	}
	return out
}

// replace lets a new node take the place of one of the fleet while the crowd goes on. The old one must end by itself,
// because it is no member any more.
func (f *fleet) replace(c *crowd, place int) {
	f.t.Helper()
	old := f.nodes[place]
	f.replaceLost(c, place)
	if status := old.current().wait(); status == 0 || !strings.Contains(old.current().log.String(), "removed") {
		f.t.Errorf("the node that was replaced has ended with status %d", status)
	}
	f.serves(startTimeout, f.nodes...)
}

// replaceLost is replace of a node that may not run any more.
func (f *fleet) replaceLost(c *crowd, place int) {
	f.t.Helper()
	n := f.newcomer(append([]string{"--invited"}, f.extra...)...)
	n.launch()
	eventually(f.t, startTimeout, "the new node waits to be invited", func() bool {
		conn, err := net.DialTimeout("tcp", n.peerAddr(), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	f.admin(f.nodes[(place+1)%len(f.nodes)], "replace", f.nodes[place].name, f.door(n))
	n.opened()
	f.nodes[place] = n
	c.visit(f.nodes)
	f.serves(startTimeout, f.nodes...)
	c.await(50)
}
