package command

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

func TestTransactionBounds(t *testing.T) {
	host := newFakeHost(auth.Off())
	const value = 8 << 20

	t.Run("queued bytes", func(t *testing.T) {
		s := host.connect()
		host.send(s, "MULTI")
		large := strings.Repeat("v", value)
		for i := range transactionBytesMax/value - 1 {
			if got := host.send(s, "SET", "k", large); got != "+QUEUED\r\n" {
				t.Fatalf("SET %d: %q", i, got)
			}
		}
		if got := host.send(s, "SET", "k", large); !strings.HasPrefix(got, "-ERR transaction is too large") {
			t.Fatalf("one too many: %q", got)
		}
		if got := host.send(s, "EXEC"); !strings.HasPrefix(got, "-EXECABORT") {
			t.Fatalf("EXEC: %q", got)
		}
		if s.Multi.bytes != 0 || s.Multi.Queue != nil {
			t.Fatal("EXEC kept the queue")
		}
	})

	t.Run("queued calls", func(t *testing.T) {
		s := host.connect()
		host.send(s, "MULTI")
		const room = 1000
		s.Multi.bytes = transactionBytesMax - room*(queuedOverhead+argOverhead+len("PING"))
		n := 0
		for host.send(s, "PING") == "+QUEUED\r\n" {
			n++
		}
		if n != room {
			t.Fatalf("queued %d calls, want %d", n, room)
		}
	})

	t.Run("watched keys", func(t *testing.T) {
		s := host.connect()
		const held = transactionBytesMax - 2*(queuedOverhead+len("a"))
		s.Multi.bytes = held
		keys := []string{"a", "b", "c"}
		if got := host.send(s, append([]string{"WATCH"}, keys...)...); !strings.HasPrefix(got, "-ERR") {
			t.Fatalf("too many: %q", got)
		}
		if len(s.Multi.Watched) != 0 || s.Multi.bytes != held {
			t.Fatal("a WATCH that was refused left something watched")
		}
		host.send(s, "WATCH", "a", "b")
		if len(s.Multi.Watched) != 2 {
			t.Fatalf("%d keys are watched", len(s.Multi.Watched))
		}
		host.send(s, "UNWATCH")
		if s.Multi.bytes != held {
			t.Fatalf("UNWATCH left %d bytes counted", s.Multi.bytes-held)
		}
	})
}

// TestExecAnswerIsBounded asks for more than a transaction may answer, in each of the ways.
func TestExecAnswerIsBounded(t *testing.T) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	const value = 8 << 20
	fits := answersBytesMax/value - 1 // headers take a little of the last one
	host.send(s, "SET", "large", strings.Repeat("v", value))
	for name, test := range map[string]struct{ fill, last, after, want string }{
		"reads":  {"GET large", "GET large", "GET small", "-ERR answer left out"},
		"writes": {"GETEX large PERSIST", "SET large x GET", "INCR small", ":1"},
		"both":   {"GETEX large PERSIST", "GET large", "SET small x", "+OK"},
	} {
		t.Run(name, func(t *testing.T) {
			host.send(s, "SET", "large", strings.Repeat("v", value))
			host.send(s, "DEL", "small")
			host.send(s, "MULTI")
			for range fits {
				host.send(s, strings.Fields(test.fill)...)
			}
			host.send(s, strings.Fields(test.last)...)
			host.send(s, strings.Fields(test.after)...)
			answer := host.send(s, "EXEC")
			v, rest, err := ParseValue([]byte(answer))
			if err != nil || len(rest) != 0 || len(v.Elems) != fits+2 {
				t.Fatalf("%d bytes: %v", len(answer), err)
			}
			if last := v.Elems[fits]; last.Kind != KindError {
				t.Errorf("the answer that does not fit is of kind %q", last.Kind)
			}
			after := v.Elems[fits+1]
			if got := fmt.Sprintf("%c%s", after.Kind, after.Bytes); !strings.HasPrefix(got, test.want) {
				t.Errorf("then %q, want %q", got, test.want)
			}
			if got := host.send(s, "GET", "large"); name == "writes" && got != "$1\r\nx\r\n" {
				t.Errorf("the write whose answer was left out was not carried out: %d bytes", len(got))
			}
		})
	}

	t.Run("connection", func(t *testing.T) {
		host.send(s, "MULTI")
		for range answersBytesMax / 50_000 {
			host.send(s, "COMMAND", "DOCS")
		}
		for range 1000 {
			host.send(s, "COMMAND", "DOCS")
		}
		if answer := host.send(s, "EXEC"); len(answer) > answersBytesMax+1<<20 {
			t.Errorf("answer of %d bytes", len(answer))
		} else if !strings.HasSuffix(answer, "-"+errAnswerLeftOut.Error()+"\r\n") {
			t.Errorf("answer of %d bytes without an error", len(answer))
		}
	})
}

