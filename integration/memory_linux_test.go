package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// memory returns the resident memory of a process, in bytes.
func (p *process) memory() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	text, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		p.t.Fatalf("VmRSS: %v", err)
	}
	return kib << 10
}

// leanNode starts a node without the race detector.
func leanNode(t testing.TB, flags ...string) *node {
	t.Helper()
	n := newNode(t, flags...)
	n.binary = binary(t, lean)
	n.start()
	return n
}

// bystander is a connection that must not notice what others do. It returns how long its slowest call took.
func (n *node) bystander(t testing.TB, token string, while func()) time.Duration {
	t.Helper()
	w := n.wire(t)
	if token != "" {
		w.do(t, "AUTH", token)
	}
	done := make(chan struct{})
	slowest := make(chan time.Duration, 1)
	go func() {
		worst := time.Duration(0)
		for calls := 0; ; calls++ {
			began := time.Now()
			if a, err := w.call("SET", "bystander", fmt.Sprint(calls)); err != nil || a.raw != "+OK\r\n" {
				t.Errorf("the bystander is answered by %q, %v", a.raw, err)
			}
			worst = max(worst, time.Since(began))
			select {
			case <-done:
				slowest <- worst
				return
			default:
			}
		}
	}()
	while()
	close(done)
	return <-slowest
}

// exhaust sends bytes and an end, and reads until the node closes the connection.
func (w *wire) exhaust(packet string) {
	_ = w.put(packet) // the node may close it halfway
	_ = w.Conn.(*net.TCPConn).CloseWrite()
	_ = w.SetReadDeadline(time.Now().Add(wireTimeout))
	_, _ = io.Copy(io.Discard, w.in)
}

// TestHostilePackets sends them before and after AUTH. The memory of the node stays bounded, and a
// bystander goes on.
func TestHostilePackets(t *testing.T) {
	const most = 100 << 20
	for _, authenticated := range []bool{false, true} {
		t.Run(fmt.Sprintf("authenticated=%v", authenticated), func(t *testing.T) {
			file := writeFile(t, "jwt.key", secret)
			n := leanNode(t, "--auth", "jwt", "--jwt-key", file)
			token := issuer{t, file}.token("alice")
			slowest := n.bystander(t, token, func() {
				for name, packet := range hostile {
					w := n.wire(t)
					if authenticated {
						w.do(t, "AUTH", token)
					}
					w.exhaust(packet)
					if now := n.current().memory(); now > most {
						t.Errorf("after %s the node has %d MiB", name, now>>20)
					}
				}
			})
			t.Logf("slowest call of the bystander: %v, memory %d MiB", slowest, n.current().memory()>>20)
			if slowest > 2*time.Second {
				t.Errorf("a bystander waited %v", slowest)
			}
		})
	}
}

// TestHalfSentValues: many connections each bring a part of a large value and stop. What is held follows what
// has arrived, not what was announced, and is free again when they are gone.
func TestHalfSentValues(t *testing.T) {
	n := leanNode(t)
	const conns, part = 60, 256 << 10
	half := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s", 16<<20, strings.Repeat("x", part))
	var wires []*wire
	for range conns {
		w := n.wire(t)
		w.send(t, half)
		wires = append(wires, w)
	}
	eventually(t, 20*time.Second, "all parts have arrived", func() bool {
		info := n.wire(t).do(t, "INFO", "stats")
		_, rest, _ := strings.Cut(info.text, "total_net_input_bytes:")
		text, _, _ := strings.Cut(rest, "\r\n")
		bytes, _ := strconv.ParseInt(text, 10, 64)
		return bytes >= conns*part
	})
	if now := n.current().memory(); now > 150<<20 {
		t.Errorf("%d KiB from each of %d connections are held in %d MiB", part>>10, conns, now>>20)
	}
	for _, w := range wires {
		_ = w.Close()
	}
	n.expectMemory(t, 100<<20)
}

// expectMemory waits until the node has no more memory than the given bytes, under traffic that lets its
// collector run.
func (n *node) expectMemory(t testing.TB, most int64) {
	t.Helper()
	w, value := n.wire(t), strings.Repeat("v", 1<<20)
	eventually(t, 40*time.Second, fmt.Sprintf("the node has at most %d MiB", most>>20), func() bool {
		w.do(t, "SET", "traffic", value)
		w.do(t, "GET", "traffic")
		return n.current().memory() <= most
	})
}

// TestIdleConnectionsAreSmall: a connection that has sent and fetched a value of 16 MiB holds no memory for
// it.
func TestIdleConnectionsAreSmall(t *testing.T) {
	n := leanNode(t)
	value := strings.Repeat("v", 16<<20)
	for range 40 {
		w := n.wire(t)
		if a := w.do(t, "SET", "large", value); a.raw != "+OK\r\n" {
			t.Fatalf("SET: %.100q", a.raw)
		}
		if a := w.do(t, "GET", "large"); len(a.text) != len(value) {
			t.Fatalf("GET: %d bytes", len(a.text))
		}
	}
	n.expectMemory(t, 250<<20)
	t.Logf("40 connections that moved 16 MiB each: %d MiB", n.current().memory()>>20)
}

// TestManyIdleConnections measures what an idle connection costs.
func TestManyIdleConnections(t *testing.T) {
	n := leanNode(t)
	const conns = 1000
	before := n.current().memory()
	for range conns {
		n.wire(t).do(t, "PING")
	}
	each := (n.current().memory() - before) / conns
	t.Logf("an idle connection costs %d bytes", each)
	if each > 40<<10 {
		t.Errorf("an idle connection costs %d bytes", each)
	}
}

// TestSlowReader: a client that asks for much and reads nothing holds little, and nobody up.
func TestSlowReader(t *testing.T) {
	n := leanNode(t)
	w := n.wire(t)
	w.do(t, "SET", "large", strings.Repeat("v", 8<<20))
	slowest := n.bystander(t, "", func() {
		var readers []*wire
		for range 10 {
			reader := n.wire(t)
			reader.send(t, strings.Repeat(frame("GET", "large"), 50))
			readers = append(readers, reader)
		}
		eventually(t, 20*time.Second, "the readers' answers are on their way", func() bool {
			list := w.do(t, "CLIENT", "LIST")
			return strings.Count(list.text, "cmd=get ") == len(readers)
		})
		if now := n.current().memory(); now > 400<<20 {
			t.Errorf("10 clients that do not read hold %d MiB", now>>20)
		}
		for _, reader := range readers {
			_ = reader.Close()
		}
		eventually(t, 20*time.Second, "the readers are gone", func() bool {
			list := w.do(t, "CLIENT", "LIST")
			return !strings.Contains(list.text, "cmd=get ")
		})
	})
	if slowest > 2*time.Second {
		t.Errorf("a bystander waited %v", slowest)
	}
}
