package integration

import (
	"fmt"
	"math/rand/v2"
	gonet "net" // net is a network here
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// network is a bridge with a seat for every node of a fleet: a network namespace with an address of its own.
// This process reaches all of them. Links between seats can be cut.
//
// Nothing has a name that could be left behind: a namespace lives as long as the process that sits in it, which ends
// with this one, and takes its links with it. Only the end of the link on this side has a name. It is also the claim
// on the network's range of addresses, of those that RFC 2544 sets aside for tests.
type network struct {
	t     testing.TB
	hub   *exec.Cmd
	seats []*exec.Cmd
	slot  int
}

const (
	slots    = 512 // ranges of 256 addresses in 198.18.0.0/15
	hostSeat = 254 // the last byte of this process' address
)

// newNetwork makes a network. It needs root, ip, iptables and nsenter: without them the test fails, or is skipped if
// NETNS=skip.
func newNetwork(t testing.TB, seats int) *network {
	t.Helper()
	net := &network{t: t}
	if why := net.missing(); why != "" {
		if os.Getenv("NETNS") == "skip" {
			t.Skip("NETNS=skip, and ", why)
		}
		t.Fatalf("this test cuts links between network namespaces, and %s (NETNS=skip skips such tests)", why)
	}
	net.hub = hold(t)
	net.claim()
	pid := net.hub.Process.Pid
	net.within(net.hub, "ip", "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
	net.batch(net.hub, "link set bridge up", "link set host master bridge", "link set host up")
	for i := range seats {
		seat := hold(t)
		net.seats = append(net.seats, seat)
		net.batch(seat,
			fmt.Sprintf("link add eth type veth peer name seat%d netns %d", i, pid),
			fmt.Sprintf("address add %s/24 dev eth", net.addr(i)), "link set eth up", "link set lo up")
		net.batch(net.hub, fmt.Sprintf("link set seat%d master bridge", i), fmt.Sprintf("link set seat%d up", i))
	}
	return net
}

// missing says why no network can be made, "" if one can.
func (*network) missing() string {
	if os.Geteuid() != 0 {
		return "only root can make those"
	}
	for _, tool := range []string{"ip", "iptables", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed: make tools installs it"
		}
	}
	return ""
}

// hold starts a process that does nothing in a namespace of its own.
func hold(t testing.TB) *exec.Cmd {
	t.Helper()
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatalf("a network namespace: %v (NETNS=skip skips such tests)", err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	return holder
}

// claim links this process to the hub, under a name that no other network has.
func (net *network) claim() {
	net.t.Helper()
	first := rand.IntN(slots)
	var why []byte
	for i := range slots {
		net.slot = (first + i) % slots
		var err error
		why, err = exec.Command("ip", "link", "add", net.link(), "type", "veth",
			"peer", "name", "host", "netns", fmt.Sprint(net.hub.Process.Pid)).CombinedOutput()
		if err == nil {
			net.t.Cleanup(func() { _ = exec.Command("ip", "link", "del", net.link()).Run() })
			net.run(exec.Command("ip", "address", "add", net.addr(hostSeat-1)+"/24", "dev", net.link()))
			net.run(exec.Command("ip", "link", "set", net.link(), "up"))
			return
		}
		if !strings.Contains(string(why), "File exists") {
			break
		}
	}
	net.t.Fatalf("a link into a network namespace: %s (NETNS=skip skips such tests)", why)
}

func (net *network) link() string { return fmt.Sprintf("primatomic%d", net.slot) }

// addr is the address of a seat, counted from 0.
func (net *network) addr(seat int) string {
	return fmt.Sprintf("198.%d.%d.%d", 18+net.slot/256, net.slot%256, 1+seat)
}

// entry is the command that runs another one in a seat.
func (net *network) entry(seat int) []string { return enter(net.seats[seat]) }

func enter(holder *exec.Cmd) []string {
	return []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", holder.Process.Pid), "--"}
}

// size is the number of seats.
func (net *network) size() int { return len(net.seats) }

// listen opens a port at a seat for this process. Who comes there is met by the cuts of that seat.
func (net *network) listen(seat, port int) (l gonet.Listener) {
	net.t.Helper()
	runtime.LockOSThread() // one thread goes there and back; it must not end, since children end with their thread
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		net.t.Fatal(err)
	}
	defer home.Close()
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", net.seats[seat].Process.Pid))
	if err != nil {
		net.t.Fatal(err)
	}
	defer there.Close()
	if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		net.t.Fatalf("into a seat of the network: %v", err)
	}
	l, err = gonet.Listen("tcp", fmt.Sprintf("%s:%d", net.addr(seat), port))
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(fmt.Sprintf("out of a seat of the network: %v", back)) // nothing else may run on this thread
	}
	if err != nil {
		net.t.Fatalf("a port at a seat of the network: %v", err)
	}
	return l
}

// within runs a command in a namespace.
func (net *network) within(holder *exec.Cmd, command ...string) {
	net.t.Helper()
	line := append(enter(holder), command...)
	net.run(exec.Command(line[0], line[1:]...))
}

// batch runs lines of ip in a namespace.
func (net *network) batch(holder *exec.Cmd, lines ...string) {
	net.t.Helper()
	line := append(enter(holder), "ip", "-batch", "-")
	c := exec.Command(line[0], line[1:]...)
	c.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	net.run(c)
}

func (net *network) run(c *exec.Cmd) {
	net.t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		net.t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

// cut lets nothing through from one seat to another. What goes the other way still arrives.
func (net *network) cut(from, to int) {
	net.t.Helper()
	net.within(net.seats[to], "iptables", "-w", "-A", "INPUT", "-s", net.addr(from), "-j", "DROP")
}

// isolate cuts a seat off from the others, in the ways that are asked for. This process still reaches it.
func (net *network) isolate(seat int, in, out bool) {
	net.t.Helper()
	for other := range net.seats {
		if other == seat {
			continue
		}
		if in {
			net.cut(other, seat)
		}
		if out {
			net.cut(seat, other)
		}
	}
}

// heal undoes all cuts.
func (net *network) heal() {
	net.t.Helper()
	for _, seat := range net.seats {
		net.within(seat, "iptables", "-w", "-F", "INPUT")
	}
}
