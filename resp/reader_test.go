package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/primatomic/primatomic/command"
)

// arrivals is a source: each element is what has arrived by the time of one waiting read.
type arrivals struct {
	chunks [][]byte
	now    []byte // what has arrived and has not been read
}

func (a *arrivals) Read(p []byte) (int, error) {
	for len(a.now) == 0 {
		if len(a.chunks) == 0 {
			return 0, io.EOF
		}
		a.now, a.chunks = a.chunks[0], a.chunks[1:]
	}
	return a.Poll(p)
}

func (a *arrivals) Poll(p []byte) (int, error) {
	if len(a.now) == 0 {
		return 0, errWouldBlock
	}
	n := copy(p, a.now)
	a.now = a.now[n:]
	return n, nil
}

// chop cuts data into pieces of n bytes.
func chop(data []byte, n int) [][]byte { return slices.Collect(slices.Chunk(data, n)) }

func testReader(limits Limits, chunks ...[]byte) *reader {
	limits = limits.withDefaults()
	buffers := command.NewBudget(limits.BuffersBytes)
	return newReader(&arrivals{chunks: chunks}, &limits, buffers, new(atomic.Uint64))
}

// decoded is what a reader made of its input.
type decoded struct {
	calls       [][]string // a refused command is {"refused"}
	submissions []int      // number of calls in each
	err         error      // what ended it
}

func drainReader(r *reader, trusted bool) decoded {
	var d decoded
	for {
		calls, err := r.next(trusted)
		if refusal := (*command.Error)(nil); errors.As(err, &refusal) {
			d.calls = append(d.calls, []string{"refused"})
			continue
		}
		if err != nil {
			d.err = err
			return d
		}
		d.submissions = append(d.submissions, len(calls))
		for _, call := range calls {
			d.calls = append(d.calls, words(call))
		}
	}
}

func words(call command.Call) []string {
	var out []string
	for _, arg := range call.Args {
		out = append(out, string(arg))
	}
	return out
}

// appendCommand encodes a command as clients do.
func appendCommand[T string | []byte](b []byte, args ...T) []byte {
	b = fmt.Appendf(b, "*%d\r\n", len(args))
	for _, arg := range args {
		b = fmt.Appendf(b, "$%d\r\n", len(arg))
		b = append(b, arg...)
		b = append(b, '\r', '\n')
	}
	return b
}

func TestReaderAcceptsWhatRedisAccepts(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     [][]string
	}{
		{"multibulk", "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", [][]string{{"ECHO", "hi"}}},
		{"binary argument", "*1\r\n$4\r\n\r\n\x00*\r\n", [][]string{{"\r\n\x00*"}}},
		{"empty argument", "*1\r\n$0\r\n\r\n", [][]string{{""}}},
		{"no arguments and empty lines are ignored", "*0\r\n*-1\r\n\r\n\n  \r\nPING\r\n", [][]string{{"PING"}}},
		{"inline", "SET k  v\r\n", [][]string{{"SET", "k", "v"}}},
		{"inline with a bare line feed", "PING\n", [][]string{{"PING"}}},
		{"inline with double quotes", `SET k "a b\n\x41\"\q\xZ"` + "\r\n", [][]string{{"SET", "k", "a b\nA\"qxZ"}}},
		{"inline with single quotes", `SET k 'a \'b\' \n'` + "\r\n", [][]string{{"SET", "k", `a 'b' \n`}}},
		{"inline with an empty word", `SET k ""` + "\r\n", [][]string{{"SET", "k", ""}}},
		{"quotes that open inside of a word", `SET k ab"c d"` + "\r\n", [][]string{{"SET", "k", "abc d"}}},
		{"inline and multibulk in turn", "PING\r\n*1\r\n$4\r\nQUIT\r\nPING x\r\n",
			[][]string{{"PING"}, {"QUIT"}, {"PING", "x"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, len(test.in)} {
				d := drainReader(testReader(Limits{}, chop([]byte(test.in), size)...), false)
				if d.err != io.EOF || !slices.EqualFunc(d.calls, test.want, slices.Equal) {
					t.Fatalf("in pieces of %d: got %q, %v, want %q", size, d.calls, d.err, test.want)
				}
			}
		})
	}
}

