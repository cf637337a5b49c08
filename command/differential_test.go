package command

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/engine"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the random commands given to Redis and here; 0: by the clock")
	countFlag = flag.Int("commands", 4000, "number of random commands given to Redis and here")
)

// TestSameAsRedis gives random commands on strings, keys and deadlines to a real Redis and to the rows
// here and compares the answers byte by byte. Keys expire far away or at once, so that the two clocks
// need not agree; what depends on them is compared with tolerance.
func TestSameAsRedis(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH to compare with")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed=%d", seed)
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			redis := startRedis(t, binary)
			here := newLocal()
			here.reply.SetProto(proto)
			redis.do(t, line("HELLO", strconv.Itoa(proto)))
			g := &generator{rand.New(rand.NewPCG(seed, uint64(proto)))}
			for range *countFlag {
				args := g.line()
				here.now = time.Now().UnixMilli()
				if strings.EqualFold(string(args[0]), "select") {
					n, _ := strconv.Atoi(string(args[1]))
					here.ref = engine.Ref{Number: int16(n)}
					redis.do(t, args)
					continue
				}
				want := comparable(args, redis.do(t, args))
				got := comparable(args, here.do(args...))
				if !sameAnswer(args, want, got) {
					t.Errorf("%q\nRedis: %q\nhere:  %q", args, want, got)
				}
			}
		})
	}
}

// comparable puts an answer whose order means nothing into order, and takes away what is random.
func comparable(args [][]byte, answer []byte) []byte {
	switch strings.ToLower(string(args[0])) {
	case "keys", "scan":
		parts := bytes.SplitAfter(answer, []byte("\r\n$"))
		slices.SortFunc(parts, bytes.Compare)
		return bytes.ReplaceAll(bytes.Join(parts, nil), []byte("\r\n$"), []byte("\r\n"))
	case "randomkey":
		return []byte(strconv.FormatBool(len(answer) > 5)) // a key, or null in either protocol
	}
	return slices.Clone(answer)
}

// sameAnswer compares two answers. Times may differ by a little; and of a line that is wrong in two ways
// the grammar here finds the stray word first, where SCAN and COPY of Redis go from left to right.
func sameAnswer(args [][]byte, want, got []byte) bool {
	if bytes.Equal(want, got) {
		return true
	}
	name := strings.ToLower(string(args[0]))
	if (name == "scan" || name == "copy") && want[0] == '-' && string(got) == "-ERR syntax error\r\n" {
		return true
	}
	tolerance := map[string]int64{"ttl": 1, "pttl": 1000, "expiretime": 1, "pexpiretime": 1000}
	within, timed := tolerance[name]
	a, _, errA := ParseValue(want)
	b, _, errB := ParseValue(got)
	if !timed || errA != nil || errB != nil || a.Kind != KindInt || b.Kind != KindInt {
		return false
	}
	return a.Int > 0 && b.Int > 0 && a.Int-b.Int <= within && b.Int-a.Int <= within
}

