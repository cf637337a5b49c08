package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// vigil calls nodes at a steady pace, whatever became of the calls before, and so knows how long there was no service.
type vigil struct {
	t       testing.TB
	clients []*redis.Client
	ended   chan struct{}
	working sync.WaitGroup

	mu    sync.Mutex
	calls []vigilCall // guarded by mu
}

type vigilCall struct {
	line             string
	called, returned time.Time
	err              error
}

const (
	vigilPace  = 20 * time.Millisecond
	vigilCalls = 200 // to one node at a time, at most
)

// outageMax bounds the time without service after a leader is lost: the election timeout is 500 ms and up to twice
// that, the lease that is waited out 300 ms.
const outageMax = 2*500*time.Millisecond + 12*300*time.Millisecond/10 + 400*time.Millisecond

// startVigil begins to call nodes. They must serve.
func startVigil(t testing.TB, nodes ...*node) *vigil {
	t.Helper()
	v := &vigil{t: t, ended: make(chan struct{})}
	for i, n := range nodes {
		c := n.redis(t, func(o *redis.Options) {
			o.PoolSize, o.ReadTimeout, o.PoolTimeout = vigilCalls, 10*time.Second, 10*time.Second
		})
		v.clients = append(v.clients, c)
		v.working.Go(func() { v.watch(c, n.host, i) })
	}
	return v
}

func (v *vigil) watch(c *redis.Client, host string, place int) {
	beat := time.NewTicker(vigilPace)
	defer beat.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	room := make(chan struct{}, vigilCalls)
	for i := 0; ; i++ {
		select {
		case <-v.ended:
			return
		case <-beat.C:
		}
		room <- struct{}{}
		calls.Go(func() {
			defer func() { <-room }()
			v.call(c, host, fmt.Sprintf("vigil:%d:%d", place, i/2), i%2 == 0)
		})
	}
}

// call writes a key, or reads one.
func (v *vigil) call(c *redis.Client, host, key string, write bool) {
	one := vigilCall{line: "GET " + key + " at " + host, called: time.Now()}
	if write {
		one.line = "SET " + key + " at " + host
		one.err = c.Set(context.Background(), key, "x", 0).Err()
	} else if one.err = c.Get(context.Background(), key).Err(); errors.Is(one.err, redis.Nil) {
		one.err = nil
	}
	one.returned = time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, one)
}

// back waits until a write is acknowledged that was called after a moment, and returns how long after.
func (v *vigil) back(since time.Time) (outage time.Duration) {
	v.t.Helper()
	eventually(v.t, 20*time.Second, "there is service again", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		outage = 0
		for _, c := range v.calls {
			late := c.returned.Sub(since)
			good := c.err == nil && strings.HasPrefix(c.line, "SET") && c.called.After(since)
			if good && (outage == 0 || late < outage) {
				outage = late
			}
		}
		return outage != 0
	})
	return outage
}

// end ends the vigil. It returns how many calls there were, how long the longest took, and those that failed.
func (v *vigil) end() (calls int, longest time.Duration, failed []string) {
	close(v.ended)
	v.working.Wait()
	for _, c := range v.calls {
		took := c.returned.Sub(c.called)
		longest = max(longest, took)
		if c.err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v, after %v", c.line, c.err, took))
		}
	}
	return len(v.calls), longest, failed
}