func TestReaderProtocolErrors(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, test := range []struct {
		name, in string
		trusted  bool
		want     protocolError
	}{
		{"count that is no number", "*x\r\n", true, errCount},
		{"count with a plus", "*+1\r\n", true, errCount},
		{"count with a leading zero", "*01\r\n", true, errCount},
		{"empty count", "*\r\n", true, errCount},
		{"count of minus zero", "*-0\r\n", true, errCount},
		{"count without carriage return", "*1\n", true, errCount},
		{"largest count", "*9223372036854775807\r\n", true, errCount},
		{"count beyond 64 bits", "*9223372036854775808\r\n", true, errCount},
		{"count above the limit", "*1048577\r\n", true, errCount},
		{"endless count", "*" + long, true, errCountLength},
		{"count before AUTH", "*17\r\n", false, errCountAnonymous},
		{"no dollar", "*1\r\nfoo\r\n", true, "expected '$', got 'f'"},
		{"no argument", "*1\r\n\r\n", true, "expected '$', got '\r'"},
		{"a count in place of an argument", "*3\r\n$3\r\nSET\r\n$1\r\nx\r\n*1\r\n", true, "expected '$', got '*'"},
		{"length that is no number", "*1\r\n$blabla\r\n", true, errBulk},
		{"negative length", "*1\r\n$-1\r\n", true, errBulk},
		{"redcon's end", "*1\r\n$9223372036854775807\r\n", false, errBulk},
		{"length above what is read past", "*1\r\n$536870913\r\n", true, errBulk},
		{"endless length", "*1\r\n$" + long, true, errBulkLength},
		{"length before AUTH", "*2\r\n$4\r\nAUTH\r\n$16385\r\n", false, errBulkAnonymous},
		{"argument longer than its length", "*1\r\n$4\r\nPINGS\r\n", true, errBulk},
		{"double quote left open", "SET k \"v\r\n", true, errQuotes},
		{"single quote left open", "SET k 'v\r\n", true, errQuotes},
		{"word behind a quote", "SET k \"v\"w\r\n", true, errQuotes},
		{"endless line", long, true, errInlineLength},
		{"long line", long + "\r\n", true, errInlineLength},
		{"zeros without end", strings.Repeat("\x00", 70_000), true, errInlineLength},
		{"HTTP", "POST / HTTP/1.1\r\n", true, errHTTP},
		{"HTTP header", "GET / HTTP/1.1\r\nHost: localhost\r\n", true, errHTTP},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := appendCommand(nil, "PING")
			for _, size := range []int{1, 1000, 1 << 20} {
				for _, in := range []string{test.in, string(before) + test.in} {
					d := drainReader(testReader(Limits{}, chop([]byte(in), size)...), test.trusted)
					if d.err != test.want {
						t.Fatalf("in pieces of %d: got %v, want %v", size, d.err, test.want)
					}
					if len(in) > len(test.in) && (len(d.calls) < 1 || d.calls[0][0] != "PING") {
						t.Fatalf("the command before the error was lost: %q", d.calls)
					}
				}
			}
		})
	}
}

func TestReaderTakesAnAuthOfTheSameWriteIntoAccount(t *testing.T) {
	in := appendCommand(nil, "AUTH", "token")
	in = appendCommand(in, "SET", "k", strings.Repeat("v", 100_000))
	r := testReader(Limits{}, in)
	calls, err := r.next(false)
	if err != nil || len(calls) != 1 || string(calls[0].Args[0]) != "AUTH" {
		t.Fatalf("got %d calls, %v, want AUTH alone", len(calls), err)
	}
	calls, err = r.next(true)
	if err != nil || len(calls) != 1 || len(calls[0].Args[2]) != 100_000 {
		t.Fatalf("got %d calls, %v, want SET", len(calls), err)
	}
}

