package command

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primatomic/primatomic/engine"
)

// fill stores keys that take long to hold against a pattern, straight into the engine.
func fill(t testing.TB, state *engine.State, credential string, keys int) {
	t.Helper()
	b := state.Begin(1, 1)
	defer b.End()
	tx, err := b.Tx(credential, engine.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		tx.Set(fmt.Appendf(nil, "%s%05d", strings.Repeat("a", 1000), i), nil, 0)
	}
	tx.Commit()
}

// dear is a pattern of which each key costs the most.
var dear = "*" + strings.Repeat("[ab]", 1000) + "b*"

// TestWritersGetThroughLongReads counts the batches that are applied while one read goes on. If the lock is
// held to the end there are none, but perhaps one that had let go of the lock already and was not yet counted.
func TestWritersGetThroughLongReads(t *testing.T) {
	for _, args := range [][][]byte{
		line("KEYS", dear), line("LISTKEYS", "a"), line("SCAN", "0", "COUNT", "10000", "MATCH", dear),
	} {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s held=%v", args[0], held), func(t *testing.T) {
				l := newLocal()
				fill(t, l.state, tenant, 1000)
				c := &Call{Args: args, Credential: tenant}
				if err := l.registry.Prepare(c); err != nil {
					t.Fatal(err)
				}
				read := func(v *engine.View) {
					if steps := math.MaxInt; held {
						c.Steps = &steps
						v.Hold()
					}
					l.reply.Reset()
					c.Spec.Read(v, c, l.reply)
				}
				got := batchesDuring(l, read)
				for tries := 1; !held && got < 5 && tries < 100; tries++ { // the writer may get no processor
					got += batchesDuring(l, read)
				}
				if held && got > 1 || !held && got < 5 || l.reply.Code() != OK {
					t.Errorf("%d batches, answer %.80q", got, l.reply.Bytes())
				}
			})
		}
	}
}

// batchesDuring writes all the time and returns how many batches came through while fn read.
func batchesDuring(l *local, fn func(v *engine.View)) int64 {
	var batches atomic.Int64
	var stop atomic.Bool
	var writer sync.WaitGroup
	started := make(chan struct{})
	writer.Go(func() {
		for !stop.Load() {
			b := l.state.Begin(1, 1)
			tx, err := b.Tx(tenant, engine.Ref{})
			if err != nil {
				panic(err)
			}
			tx.Set([]byte("written"), fmt.Append(nil, batches.Load()), 0)
			tx.Commit()
			b.End()
			if batches.Add(1) == 1 {
				close(started)
			}
		}
	})
	<-started
	var during int64
	_, err := l.state.Read(tenant, engine.Ref{}, 0, func(v *engine.View) {
		before := batches.Load()
		fn(v)
		during = batches.Load() - before
	})
	stop.Store(true)
	writer.Wait()
	if err != nil {
		panic(err)
	}
	return during
}

// TestWalksOverManyChunks: in parts or at one instant, all keys are answered, and none twice.
func TestWalksOverManyChunks(t *testing.T) {
	for _, count := range []int{0, 1, chunkKeys - 1, chunkKeys, chunkKeys + 1, 1000} {
		host := newFakeHost(testTokens())
		s := host.connect()
		host.send(s, "AUTH", "alice")
		var want []string
		for i := range count {
			want = append(want, fmt.Sprintf("k%04d", i))
			host.send(s, "SET", want[i], "")
			host.send(s, "SET", "k-expired"+want[i], "", "PX", "5")
		}
		host.now = host.now.Add(time.Second)
		host.send(s, "DEL", "nothing") // brings the log to that time
		for _, text := range []string{
			"KEYS k*", "KEYS *[0-9]", "LISTKEYS k", "SCAN 0 COUNT 10000 MATCH k*", "SCAN 0 COUNT 10000",
		} {
			for _, way := range []string{"alone", "read", "write"} {
				got := host.inTransaction(s, way, strings.Fields(text)...)
				v, rest, err := ParseValue(got)
				if err != nil || len(rest) > 0 {
					t.Fatalf("%s: %.80q", text, got)
				}
				if strings.HasPrefix(text, "SCAN") {
					v = v.Elems[1]
				}
				var keys []string
				for i := range v.Elems {
					keys = append(keys, string(v.Elems[i].Bytes))
				}
				if strings.HasPrefix(text, "SCAN") {
					slices.Sort(keys)
				}
				if !slices.Equal(keys, want) {
					t.Errorf("%s %s over %d keys: %d keys", text, way, count, len(keys))
				}
			}
		}
	}
}

