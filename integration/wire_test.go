package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wireTimeout bounds each exchange on a wire that was not given a bound of its own.
const wireTimeout = 30 * time.Second

// wire is a raw RESP connection.
type wire struct {
	net.Conn
	in       *bufio.Reader
	patience time.Duration // bounds each exchange
}

// answer is a reply: its bytes, and what they mean. Elements of maps, sets and pushes are in elems as those
// of arrays are.
type answer struct {
	raw   string // not of elements: theirs are part of the whole
	kind  byte
	text  string // of a status, an error, a number, a bulk string
	null  bool
	elems []answer
}

// prefix is the first word of an error.
func (a *answer) prefix() string {
	word, _, _ := strings.Cut(a.text, " ")
	if a.kind != '-' {
		return ""
	}
	return word
}

// int is the number that an answer is, or one that no test wants.
func (a *answer) int() int64 {
	n, err := strconv.ParseInt(a.text, 10, 64)
	if err != nil {
		return math.MinInt64
	}
	return n
}

// connect opens a wire, or says why not.
func connect(addr string) (*wire, error) { return connectWithin(addr, wireTimeout) }

// connectWithin is connect with bounds of its own.
func connectWithin(addr string, patience time.Duration) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &wire{conn, bufio.NewReader(conn), patience}, nil
}

// wire opens a wire that closes with the test.
func (n *node) wire(t testing.TB) *wire {
	t.Helper()
	w, err := connect(n.respAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// frame returns a command as clients send it.
func frame(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n", len(arg))
		b.WriteString(arg)
		b.WriteString("\r\n")
	}
	return b.String()
}

// put sends bytes.
func (w *wire) put(raw string) error {
	_ = w.SetWriteDeadline(time.Now().Add(w.patience))
	_, err := io.WriteString(w.Conn, raw)
	return err
}

// get reads one answer.
func (w *wire) get() (answer, error) {
	_ = w.SetReadDeadline(time.Now().Add(w.patience))
	return readAnswer(w.in)
}

// call sends a command and reads its answer.
func (w *wire) call(args ...string) (answer, error) {
	if err := w.put(frame(args...)); err != nil {
		return answer{}, err
	}
	return w.get()
}

// do is call for a test in which the connection must not break.
func (w *wire) do(t testing.TB, args ...string) answer {
	t.Helper()
	a, err := w.call(args...)
	if err != nil {
		t.Fatalf("%.80q: %v", args, err)
	}
	return a
}

// send is put for a test in which the connection must not break.
func (w *wire) send(t testing.TB, raw string) {
	t.Helper()
	if err := w.put(raw); err != nil {
		t.Fatal(err)
	}
}

// expect reads an answer and holds it against the bytes wanted.
func (w *wire) expect(t testing.TB, raw string) {
	t.Helper()
	a, err := w.get()
	if err != nil {
		t.Fatalf("want %q: %v", raw, err)
	}
	if a.raw != raw {
		t.Fatalf("the answer is %.200q, want %q", a.raw, raw)
	}
}

// expectEnd checks that the server closes the connection and says nothing more.
func (w *wire) expectEnd(t testing.TB) {
	t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(wireTimeout))
	if b, err := w.in.ReadByte(); err == nil {
		t.Fatalf("the connection is open: it says %q", b)
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatal("the connection is open")
	}
}

// readAnswer reads one answer and keeps its bytes.
func readAnswer(in *bufio.Reader) (answer, error) {
	var raw bytes.Buffer
	a, err := parseAnswer(in, &raw)
	a.raw = raw.String()
	return a, err
}

// parseAnswer reads an answer and appends its bytes to raw.
func parseAnswer(in *bufio.Reader, raw *bytes.Buffer) (answer, error) {
	line, err := in.ReadString('\n')
	raw.WriteString(line)
	if err != nil {
		return answer{}, err
	}
	a := answer{kind: line[0], text: strings.TrimRight(line[1:], "\r\n")}
	count := 0
	switch a.kind {
	case '+', '-', ':', '#', ',', '(':
		return a, nil
	case '_':
		a.null = true
		return a, nil
	case '$', '=', '*', '%', '~', '>', '!':
		if count, err = strconv.Atoi(a.text); err != nil {
			return a, fmt.Errorf("bad length %q", line)
		}
	default:
		return a, fmt.Errorf("no answer begins with %q", line)
	}
	a.text = ""
	if count < 0 {
		a.null = true
		return a, nil
	}
	switch a.kind {
	case '$', '=', '!':
		return a, a.readBulk(in, count, raw)
	case '%':
		count *= 2
	}
	for range count {
		elem, err := parseAnswer(in, raw)
		if err != nil {
			return a, err
		}
		a.elems = append(a.elems, elem)
	}
	return a, nil
}

func (a *answer) readBulk(in *bufio.Reader, size int, raw *bytes.Buffer) error {
	body := make([]byte, size+2)
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	a.text = string(body[:size])
	raw.Write(body)
	return nil
}