func TestReaderReadsPastWhatIsTooLarge(t *testing.T) {
	limits := Limits{BulkBytes: 1000, CommandBytes: 3000}
	big := strings.Repeat("v", 200_000)
	medium := strings.Repeat("m", 900)
	in := appendCommand(nil, "SET", "a", "1")
	in = appendCommand(in, "SET", "k", big, "EX", "10")
	in = appendCommand(in, "SET", "b", "2")
	in = appendCommand(in, "MSET", medium, medium, medium, medium, "x")
	in = appendCommand(in, "SET", "c", "3")
	want := [][]string{{"SET", "a", "1"}, {"refused"}, {"SET", "b", "2"}, {"refused"}, {"SET", "c", "3"}}
	for _, size := range []int{1, 13, 4096, len(in)} {
		r := testReader(limits, chop(in, size)...)
		d := drainReader(r, true)
		if d.err != io.EOF || !slices.EqualFunc(d.calls, want, slices.Equal) {
			t.Fatalf("in pieces of %d: got %.80q, %v", size, d.calls, d.err)
		}
		if len(r.b.buf) > largeBytes {
			t.Fatalf("in pieces of %d: the buffer grew to %d", size, len(r.b.buf))
		}
	}
}

func TestReaderRefusesWhatExceedsTheBudget(t *testing.T) {
	large := strings.Repeat("v", 1<<20)
	in := appendCommand(appendCommand(nil, "SET", "a", large, "NX"), "PING")
	in = appendCommand(in, appendArgs(nil, "MSET", 40_000)...)
	in = appendCommand(in, "PING")
	for _, size := range []int{100, 4096, 1 << 16, len(in)} {
		r := testReader(Limits{BuffersBytes: 200_000}, chop(in, size)...)
		d := drainReader(r, true)
		want := [][]string{{"refused"}, {"PING"}, {"refused"}, {"PING"}}
		if d.err != io.EOF || !slices.EqualFunc(d.calls, want, slices.Equal) {
			t.Fatalf("in pieces of %d: got %.100q, %v", size, d.calls, d.err)
		}
		r.close()
		if held := r.buffers.Held(); held != 0 {
			t.Fatalf("in pieces of %d: %d bytes are not given back", size, held)
		}
	}
}

func appendArgs(args []string, name string, n int) []string {
	args = append(args, name)
	for i := range n {
		args = append(args, strconv.Itoa(i))
	}
	return args
}

func TestReaderSubmitsAPipelineWhole(t *testing.T) {
	var in []byte
	for range 16 {
		in = appendCommand(in, "SET", "key", strings.Repeat("v", 1024))
	}
	d := drainReader(testReader(Limits{}, in), true)
	if !slices.Equal(d.submissions, []int{16}) {
		t.Fatalf("submissions of %v, want one of 16", d.submissions)
	}
}

func TestReaderBoundsSubmissions(t *testing.T) {
	set := func(size int) []byte { return appendCommand(nil, "SET", "k", strings.Repeat("v", size)) }
	for _, test := range []struct {
		name   string
		limits Limits
		in     []byte
		want   []int
	}{
		{"by calls", Limits{}, bytes.Repeat(appendCommand(nil, "PING"), 2500), []int{1024, 1024, 452}},
		{"by calls, inline", Limits{}, bytes.Repeat([]byte("a\n"), 1025), []int{1024, 1}},
		{"by bytes", Limits{}, bytes.Repeat(set(300<<10), 5), []int{3, 2}},
		{"by bytes in a larger buffer", Limits{SubmissionBytes: 9000}, bytes.Repeat(set(2000), 12), []int{5, 5, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if d := drainReader(testReader(test.limits, test.in), true); !slices.Equal(d.submissions, test.want) {
				t.Fatalf("submissions of %v, want %v", d.submissions, test.want)
			}
		})
	}
}

