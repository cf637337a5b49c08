package integration

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// frames returns commands as clients send them; blanks stand between arguments.
func frames(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(frame(strings.Fields(line)...))
	}
	return b.String()
}

// TestProtocol sends bytes and holds what comes back against the bytes wanted.
func TestProtocol(t *testing.T) {
	n := startNode(t)
	for _, test := range []struct{ name, send, want string }{
		{"inline", "PING\r\n", "+PONG\r\n"},
		{"inline without CR", "PING\n", "+PONG\r\n"},
		{"inline quotes", "ECHO \"a\\x41 b\\n\"\r\n", "$5\r\naA b\n\r\n"},
		{"inline blanks", "  ECHO   x  \r\n", "$1\r\nx\r\n"},
		{"inline empty lines", "\r\n\r\n\nPING\r\n", "+PONG\r\n"},
		{"no arguments", "*0\r\n*-1\r\nPING\r\n", "+PONG\r\n"},
		{"frames and lines", frames("PING") + "ECHO y\r\n" + frames("PING"), "+PONG\r\n$1\r\ny\r\n+PONG\r\n"},
		{"lower case", frames("ping"), "+PONG\r\n"},
		{"empty argument", frame("ECHO", ""), "$0\r\n\r\n"},
		{"error keeps order", frames("NOSUCH", "PING", "GET", "PING"),
			"-ERR unknown command 'NOSUCH', with args beginning with: \r\n+PONG\r\n" +
				"-ERR wrong number of arguments for 'get' command\r\n+PONG\r\n"},
		{"error with line breaks", frame("NO\r\nSUCH"),
			"-ERR unknown command 'NO  SUCH', with args beginning with: \r\n"},
		{"reply skip", frames("CLIENT REPLY SKIP", "ECHO a", "ECHO b"), "$1\r\nb\r\n"},
		{"reply off and on",
			frames("CLIENT REPLY OFF", "SET off 1", "NOSUCH", "GET off", "CLIENT REPLY ON", "GET off"),
			"+OK\r\n$1\r\n1\r\n"},
		{"hello 3 nulls", frame("HELLO", "3", "SETNAME", "bad name") + frame("GET", "none"),
			"-ERR Client names cannot contain spaces, newlines or special characters.\r\n$-1\r\n"},
		{"multi", frames("MULTI", "SET m 1", "GET m", "EXEC", "GET m"),
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n$1\r\n1\r\n"},
		{"multi refused", frames("SET m 0", "MULTI", "SET m", "EXEC", "GET m"),
			"+OK\r\n+OK\r\n-ERR wrong number of arguments for 'set' command\r\n" +
				"-EXECABORT Transaction discarded because of previous errors.\r\n$1\r\n0\r\n"},
		{"multi nested", frames("MULTI", "MULTI", "DISCARD", "EXEC"),
			"+OK\r\n-ERR MULTI calls can not be nested\r\n+OK\r\n-ERR EXEC without MULTI\r\n"},
		{"multi empty", frames("MULTI", "EXEC"), "+OK\r\n*0\r\n"},
		{"read your write", frames("SET r 1", "GET r", "INCR r", "GET r", "DEL r", "GET r", "EXISTS r"),
			"+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n:1\r\n$-1\r\n:0\r\n"},
		{"select between", frames("SET s 0", "SELECT 7", "GET s", "SET s 7", "SELECT 0", "GET s"),
			"+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := n.wire(t)
			w.do(t, "FLUSHALL")
			w.send(t, test.send)
			w.expectBytes(t, test.want)
			w.send(t, frame("ECHO", "the end"))
			w.expectBytes(t, "$7\r\nthe end\r\n")
		})
		t.Run(test.name+", byte by byte", func(t *testing.T) {
			w := n.wire(t)
			w.do(t, "FLUSHALL")
			for i := range len(test.send) {
				w.send(t, test.send[i:i+1])
			}
			w.expectBytes(t, test.want)
		})
	}
}

// expectBytes reads as many bytes as are wanted, and holds them against those.
func (w *wire) expectBytes(t testing.TB, want string) {
	t.Helper()
	for rest := want; rest != ""; {
		a, err := w.get()
		if err != nil {
			t.Fatalf("want %q: %v", rest, err)
		}
		if !strings.HasPrefix(rest, a.raw) {
			t.Fatalf("the answer is %q, want %q", a.raw, rest)
		}
		rest = rest[len(a.raw):]
	}
}

// TestQuit: what was sent before is answered, then the connection ends.
func TestQuit(t *testing.T) {
	w := startNode(t).wire(t)
	w.send(t, frame("SET", "k", "v")+frame("QUIT")+frame("SET", "k", "after"))
	w.expectBytes(t, "+OK\r\n+OK\r\n")
	w.expectEnd(t)
}

