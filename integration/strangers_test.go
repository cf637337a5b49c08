package integration

import (
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// says waits until a node's log has all of some words in one line.
func (n *node) says(words ...string) {
	n.t.Helper()
	eventually(n.t, 30*time.Second, "the log at "+n.host+" says "+strings.Join(words, " ... "), func() bool {
		return n.said(words...)
	})
}

func (n *node) said(words ...string) bool {
	for line := range strings.Lines(n.current().log.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

// fails starts a node that must end by itself with an error, which says why.
func (n *node) fails(words ...string) {
	n.t.Helper()
	if status := n.launch().wait(); status == 0 {
		n.t.Errorf("the node at %s has ended with status 0", n.host)
	}
	n.says(words...)
}

// TestFleetStrangers: who has no place in a cluster is refused, and both sides say why. The cluster goes on meanwhile.
func TestFleetStrangers(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	door := f.nodes[0].peerAddr()
	t.Run("another secret", func(t *testing.T) {
		n := f.newcomer("--join", door)
		n.set("--cluster-secret-file", writeFile(t, "other", "another secret altogether"))
		n.fails("wrong cluster secret")
		f.nodes[0].says("peer connection refused", "wrong cluster secret")
	})
	t.Run("a name that is taken", func(t *testing.T) {
		n := f.newcomer("--join", door)
		n.set("--name", f.nodes[1].name)
		n.fails("does not take this node in", f.nodes[1].name)
		f.nodes[0].says("another node was refused", f.nodes[1].name)
	})
	t.Run("one that has a cluster of its own", func(t *testing.T) {
		n := f.newcomer()
		n.flags = nil
		n.start()
		n.stop()
		n.flags = f.newcomer("--join", door).flags
		n.fails("a cluster of its own")
	})
	t.Run("an address that is taken", func(t *testing.T) {
		n := f.newcomer("--join", door)
		n.set("--peer-addr", f.nodes[1].peerAddr())
		n.fails("address already in use")
	})
	t.Run("garbage", func(t *testing.T) {
		f.nodes[0].garbage(rng)
		f.nodes[0].says("peer connection refused", "not a peer of this protocol")
	})
	t.Run("a founder without its disk", func(t *testing.T) {
		n := f.nodes[2]
		n.kill()
		if err := os.Rename(n.dir, n.dir+".lost"); err != nil {
			t.Fatal(err)
		}
		n.fails("a founder cannot come back with an empty data directory")
		eventually(t, 30*time.Second, "the one that it has asked first says so", func() bool {
			said := "a founder came back with another disk"
			return f.nodes[0].said(said) || f.nodes[1].said(said)
		})
		if err := os.RemoveAll(n.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(n.dir+".lost", n.dir); err != nil {
			t.Fatal(err)
		}
		n.restart()
	})
	c.await(100)
	f.serves(startTimeout, f.nodes...)
	c.settle(f.nodes...)
}

// garbage sends what no peer sends to a node's peer port.
func (n *node) garbage(rng *rand.Rand) {
	n.t.Helper()
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for _, what := range []string{
		"", "\x00", "GET / HTTP/1.1\r\nHost: here\r\n\r\n", frame("SET", "k", "v"), string(noise),
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(noise[:600]),
		"ptmc\x01\x01\xff\xff" + string(noise[:1000]), "pt\x01\x02" + strings.Repeat("\xff", 100),
	} {
		conn, err := net.Dial("tcp", n.peerAddr())
		if err != nil {
			n.t.Fatal(err)
		}
		_, _ = conn.Write([]byte(what)) // it may be refused half-way
		if what == "" || what == "\x00" {
			_ = conn.Close()
			continue
		}
		_ = conn.SetReadDeadline(time.Now().Add(wireTimeout))
		for err == nil {
			_, err = conn.Read(noise[:1000])
		}
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			n.t.Errorf("a connection that began with %.20q is open", what)
		}
		_ = conn.Close()
	}
}

// TestFoundersDisagree: nodes whose flags differ found no cluster: one ends, and says why, as does one that refused it.
func TestFoundersDisagree(t *testing.T) {
	f := newFleet(t, 3, false)
	f.nodes[2].set("--cluster", strings.Replace(f.founders(), "n1=", "nine=", 1))
	for _, n := range f.nodes[:2] {
		n.launch()
	}
	for _, n := range f.nodes[:2] { // both must be there to refuse the third, and not be refused by it first
		n.says("waiting for a founder", "founder=n3")
	}
	f.nodes[2].fails("the flags of the founders disagree")
	eventually(t, 10*time.Second, "one that refused it says why", func() bool {
		for _, n := range f.nodes[:2] {
			if strings.Contains(n.current().log.String(), "the flags of the founders disagree") {
				return true
			}
		}
		return false
	})
}

// TestFleetsMeet: nodes of two clusters that come across each other, as one has got the other's address, do not
// mix, and both say why.
func TestFleetsMeet(t *testing.T) {
	ours, theirs := startFleet(t, 3, false), startFleet(t, 3, false)
	ours.nodes[0].wire(t).do(t, "SET", "k", "ours")
	theirs.nodes[0].wire(t).do(t, "SET", "k", "theirs")
	lost, visitor := ours.highest(), theirs.highest()
	ours.nodes[lost].kill()
	n := theirs.nodes[visitor]
	n.kill()
	i := slices.Index(n.flags, "--cluster") // it has been founded, and the list has the old address
	n.flags = slices.Delete(n.flags, i, i+2)
	n.set("--peer-addr", ours.nodes[lost].peerAddr())
	n.launch()
	n.says("peer connection refused", "wrong cluster")
	ours.except(lost)[0].says("wrong cluster")
	n.opened()
	theirs.serves(startTimeout, theirs.nodes...)
	for f, want := range map[*fleet]string{ours: "ours", theirs: "theirs"} {
		for _, n := range f.nodes {
			if n == ours.nodes[lost] {
				continue
			}
			if a, err := n.ask("GET", "k"); err != nil || a.text != want {
				t.Errorf("a node that has %q answers %q, %v", want, a.raw, err)
			}
		}
	}
}

// highest is the place of the node with the highest id: the others dial it.
func (f *fleet) highest() (place int) {
	f.t.Helper()
	most := uint64(0)
	for i, n := range f.nodes {
		s, err := n.state()
		if err != nil {
			f.t.Fatal(err)
		}
		if s.id > most {
			place, most = i, s.id
		}
	}
	return place
}