func TestSameAnswerTellsApart(t *testing.T) {
	for _, test := range []struct {
		line, want, got string
		same            bool
	}{
		{"get a", "$1\r\nx\r\n", "$1\r\nx\r\n", true},
		{"get a", "$1\r\nx\r\n", "$1\r\ny\r\n", false},
		{"get a", "$-1\r\n", "_\r\n", false},
		{"incr a", ":1\r\n", ":2\r\n", false},
		{"ttl a", ":100\r\n", ":101\r\n", true},
		{"ttl a", ":100\r\n", ":102\r\n", false},
		{"ttl a", ":-1\r\n", ":-2\r\n", false},
		{"scan 0 count x y", "-ERR value is not an integer or out of range\r\n", "-ERR syntax error\r\n", true},
		{"scan 0 count x", "-ERR syntax error\r\n", "-ERR value is not an integer or out of range\r\n", false},
		{"keys *", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\na\r\n", true},
		{"keys *", "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n", false},
	} {
		args := line(strings.Fields(test.line)...)
		same := sameAnswer(args, comparable(args, []byte(test.want)), comparable(args, []byte(test.got)))
		if same != test.same {
			t.Errorf("%s: %q and %q: same is %v", test.line, test.want, test.got, same)
		}
	}
}

// generator makes command lines, most of which make sense.
type generator struct{ *rand.Rand }

func (g *generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g *generator) key() string { return g.pick("a", "b", "c", "d", "e", "user:1", "user:2", "[x]") }

func (g *generator) integer() string {
	return g.pick("0", "1", "-1", "2", "5", "10", "-3", "100", "-100", "9223372036854775807",
		"-9223372036854775808", "9223372036854775806", "01", "+1", " 1", "x", "1.5", "",
		"9223372036854775808", strconv.FormatInt(g.Int64(), 10), strconv.Itoa(g.IntN(40)-20))
}

func (g *generator) float() string {
	return g.pick("0.1", "0.2", "-0.1", "1e3", "3.0e-3", "1e17", "1e-17", "5e-18", "1.1", "123.456",
		"inf", "-inf", "nan", "0x1p4", "1e4932", "1e-4951", "x", "", "1_0",
		"1e25", "-1e25", "0.3333333333333333333333", "1e", ".5",
		strconv.FormatFloat(g.NormFloat64()*1e6, 'g', -1, 64), g.integer())
}

func (g *generator) value() string {
	switch g.IntN(4) {
	case 0:
		return g.integer()
	case 1:
		return g.float()
	}
	return g.pick("hello world", "", "\x00\xff\r\n", "v", strings.Repeat("long", 30))
}

// duration is far away, in the past, or wrong. No two are the same, so that comparisons of deadlines do
// not hang on a millisecond.
func (g *generator) duration() string {
	if g.IntN(6) == 0 {
		return g.pick("0", "-1", "x", "", "1.5", "9223372036854775807", "-9223372036854775808",
			"9223372036854775", "9223372036854774", "-9223372036854776")
	}
	return strconv.Itoa(1_000_000 + g.IntN(1_000_000_000))
}

// instant is a Unix time far away, in seconds or milliseconds, in the past, or wrong.
func (g *generator) instant(unit int64) string {
	if g.IntN(3) == 0 {
		return g.duration()
	}
	return strconv.FormatInt((4_000_000_000+g.Int64N(1_000_000_000))*unit, 10)
}

// some repeats what make makes, one to three times.
func (g *generator) some(make func() string) []string {
	words := []string{make()}
	for g.IntN(3) > 0 && len(words) < 4 {
		words = append(words, make())
	}
	return words
}

// options chooses among groups of words, sometimes from two that exclude each other.
func (g *generator) options(groups ...[]string) []string {
	var words []string
	for _, group := range groups {
		if g.IntN(4) == 0 {
			words = append(words, group...)
		}
	}
	if g.IntN(30) == 0 {
		words = append(words, g.pick("foo", "EX", "NX", "GET", ""))
	}
	return words
}

func (g *generator) expiry() []string {
	switch g.IntN(4) {
	case 0:
		return []string{g.pick("EX", "ex"), g.duration()}
	case 1:
		return []string{"PX", g.duration()}
	case 2:
		return []string{"EXAT", g.instant(1)}
	}
	return []string{"PXAT", g.instant(1000)}
}

// line makes one command line.
func (g *generator) line() [][]byte {
	families := []func() []string{
		g.stringLine, g.stringLine, g.rangeLine, g.counterLine, g.keyLine, g.expiryLine, g.wideLine,
	}
	words := families[g.IntN(len(families))]()
	if g.IntN(40) == 0 { // a wrong number of arguments
		if g.IntN(2) == 0 {
			words = words[:len(words)-1]
		} else {
			words = append(words, "extra")
		}
	}
	if len(words) == 0 || words[0] == "SELECT" && len(words) != 2 {
		words = []string{"RANDOMKEY"}
	}
	return line(words...)
}

func (g *generator) stringLine() []string {
	key, value := g.key(), g.value()
	switch g.IntN(10) {
	case 0, 1:
		return []string{"GET", key}
	case 2, 3, 4:
		return append([]string{"set", key, value},
			g.options([]string{"NX"}, []string{"xx"}, []string{"GET"}, g.expiry(), []string{"KEEPTTL"})...)
	case 5:
		return []string{"SETNX", key, value}
	case 6:
		return []string{g.pick("SETEX", "PSETEX"), key, g.duration(), value}
	case 7:
		return []string{"GETSET", key, value}
	case 8:
		return []string{"GETDEL", key}
	}
	return append([]string{"GETEX", key}, g.options(g.expiry(), []string{"PERSIST"})...)
}

func (g *generator) rangeLine() []string {
	key := g.key()
	switch g.IntN(4) {
	case 0:
		return []string{"APPEND", key, g.value()}
	case 1:
		return []string{"STRLEN", key}
	case 2:
		return []string{"SETRANGE", key, g.pick("0", "1", "5", "12", "100", "-1", "x", ""), g.value()}
	}
	return []string{g.pick("GETRANGE", "SUBSTR"), key, g.integer(), g.integer()}
}

func (g *generator) counterLine() []string {
	key := g.key()
	switch g.IntN(5) {
	case 0:
		return []string{g.pick("INCR", "DECR"), key}
	case 1:
		return []string{g.pick("INCRBY", "DECRBY"), key, g.integer()}
	case 2:
		return []string{"SET", key, g.pick(g.integer(), g.float())}
	}
	return []string{"INCRBYFLOAT", key, g.float()}
}

func (g *generator) keyLine() []string {
	switch g.IntN(8) {
	case 0:
		return append([]string{g.pick("DEL", "UNLINK")}, g.some(g.key)...)
	case 1:
		return append([]string{g.pick("EXISTS", "TOUCH")}, g.some(g.key)...)
	case 2:
		return []string{"TYPE", g.key()}
	case 3:
		return []string{g.pick("RENAME", "RENAMENX"), g.key(), g.key()}
	case 4:
		db := []string{"DB", g.pick("0", "1", "2", "16", "-1", "x", "4294967296")}
		return append([]string{"COPY", g.key(), g.key()}, g.options(db, []string{"REPLACE"})...)
	case 5:
		return []string{"KEYS", g.pick("*", "user:*", "[a-c]", "?", "\\[x\\]", "[^a]", "*[1]", "a", "user:[",
			"*:*")}
	case 6:
		return append([]string{"SCAN", "0", "COUNT", g.pick("1000", "1000", "0", "x", "-1")},
			g.options([]string{"MATCH", g.pick("*", "user:*", "[a-c]")},
				[]string{"TYPE", g.pick("string", "hash", "no")})...)
	}
	return []string{"RANDOMKEY"} // DBSIZE of Redis counts keys that were set with a deadline in the past
}

func (g *generator) expiryLine() []string {
	key := g.key()
	conditions := func() []string {
		return g.options([]string{"NX"}, []string{"XX"}, []string{"gt"}, []string{"LT"})
	}
	switch g.IntN(5) {
	case 0:
		return append([]string{g.pick("EXPIRE", "PEXPIRE"), key, g.duration()}, conditions()...)
	case 1:
		return append([]string{"EXPIREAT", key, g.instant(1)}, conditions()...)
	case 2:
		return append([]string{"PEXPIREAT", key, g.instant(1000)}, conditions()...)
	case 3:
		return []string{g.pick("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), key}
	}
	return []string{"PERSIST", key}
}

func (g *generator) wideLine() []string {
	pairs := func() []string {
		var words []string
		for range g.some(g.key) {
			words = append(words, g.key(), g.value())
		}
		return words
	}
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		return append([]string{"MGET"}, g.some(g.key)...)
	case 4, 5, 6, 7:
		return append([]string{"MSET"}, pairs()...)
	case 8, 9, 10:
		return append([]string{"MSETNX"}, pairs()...)
	case 11:
		return append([]string{g.pick("FLUSHDB", "FLUSHALL")}, g.options([]string{"ASYNC"}, []string{"sync"})...)
	case 12:
		return []string{g.pick("nosuch", "GETT"), g.value(), g.value()}
	}
	return []string{"SELECT", g.pick("0", "1")}
}

// redisServer is a Redis of the test's own, on a socket in its directory.
type redisServer struct {
	conn net.Conn
	r    *bufio.Reader
}

func startRedis(t *testing.T, binary string) *redisServer {
	dir := t.TempDir()
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.Command(binary, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "",
		"--appendonly", "no", "--loglevel", "notice", "--logfile", "")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	log := bufio.NewScanner(out)
	for log.Scan() && !strings.Contains(log.Text(), "ready to accept connections at") {
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &redisServer{conn: conn, r: bufio.NewReader(conn)}
}

// do sends a command line and returns the answer.
func (s *redisServer) do(t *testing.T, args [][]byte) []byte {
	t.Helper()
	request := NewReply(2, nil)
	request.Array(len(args))
	for _, arg := range args {
		request.Bulk(arg)
	}
	if err := s.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Write(request.Bytes()); err != nil {
		t.Fatal(err)
	}
	answer, err := s.read(nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// read appends one answer to dst.
func (s *redisServer) read(dst []byte) ([]byte, error) {
	head, err := s.r.ReadBytes('\n')
	dst = append(dst, head...)
	if err != nil || !strings.ContainsRune("$*%~>", rune(head[0])) {
		return dst, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(head[1:])))
	if err != nil || n < 0 {
		return dst, err
	}
	if head[0] == '$' {
		body := make([]byte, n+2)
		_, err = io.ReadFull(s.r, body)
		return append(dst, body...), err
	}
	if head[0] == '%' {
		n *= 2
	}
	for range n {
		if dst, err = s.read(dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