// TestRESP3 checks the kinds that RESP2 does not have.
func TestRESP3(t *testing.T) {
	w := startNode(t).wire(t)
	hello := w.do(t, "HELLO", "3", "SETNAME", "three")
	if hello.kind != '%' || len(hello.elems) != 14 {
		t.Fatalf("HELLO: %q", hello.raw)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"GET", "none"}, "_\r\n"},
		{[]string{"CONFIG", "GET", "databases"}, "%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n"},
		{[]string{"CLIENT", "GETNAME"}, "$5\r\nthree\r\n"},
		{[]string{"MGET", "a", "b"}, "*2\r\n_\r\n_\r\n"},
		{[]string{"SET", "a", "1", "GET"}, "_\r\n"},
	} {
		if a := w.do(t, test.args...); a.raw != test.want {
			t.Errorf("%v is answered by %q, want %q", test.args, a.raw, test.want)
		}
	}
	for command, kind := range map[string]byte{"INFO": '=', "CLIENT INFO": '=', "COMMAND DOCS get": '%'} {
		if a := w.do(t, strings.Fields(command)...); a.kind != kind {
			t.Errorf("%s is answered by %.80q", command, a.raw)
		}
	}
	if a := w.do(t, "HELLO", "2"); a.kind != '*' || len(a.elems) != 14 {
		t.Errorf("HELLO 2: %q", a.raw)
	}
	if a := w.do(t, "GET", "none"); a.raw != "$-1\r\n" {
		t.Errorf("after HELLO 2 the null is %q", a.raw)
	}
}

// TestCommandDocs: redis-cli's help needs the documentation of every command.
func TestCommandDocs(t *testing.T) {
	w := startNode(t).wire(t)
	names := 0
	for _, name := range w.do(t, "COMMAND", "LIST").elems {
		if !strings.Contains(name.text, "|") {
			names++
		}
	}
	docs := w.do(t, "COMMAND", "DOCS")
	if names < 60 || len(docs.elems) != 2*names {
		t.Fatalf("%d names, %d elements in the documentation", names, len(docs.elems))
	}
	for i := 0; i < len(docs.elems); i += 2 {
		fields := map[string]answer{}
		about := docs.elems[i+1].elems
		for j := 0; j+1 < len(about); j += 2 {
			fields[about[j].text] = about[j+1]
		}
		for _, field := range []string{"summary", "since", "group"} {
			if fields[field].text == "" {
				t.Errorf("%s has no %s", docs.elems[i].text, field)
			}
		}
	}
}

// TestPipelineOrder mixes reads, writes and errors in one large write, and checks every answer's place.
func TestPipelineOrder(t *testing.T) {
	w := startNode(t).wire(t)
	rng := random(t)
	const calls = 5000
	model := map[string]int64{}
	var send, want strings.Builder
	for range calls {
		key := fmt.Sprint("key", rng.IntN(20))
		switch rng.IntN(6) {
		case 0:
			value := rng.Int64N(1000)
			model[key] = value
			send.WriteString(frame("SET", key, fmt.Sprint(value)))
			want.WriteString("+OK\r\n")
		case 1:
			model[key]++
			send.WriteString(frame("INCR", key))
			fmt.Fprintf(&want, ":%d\r\n", model[key])
		case 2, 3:
			send.WriteString(frame("GET", key))
			if value, some := model[key]; some {
				text := fmt.Sprint(value)
				fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(text), text)
			} else {
				want.WriteString("$-1\r\n")
			}
		case 4:
			send.WriteString(frame("DEL", key))
			_, some := model[key]
			delete(model, key)
			fmt.Fprintf(&want, ":%d\r\n", map[bool]int{true: 1}[some])
		case 5:
			send.WriteString(frame("LLEN", key, "x", "y") + frame("DBSIZE"))
			const unknown = "-ERR unknown command 'LLEN', with args beginning with: '%s' 'x' 'y' \r\n"
			fmt.Fprintf(&want, unknown, key)
			fmt.Fprintf(&want, ":%d\r\n", len(model))
		}
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(w.Conn, send.String())
		sent <- err
	}()
	w.expectBytes(t, want.String())
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestClientKill: a connection can be seen and ended by another one.
func TestClientKill(t *testing.T) {
	n := startNode(t)
	victim, killer := n.wire(t), n.wire(t)
	victim.do(t, "CLIENT", "SETNAME", "victim")
	id := victim.do(t, "CLIENT", "ID")
	if list := killer.do(t, "CLIENT", "LIST"); !strings.Contains(list.text, " name=victim ") {
		t.Errorf("CLIENT LIST: %s", list.text)
	}
	if a := killer.do(t, "CLIENT", "KILL", "ID", id.text); a.int() != 1 {
		t.Errorf("CLIENT KILL: %q", a.raw)
	}
	victim.expectEnd(t)
	killer.do(t, "PING")
}