// TestQueuedCallsAreCopies overwrites the front door's memory between QUEUED and EXEC, as host.send does.
func TestQueuedCallsAreCopies(t *testing.T) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	host.send(s, "WATCH", "other")
	host.send(s, "MULTI")
	host.send(s, "SET", "key", "value", "EX", "100")
	if got := host.send(s, "EXEC"); got != "*1\r\n+OK\r\n" {
		t.Fatalf("EXEC: %q", got)
	}
	if got := host.send(s, "GET", "key"); got != "$5\r\nvalue\r\n" {
		t.Fatalf("GET: %q", got)
	}
	if got := host.send(s, "TTL", "key"); got != ":100\r\n" {
		t.Fatalf("TTL: %q", got)
	}
}

// TestExecRoute checks which way a transaction goes, and from which namespace.
func TestExecRoute(t *testing.T) {
	three := engine.Ref{Number: 3}
	for name, test := range map[string]struct {
		lines     []string
		watch     bool
		class     Class
		namespace engine.Ref
	}{
		"empty":                {nil, false, Read, engine.NoNamespace},
		"reads":                {[]string{"GET a", "TTL a"}, false, Read, engine.Ref{}},
		"reads and time":       {[]string{"TIME", "GET a"}, false, Read, engine.Ref{}},
		"reads and connection": {[]string{"PING", "GET a", "CLIENT ID"}, false, Read, engine.Ref{}},
		"connection":           {[]string{"PING"}, false, Read, engine.NoNamespace},
		"watched reads":        {[]string{"GET a"}, true, Write, engine.Ref{}},
		"a write":              {[]string{"GET a", "SET a 1"}, false, Write, engine.Ref{}},
		"selected":             {[]string{"SELECT 3", "GET a"}, false, Read, three},
		"two namespaces":       {[]string{"GET a", "SELECT 3", "GET a"}, false, Write, engine.Ref{}},
	} {
		t.Run(name, func(t *testing.T) {
			host := newFakeHost(auth.Off())
			s := host.connect()
			if test.watch {
				host.send(s, "WATCH", "a")
			}
			host.send(s, "MULTI")
			for _, line := range test.lines {
				if got := host.send(s, strings.Fields(line)...); got != "+QUEUED\r\n" {
					t.Fatalf("%s: %q", line, got)
				}
			}
			c := &Call{Args: [][]byte{[]byte("EXEC")}}
			if err := host.registry.Prepare(c); err != nil {
				t.Fatal(err)
			}
			if err := s.Admit(c); err != nil {
				t.Fatal(err)
			}
			if err := s.TakeExec(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			if c.Class() != test.class || c.Namespace != test.namespace {
				t.Errorf("class %d in %v, want %d in %v", c.Class(), c.Namespace, test.class, test.namespace)
			}
		})
	}
}

// TestExecElsewhere carries a transaction out as a node does that does not serve the client: without
// the answers of the connection. What it does to the state is the same.
func TestExecElsewhere(t *testing.T) {
	digest := func(answers bool) string {
		host := newFakeHost(auth.Off())
		s := host.connect()
		host.send(s, "MULTI")
		lines := []string{"SET a 1", "CLIENT SETNAME x", "INCR a", "SELECT 3", "SET b 1", "APPEND b 2"}
		for _, line := range lines {
			host.send(s, strings.Fields(line)...)
		}
		c := &Call{Args: [][]byte{[]byte("EXEC")}}
		if err := host.registry.Prepare(c); err != nil {
			t.Fatal(err)
		}
		if err := s.Admit(c); err != nil {
			t.Fatal(err)
		}
		if err := s.TakeExec(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if !answers {
			c.Answers = nil
		}
		out := NewReply(2, nil)
		host.route(s, c, out)
		if v, rest, err := ParseValue(out.Bytes()); err != nil || len(rest) != 0 || len(v.Elems) != 6 {
			t.Fatalf("answer %q", out.Bytes())
		}
		return host.send(s, "GET", "b") + host.send(s, "NAMESPACE", "INFO", "3") +
			host.send(s, "SELECT", "0") + host.send(s, "GET", "a") + host.send(s, "NAMESPACE", "INFO", "0")
	}
	here, elsewhere := digest(true), digest(false)
	if here != elsewhere {
		t.Errorf("state here\n%s\nelsewhere\n%s", here, elsewhere)
	}
	if !strings.HasPrefix(here, "$2\r\n12\r\n") {
		t.Errorf("state %q", here)
	}
}

func BenchmarkEnqueue(b *testing.B) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	host.send(s, "MULTI")
	c := &Call{Args: [][]byte{[]byte("SET"), []byte("key"), bytes.Repeat([]byte("v"), 64)}}
	if err := host.registry.Prepare(c); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Enqueue(c); err != nil {
			b.Fatal(err)
		}
		s.Multi.Queue, s.Multi.bytes = s.Multi.Queue[:0], 0
	}
}
