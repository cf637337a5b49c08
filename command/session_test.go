package command

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/primatomic/primatomic/auth"
)

// TestSessionScripts runs testdata/session: "host" starts a process, with authentication or without;
// "connect" opens connections; "send" sends command lines and prints the bytes of each answer on one
// line, with a space for each line break; "advance" moves the clock.
func TestSessionScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/session", func(t *testing.T, path string) {
		host := newFakeHost(auth.Off())
		sessions := map[string]*Session{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "host":
				if d.HasArg("auth") {
					host = newFakeHost(testTokens())
				}
				return ""
			case "connect":
				for _, arg := range d.CmdArgs {
					sessions[arg.Key] = host.connect()
				}
				return ""
			case "advance":
				by, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				host.now = host.now.Add(by)
				return ""
			case "send":
				return transcript(t, host, sessions[d.CmdArgs[0].Key], d.Input)
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

func transcript(t *testing.T, host *fakeHost, s *Session, script string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range strings.Split(script, "\n") {
		answer := host.send(s, splitLine(t, line)...)
		for rest := []byte(answer); len(rest) > 0; {
			var err error
			if _, rest, err = ParseValue(rest); err != nil {
				t.Fatalf("%s: answer %q: %v", line, answer, err)
			}
		}
		answer = strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(answer, "\r\n", " "), "\n", "~"))
		if answer == "" {
			answer = "(nothing)"
		}
		if s.Closing {
			answer += " (closes)"
		}
		fmt.Fprintln(&b, answer)
	}
	return b.String()
}

// TestClientListOfBusySessions is for the race detector: others look at a session that works.
func TestClientListOfBusySessions(t *testing.T) {
	host := newFakeHost(auth.Off())
	watcher := host.connect()
	lines := [][]string{
		{"SELECT", "3"}, {"CLIENT", "SETNAME", "x"}, {"MULTI"}, {"CLIENT", "ID"}, {"EXEC"}, {"HELLO", "3"},
		{"AUTH", "default", "x"}, {"CLIENT", "NO-EVICT", "ON"}, {"RESET"}, {"WATCH", "k"}, {"UNWATCH"},
		{"CLIENT", "SETINFO", "LIB-NAME", "test"}, {"CLIENT", "LIST"},
	}
	var busy sync.WaitGroup
	for range 2 {
		s := host.connect()
		busy.Go(func() {
			for range 50 {
				for _, line := range lines {
					host.send(s, line...)
				}
			}
		})
	}
	for range 200 {
		if got := host.send(watcher, "CLIENT", "LIST"); strings.Count(got, "\n") != 3+2 {
			t.Errorf("three connections, but %q", got)
		}
	}
	busy.Wait()
}

// TestHotPathDoesNotAllocate covers what each call of a session costs at the gate.
func TestHotPathDoesNotAllocate(t *testing.T) {
	for name, host := range map[string]*fakeHost{
		"off": newFakeHost(auth.Off()),
		"jwt": newFakeHost(testTokens()),
	} {
		t.Run(name, func(t *testing.T) {
			s := host.connect()
			if name == "jwt" {
				host.send(s, "AUTH", "alice-brief")
			}
			c := &Call{Args: [][]byte{[]byte("get"), []byte("key")}}
			if err := host.registry.Prepare(c); err != nil {
				t.Fatal(err)
			}
			allocs := testing.AllocsPerRun(100, func() {
				if err := s.Admit(c); err != nil {
					t.Fatal(err)
				}
				s.Note(c.Spec, host.now)
			})
			if allocs != 0 {
				t.Errorf("%v allocations per call", allocs)
			}
		})
	}
}

// TestBareSession is a session as a front door without a connection makes it: its zero Namespace is
// database 0, which a restricted token must cover like any other.
func TestBareSession(t *testing.T) {
	host := newFakeHost(testTokens())
	get := host.registry.Lookup([]byte("get"))
	s := &Session{Host: host}
	if err := s.Allowed(get); err != ErrNoAuth {
		t.Errorf("without a credential: %v", err)
	}
	s.Principal = testTokens()["alice-app"]
	if err := s.Allowed(get); err == nil || err.Code != NoPerm {
		t.Errorf("restricted to app, in database 0: %v", err)
	}
	s.Namespace = Selected{Name: "app"}
	if err := s.Allowed(get); err != nil {
		t.Errorf("restricted to app, in app: %v", err)
	}
}

func BenchmarkAdmit(b *testing.B) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	c := &Call{Args: [][]byte{[]byte("get"), []byte("key")}}
	if err := host.registry.Prepare(c); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Admit(c); err != nil {
			b.Fatal(err)
		}
		s.Note(c.Spec, host.now)
	}
}

// TestNamesAreBounded asks about more names than one call may: each answer is kilobytes.
func TestNamesAreBounded(t *testing.T) {
	host := newFakeHost(auth.Off())
	s := host.connect()
	for _, line := range [][]string{{"COMMAND", "DOCS"}, {"COMMAND", "INFO"}, {"CONFIG", "GET"}} {
		for n, refused := range map[int]bool{namesMax: false, namesMax + 1: true} {
			args := line
			for range n {
				args = append(args, "get")
			}
			got := host.send(s, args...)
			if strings.HasPrefix(got, "-ERR too many names") != refused {
				t.Errorf("%v with %d names: %.60q", line, n, got)
			}
		}
	}
}
