package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// TestGoRedisPool lets more goroutines than connections work.
func TestGoRedisPool(t *testing.T) {
	n := startNode(t)
	c := n.redis(t, func(o *redis.Options) { o.PoolSize = 8 })
	var working sync.WaitGroup
	for worker := range 32 {
		working.Go(func() {
			for i := range 20 {
				key, value := fmt.Sprintf("pool:%d:%d", worker, i), fmt.Sprint(i)
				if err := c.Set(t.Context(), key, value, 0).Err(); err != nil {
					t.Error(err)
				}
				if got, err := c.Get(t.Context(), key).Result(); err != nil || got != value {
					t.Errorf("%s is %q, %v", key, got, err)
				}
			}
		})
	}
	working.Wait()
	if stats := c.PoolStats(); stats.TotalConns > 8 {
		t.Errorf("%d connections", stats.TotalConns)
	}
	if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 640 {
		t.Errorf("there are %d keys, %v", n, err)
	}
}

// TestGoRedisPipeline holds every answer of a long pipeline against its command, errors in the middle.
func TestGoRedisPipeline(t *testing.T) {
	n := startNode(t)
	for _, protocol := range []int{2, 3} {
		c := n.redis(t, func(o *redis.Options) { o.Protocol, o.DB = protocol, protocol })
		const size = 3000
		pipe := c.Pipeline()
		for i := range size {
			key := fmt.Sprintf("p:%d", i%100)
			switch i % 4 {
			case 0:
				pipe.Set(t.Context(), key, i, 0)
			case 1:
				pipe.Get(t.Context(), fmt.Sprintf("p:%d", (i-1)%100))
			case 2:
				pipe.Do(t.Context(), "LPOS", "no", "such", "command", "here")
			case 3:
				pipe.Incr(t.Context(), "count")
			}
		}
		answers, err := pipe.Exec(t.Context())
		if err == nil || !strings.Contains(err.Error(), "unknown command") {
			t.Fatalf("the pipeline's error is %v", err)
		}
		for i, a := range answers {
			var want string
			switch i % 4 {
			case 0:
				want = fmt.Sprintf("set p:%d %d: OK", i%100, i)
			case 1:
				want = fmt.Sprintf("get p:%d: %d", (i-1)%100, i-1)
			case 2:
				want = "LPOS no such command here: ERR unknown command 'LPOS', with args beginning with:"
			case 3:
				want = fmt.Sprintf("incr count: %d", i/4+1)
			}
			if got := a.String(); !strings.HasPrefix(got, want) {
				t.Fatalf("answer %d is %q, want %q", i, got, want)
			}
		}
	}
}

// TestGoRedisTxPipeline: a transaction is whole, and an error in it is that command's alone.
func TestGoRedisTxPipeline(t *testing.T) {
	c := startNode(t).redis(t)
	var failed *redis.IntCmd
	var after *redis.StringCmd
	_, err := c.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Set(t.Context(), "text", "no number", 0)
		failed = p.Incr(t.Context(), "text")
		p.Set(t.Context(), "text", "later", 0)
		after = p.Get(t.Context(), "text")
		return nil
	})
	const notInteger = "ERR value is not an integer or out of range"
	if err == nil || failed.Err() == nil || failed.Err().Error() != notInteger {
		t.Errorf("INCR of a text: %v, %v", err, failed.Err())
	}
	if got, err := after.Result(); err != nil || got != "later" {
		t.Errorf("GET in the transaction: %q, %v", got, err)
	}
	_, err = c.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Set(t.Context(), "text", "never", 0)
		p.Do(t.Context(), "NOSUCHCOMMAND")
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "EXECABORT") {
		t.Errorf("a transaction with an unknown command: %v", err)
	}
	if got := c.Get(t.Context(), "text").Val(); got != "later" {
		t.Errorf("a refused transaction has written %q", got)
	}
}

// TestGoRedisWatch increments by read, compute, write under WATCH. No update may be lost.
func TestGoRedisWatch(t *testing.T) {
	c := startNode(t).redis(t)
	const workers, rounds = 8, 15
	var working sync.WaitGroup
	var aborted sync.Map
	increment := func(tx *redis.Tx) error {
		value, err := tx.Get(t.Context(), "balance").Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		_, err = tx.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.Set(t.Context(), "balance", value+1, 0)
			p.Incr(t.Context(), "committed")
			return nil
		})
		return err
	}
	for worker := range workers {
		working.Go(func() {
			for round := range rounds {
				for try := 0; ; try++ {
					err := c.Watch(t.Context(), increment, "balance")
					if err == nil {
						break
					}
					if !errors.Is(err, redis.TxFailedErr) || try == 10_000 {
						t.Errorf("WATCH: %v", err)
						return
					}
					aborted.Store([2]int{worker, round}, true)
				}
			}
		})
	}
	working.Wait()
	got, err := c.MGet(t.Context(), "balance", "committed").Result()
	total := fmt.Sprint(workers * rounds)
	if want := []any{total, total}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("balance and commits are %v, want %v: %v", got, want, err)
	}
	contended := false
	aborted.Range(func(any, any) bool { contended = true; return false })
	if !contended {
		t.Error("no transaction was aborted: nothing was tested")
	}
}

