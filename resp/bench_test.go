package resp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/primatomic/primatomic/command"
)

// repeat is a source that brings the same bytes with every read that waits.
type repeat struct {
	bytes []byte
	rest  []byte
}

func (s *repeat) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		s.rest = s.bytes
	}
	return s.Poll(p)
}

func (s *repeat) Poll(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, errWouldBlock
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// BenchmarkReader: one operation is one submission.
func BenchmarkReader(b *testing.B) {
	get := appendCommand(nil, "GET", "key:000000000001")
	set := appendCommand(nil, "SET", "key:000000000001", strings.Repeat("v", 64))
	for _, test := range []struct {
		name string
		in   []byte
	}{
		{"get", get},
		{"get-inline", []byte("GET key:000000000001\r\n")},
		{"set", set},
		{"set-16-of-1KiB", bytes.Repeat(appendCommand(nil, "SET", "k", strings.Repeat("v", 1024)), 16)},
		{"set-100", bytes.Repeat(set, 100)},
		{"get-1024", bytes.Repeat(get, 1024)},
		{"set-of-1MiB", appendCommand(nil, "SET", "k", strings.Repeat("v", 1<<20))},
	} {
		b.Run(test.name, func(b *testing.B) {
			limits := Limits{}.withDefaults()
			r := newReader(&repeat{bytes: test.in}, &limits, command.NewBudget(1<<30), new(atomic.Uint64))
			b.SetBytes(int64(len(test.in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.next(true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestReaderDoesNotAllocate pins what BenchmarkReader shows.
func TestReaderDoesNotAllocate(t *testing.T) {
	in := bytes.Repeat(appendCommand(nil, "GET", "key:000000000001"), 3)
	limits := Limits{}.withDefaults()
	r := newReader(&repeat{bytes: in}, &limits, command.NewBudget(0), new(atomic.Uint64))
	if n := testing.AllocsPerRun(100, func() { _, _ = r.next(true) }); n != 0 {
		t.Fatalf("%v allocations per submission", n)
	}
}

// BenchmarkPing is the loopback round trip; one operation is one command. Client and server share the
// processors.
func BenchmarkPing(b *testing.B) {
	for _, depth := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("pipeline-%d", depth), func(b *testing.B) {
			s, _ := start(b, Options{Executor: pong{}})
			in := bytes.Repeat([]byte("*1\r\n$4\r\nPING\r\n"), depth)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				c := dial(b, s)
				out := make([]byte, depth*len("+PONG\r\n"))
				for more := true; more; {
					for range depth {
						more = p.Next() && more
					}
					if _, err := c.Write(in); err != nil {
						b.Error(err)
						return
					}
					if _, err := io.ReadFull(c, out); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// pong answers everything with PONG.
type pong struct{}

func (pong) Do(_ context.Context, _ *command.Session, calls []command.Call, out *command.Reply) int {
	for range calls {
		out.Status("PONG")
	}
	return len(calls)
}