// inTransaction sends a call alone, in a transaction of reads or in one that writes, and returns its answer.
func (h *fakeHost) inTransaction(s *Session, way string, args ...string) []byte {
	if way == "alone" {
		return []byte(h.send(s, args...))
	}
	h.send(s, "MULTI")
	h.send(s, args...)
	n := 1
	if way == "write" {
		h.send(s, "DEL", "nothing")
		n++
	}
	answer, _ := strings.CutPrefix(h.send(s, "EXEC"), fmt.Sprintf("*%d\r\n", n))
	if way == "write" {
		answer, _ = strings.CutSuffix(answer, ":0\r\n")
	}
	return []byte(answer)
}

// TestTransactionSteps: what is too much under one hold of the lock is refused, whoever of the transaction
// asks for it, and the rest is carried out.
func TestTransactionSteps(t *testing.T) {
	host := newFakeHost(testTokens())
	s := host.connect()
	host.send(s, "AUTH", "alice")
	fill(t, host.state, "alice", 1100)
	refused := "-" + errLongWalk.Error() + "\r\n"
	for _, way := range []string{"read", "write"} {
		for _, args := range [][]string{{"KEYS", dear}, {"SCAN", "0", "COUNT", "10000", "MATCH", dear}} {
			if got := host.inTransaction(s, way, args...); string(got) != refused {
				t.Errorf("%s in a transaction that is a %s: %.80q", args[0], way, got)
			}
			if got := host.inTransaction(s, "alone", args...); got[0] != '*' {
				t.Errorf("%s alone: %.80q", args[0], got)
			}
		}
		if got := host.inTransaction(s, way, "KEYS", "b*"); string(got) != "*0\r\n" {
			t.Errorf("a look that costs little: %.80q", got)
		}
	}
	host.send(s, "MULTI")
	const lists = 30
	for range lists {
		host.send(s, "LISTKEYS", "")
	}
	host.send(s, "SET", "done", "1")
	host.send(s, "KEYS", "done")
	answer := host.send(s, "EXEC")
	if n := strings.Count(answer, refused); n == 0 || n == lists {
		t.Errorf("%d of %d lists were refused", n, lists)
	}
	if !strings.HasSuffix(answer, refused+"+OK\r\n*1\r\n$4\r\ndone\r\n") {
		t.Errorf("the rest was not carried out: %.80q", answer[len(answer)-80:])
	}
}

// TestTransactionPatterns: making patterns ready counts too, where there is no key at all.
func TestTransactionPatterns(t *testing.T) {
	host := newFakeHost(testTokens())
	s := host.connect()
	host.send(s, "AUTH", "alice")
	refused := "-" + errLongWalk.Error() + "\r\n"
	for _, args := range [][]string{
		{"KEYS", strings.Repeat("?", 1024)}, {"SCAN", "0", "MATCH", strings.Repeat("?", 1024)},
	} {
		host.send(s, "MULTI")
		const calls = 40
		for range calls {
			host.send(s, args...)
		}
		answer := host.send(s, "EXEC")
		if n := strings.Count(answer, refused); n < calls/2 || n == calls {
			t.Errorf("%d of %d %s were refused", n, calls, args[0])
		}
	}
}

// BenchmarkKeys walks 100 000 keys as people have them.
func BenchmarkKeys(b *testing.B) {
	l := newLocal()
	for i := range 100_000 {
		l.do(line("SET", fmt.Sprintf("user:%d:name", i), "")...)
	}
	for _, text := range []string{"KEYS *", "KEYS user:9999*", "LISTKEYS user:99999", "SCAN 0 MATCH *:name"} {
		b.Run(text, func(b *testing.B) {
			args := line(strings.Fields(text)...)
			b.ReportAllocs()
			for b.Loop() {
				l.do(args...)
			}
		})
	}
}

// BenchmarkKeysDear walks keys with a pattern of which each costs the most.
func BenchmarkKeysDear(b *testing.B) {
	l := newLocal()
	fill(b, l.state, tenant, 20_000)
	for name, pattern := range dearPatterns() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l.do([]byte("KEYS"), pattern)
			}
		})
	}
}

// TestMGetTakesMemoryOnce, and none for an answer that is refused.
func TestMGetTakesMemoryOnce(t *testing.T) {
	defer func(max int) { answerBytesMax = max }(answerBytesMax)
	answerBytesMax = 8 << 20
	l := newLocal()
	l.do(line("SET", "k", "")...)
	l.do([]byte("SET"), []byte("v"), bytes.Repeat([]byte("v"), 1<<20))
	for _, test := range []struct {
		keys int
		code Code
	}{{7, OK}, {8, TooLarge}, {100_000, TooLarge}} {
		l.reply = NewReply(2, nil)
		args := append(line("MGET"), slices.Repeat(line("v"), test.keys)...)
		answer := l.do(args...)
		if limit := len(answer)*5/4 + 100; l.reply.Code() != test.code || cap(answer) > limit {
			t.Errorf("MGET of %d MiB: %.30q, %d bytes, room for %d", test.keys, answer, len(answer), cap(answer))
		}
	}
}