func TestReaderMemoryFollowsWhatHasArrived(t *testing.T) {
	for _, in := range []string{
		"*1048576\r\n",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\n0123456789",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n0123456789",
	} {
		r := testReader(Limits{}, []byte(in))
		if _, err := r.next(true); err != io.EOF {
			t.Fatal(err)
		}
		if r.b != &r.small || len(r.b.buf) != smallBytes || cap(r.b.spans) != smallArgs {
			t.Fatalf("%q: %d bytes and %d spans held", in, len(r.b.buf), cap(r.b.spans))
		}
	}
	value := bytes.Repeat([]byte("v"), 10<<20)
	in := appendCommand(nil, []byte("SET"), []byte("k"), value)
	r := testReader(Limits{}, chop(in[:len(in)/8], 10_000)...)
	if _, err := r.next(true); err != io.EOF {
		t.Fatal(err)
	}
	if arrived := len(in) / 8; len(r.b.buf) > 4*arrived+largeBytes {
		t.Fatalf("%d bytes held for %d that arrived", len(r.b.buf), arrived)
	}
}

func TestReaderGivesLargeBuffersBack(t *testing.T) {
	in := appendCommand(nil, []byte("SET"), []byte("k"), bytes.Repeat([]byte("v"), 16<<20))
	r := testReader(Limits{}, append(chop(in, 100_000), appendCommand(nil, "PING"))...)
	calls, err := r.next(true)
	if err != nil || len(calls[0].Args[2]) != 16<<20 {
		t.Fatalf("got %v", err)
	}
	if len(r.b.buf) > len(in)+largeBytes {
		t.Fatalf("%d bytes for a command of %d", len(r.b.buf), len(in))
	}
	args := r.b.args
	if calls, err = r.next(true); err != nil || string(calls[0].Args[0]) != "PING" {
		t.Fatalf("got %v", err)
	}
	if args[2] != nil {
		t.Fatal("memory that has been given back still refers to the value")
	}
	if r.b != &r.small || len(r.b.buf) != smallBytes {
		t.Fatalf("%d bytes held after the value", len(r.b.buf))
	}
}

// An endless stream whose reads never end where a command ends must not grow the buffer.
func TestReaderBufferStaysOnAnUnalignedStream(t *testing.T) {
	command := appendCommand(nil, "SET", "key", strings.Repeat("v", 777))
	stream := bytes.Repeat(command, 5_000)
	for _, size := range []int{4096, 5000, 65_536, 1 << 20} {
		r := testReader(Limits{SubmissionBytes: 64 << 10}, chop(stream, size)...)
		calls, most := 0, 0
		for {
			got, err := r.next(true)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			calls += len(got)
			most = max(most, len(r.b.buf))
		}
		if calls != 5_000 || most > largeBytesMax {
			t.Fatalf("in pieces of %d: %d calls, buffer of %d bytes", size, calls, most)
		}
	}
}

func TestReaderEndsInTheMiddleOfACommand(t *testing.T) {
	in := appendCommand(appendCommand(nil, "PING"), "ECHO", "hello")
	for cut := 14; cut < len(in); cut++ {
		d := drainReader(testReader(Limits{}, in[:cut]), true)
		if d.err != io.EOF || len(d.calls) != 1 {
			t.Fatalf("cut at %d: got %q, %v", cut, d.calls, d.err)
		}
	}
}

func TestParseLength(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "-1": -1, "10": 10, "9223372036854775807": 1<<63 - 1, "-9223372036854775807": -1<<63 + 1,
	} {
		if n, ok := parseLength([]byte(in)); !ok || n != want {
			t.Errorf("%q: got %d, %v", in, n, ok)
		}
	}
	for _, in := range []string{
		"", "-", "00", "01", "-0", "+1", " 1", "1 ", "1e3", "9223372036854775808", "99999999999999999999",
	} {
		if n, ok := parseLength([]byte(in)); ok {
			t.Errorf("%q: got %d", in, n)
		}
	}
}