// TestWatchSeesCreatedAndDeleted: a key that came and went again since WATCH has changed.
func TestWatchSeesCreatedAndDeleted(t *testing.T) {
	n := startNode(t)
	w, other := n.wire(t), n.wire(t)
	for _, change := range [][]string{{"SET k 1", "DEL k"}, {"SET k 1 PX 1", "GET k"}, {"FLUSHDB"}} {
		w.do(t, "DEL", "k")
		if change[0] == "FLUSHDB" {
			w.do(t, "SET", "k", "1")
		}
		w.do(t, "WATCH", "k")
		for _, line := range change {
			other.do(t, strings.Fields(line)...)
		}
		w.do(t, "MULTI")
		w.do(t, "SET", "k", "mine")
		if a := w.do(t, "EXEC"); !a.null {
			t.Errorf("%v: EXEC was not aborted: %q", change, a.raw)
		}
	}
}

// TestScanGuarantees walks with SCAN while keys come and go. Keys that are there all the time are met, keys
// that are never there are not.
func TestScanGuarantees(t *testing.T) {
	c := startNode(t).redis(t)
	const steady = 2000
	pipe := c.Pipeline()
	for i := range steady {
		pipe.Set(t.Context(), fmt.Sprintf("steady:%d", i), i, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	for worker := range 2 {
		changing.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				pipe := c.Pipeline()
				for j := range 100 {
					key := fmt.Sprintf("passing:%d:%d", worker, (100*i+j)%3000)
					if i%2 == 0 {
						pipe.Set(ctx, key, "x", 0)
					} else {
						pipe.Del(ctx, key)
					}
				}
				_, _ = pipe.Exec(ctx) // ends with the test
			}
		})
	}
	for _, count := range []int64{0, 7, 500} {
		met := map[string]bool{}
		walk := c.Scan(t.Context(), 0, "steady:*", count).Iterator()
		for walk.Next(t.Context()) {
			met[walk.Val()] = true
		}
		if err := walk.Err(); err != nil {
			t.Fatal(err)
		}
		for i := range steady {
			if key := fmt.Sprintf("steady:%d", i); !met[key] {
				t.Errorf("COUNT %d: %s was not met", count, key)
			}
		}
		if len(met) != steady {
			t.Errorf("COUNT %d: %d keys were met, want %d", count, len(met), steady)
		}
	}
	stop()
	changing.Wait()
}

// TestScanCursorSurvivesRestart goes on with a cursor after a restart.
func TestScanCursorSurvivesRestart(t *testing.T) {
	n := startNode(t)
	c := n.redis(t)
	const keys = 500
	for i := range keys {
		c.Set(t.Context(), fmt.Sprint("k", i), i, 0)
	}
	met := map[string]bool{}
	page, cursor, err := c.Scan(t.Context(), 0, "", 100).Result()
	for restarted := false; err == nil; {
		for _, key := range page {
			met[key] = true
		}
		if cursor == 0 {
			break
		}
		if !restarted {
			restarted = true
			n.stop()
			n.restart()
			c = n.redis(t)
		}
		page, cursor, err = c.Scan(t.Context(), cursor, "", 100).Result()
	}
	if err != nil || len(met) != keys {
		t.Errorf("%d keys of %d were met: %v", len(met), keys, err)
	}
}

// TestValueLimits: 16 MiB are taken and come back, one byte more is refused and the connection goes on.
func TestValueLimits(t *testing.T) {
	n := startNode(t)
	w := n.wire(t)
	largest := strings.Repeat("0123456789abcdef", 1<<20)
	if a := w.do(t, "SET", "large", largest); a.raw != "+OK\r\n" {
		t.Fatalf("16 MiB: %.100q", a.raw)
	}
	if a := w.do(t, "GET", "large"); a.text != largest {
		t.Errorf("%d bytes came back", len(a.text))
	}
	const tooLarge = "-ERR string exceeds maximum allowed size (16777216 bytes)\r\n"
	for _, args := range [][]string{
		{"SET", "large", largest + "x"},
		{"APPEND", "large", "x"},
		{"SETRANGE", "large", "16777216", "x"},
		{"MSET", "a", "1", "large", largest + strings.Repeat("x", 100<<10)},
		{"SET", "large", largest + largest},
	} {
		if a := w.do(t, args...); a.raw != tooLarge {
			t.Errorf("%s: %.100q", args[0], a.raw)
		}
		if a := w.do(t, "PING"); a.raw != "+PONG\r\n" {
			t.Errorf("%s: after it PING is answered by %.100q", args[0], a.raw)
		}
	}
	if a := w.do(t, "STRLEN", "large"); a.int() != 16<<20 {
		t.Errorf("the value has now %d bytes", a.int())
	}
	if a := w.do(t, "EXISTS", "a"); a.int() != 0 {
		t.Error("half of the refused MSET was applied")
	}
	a := w.do(t, "SET", strings.Repeat("k", 1025), "v")
	if !strings.HasPrefix(a.raw, "-ERR key is too long") {
		t.Errorf("a key of 1025 bytes: %q", a.raw)
	}
}

// TestPTTLRunsDown: what a client sees of a deadline falls, and the key is gone when it is reached.
func TestPTTLRunsDown(t *testing.T) {
	c := startNode(t).redis(t)
	c.Set(t.Context(), "short", "v", 300*time.Millisecond)
	last := 300 * time.Millisecond
	eventually(t, 10*time.Second, "the key has expired", func() bool {
		left := c.PTTL(t.Context(), "short").Val()
		value, err := c.Get(t.Context(), "short").Result()
		if left > last {
			t.Errorf("PTTL grew from %v to %v", last, left)
		}
		last = left
		if err == nil && value != "v" {
			t.Errorf("the value is %q", value)
		}
		return errors.Is(err, redis.Nil)
	})
	if n := c.Exists(t.Context(), "short").Val(); n != 0 {
		t.Error("an expired key exists")
	}
	eventually(t, 10*time.Second, "the key is reaped", func() bool {
		return c.DBSize(t.Context()).Val() == 0
	})
}
