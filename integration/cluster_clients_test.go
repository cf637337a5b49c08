package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// guest is a go-redis client of a fleet, as applications have one. It repeats what failed as it likes: all that it
// writes is the same when it is written twice.
type guest struct {
	t    testing.TB
	name string
	c    redis.UniversalClient
	// home asks where the client sends writes; nil: it has only one address.
	home func(context.Context) (*redis.Client, error)

	end     func() // no new calls
	working sync.WaitGroup

	mu      sync.Mutex
	acked   []string      // keys whose write was acknowledged; guarded by mu
	lastAck time.Time     // guarded by mu
	silence time.Duration // the longest time without an acknowledgement; guarded by mu
	failed  []error       // guarded by mu
}

const (
	guestPace    = 10 * time.Millisecond
	guestTimeout = 5 * time.Second
	// silenceMax is how long a client may find no leader: the time without service, its own timeouts and pauses
	// between attempts, and slow machines.
	silenceMax = 10 * time.Second
)

// newGuests makes clients of each kind. The plain one goes to one node and leaves it to that to find the leader.
func newGuests(t testing.TB, f *fleet, plain *node) []*guest {
	t.Helper()
	var addrs []string
	for _, n := range f.nodes {
		addrs = append(addrs, n.respAddr())
	}
	single := redis.NewClient(&redis.Options{Addr: plain.respAddr()})
	// When a leader is gone, a ClusterClient learns who leads at its next look at the slots, and not before.
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ClusterStateReloadInterval: time.Second})
	spread := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, ReadOnly: true, RouteRandomly: true, Protocol: 2, ClusterStateReloadInterval: time.Second,
	})
	sentinel := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "mymaster", SentinelAddrs: addrs})
	masterOf := func(c *redis.ClusterClient) func(context.Context) (*redis.Client, error) {
		return func(x context.Context) (*redis.Client, error) { return c.MasterForKey(x, "any") }
	}
	guests := []*guest{
		{name: "Client", c: single},
		{name: "ClusterClient", c: cluster, home: masterOf(cluster)},
		{name: "ClusterClient reading anywhere", c: spread, home: masterOf(spread)},
		{name: "FailoverClient", c: sentinel},
	}
	guests[3].home = func(context.Context) (*redis.Client, error) { return sentinel, nil }
	for _, g := range guests {
		ended := make(chan struct{})
		g.t, g.end, g.lastAck = t, sync.OnceFunc(func() { close(ended) }), time.Now()
		g.working.Go(func() { g.work(ended) })
		t.Cleanup(func() {
			g.end()
			g.working.Wait()
			_ = g.c.Close()
		})
	}
	return guests
}

// work writes and reads until the guest is to end.
func (g *guest) work(ended <-chan struct{}) {
	beat := time.NewTicker(guestPace)
	defer beat.Stop()
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		case <-beat.C:
		}
		x, cancel := context.WithTimeout(g.t.Context(), guestTimeout)
		g.note(g.write(x, i))
		g.read(x, i)
		cancel()
	}
}

// write writes one key, or some in a pipeline, or two in a transaction, and returns them.
func (g *guest) write(x context.Context, i int) (keys []string, err error) {
	key := func(part string) string { return fmt.Sprintf("{%s:%d}%s", g.name, i, part) }
	fill := func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Set(x, key, key, 0)
		}
		return nil
	}
	switch i % 4 {
	case 0:
		keys = []string{key("left"), key("right")}
		_, err = g.c.TxPipelined(x, fill)
	case 1:
		keys = []string{key("a"), fmt.Sprintf("b%d:%s", i, g.name), key("c")} // of two slots
		_, err = g.c.Pipelined(x, fill)
	default:
		keys = []string{key("")}
		err = g.c.Set(x, keys[0], keys[0], 0).Err()
	}
	return keys, err
}

// note keeps what became of a write.
func (g *guest) note(keys []string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.fail(err)
		return
	}
	now := time.Now()
	g.silence, g.lastAck = max(g.silence, now.Sub(g.lastAck)), now
	g.acked = append(g.acked, keys...)
}

// fail keeps an error, and tells whether a client of a cluster may meet it: connections break, and nodes say that they
// cannot tell or cannot do it now. The caller holds mu.
func (g *guest) fail(err error) {
	g.failed = append(g.failed, err)
	var refusal redis.Error
	if !errors.As(err, &refusal) {
		return
	}
	switch word, _, _ := strings.Cut(refusal.Error(), " "); word {
	case "TRYAGAIN", "UNCERTAIN", "LOADING", "CLUSTERDOWN":
	default:
		g.t.Errorf("%s: a sound call is answered by %q", g.name, refusal)
	}
}

// read reads one of the keys that were acknowledged lately.
func (g *guest) read(x context.Context, i int) {
	g.mu.Lock()
	if len(g.acked) == 0 {
		g.mu.Unlock()
		return
	}
	key := g.acked[len(g.acked)-1-i%min(len(g.acked), 10)]
	g.mu.Unlock()
	switch got, err := g.c.Get(x, key).Result(); {
	case errors.Is(err, redis.Nil) || err == nil && got != key:
		g.t.Errorf("%s: %s was acknowledged and is %q, %v", g.name, key, got, err)
	case err != nil:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.fail(err)
	}
}

// finds waits until the client sends its writes to a node.
func (g *guest) finds(n *node) {
	g.t.Helper()
	if g.home == nil {
		return
	}
	eventually(g.t, 15*time.Second, g.name+" goes to "+n.respAddr(), func() bool {
		x, cancel := context.WithTimeout(g.t.Context(), guestTimeout)
		defer cancel()
		c, err := g.home(x)
		if err != nil {
			return false
		}
		info, err := c.ClientInfo(x).Result()
		return err == nil && info.LAddr == n.respAddr()
	})
}

// await waits until a guest has so many more writes acknowledged.
func (g *guest) await(more int) {
	g.t.Helper()
	count := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.acked)
	}
	enough := count() + more
	eventually(g.t, 30*time.Second, g.name+" writes", func() bool { return count() >= enough })
}

// audit ends the guest, and looks for all that was acknowledged.
func (g *guest) audit(n *node) {
	g.t.Helper()
	g.end()
	g.working.Wait()
	c := n.redis(g.t)
	for at := 0; at < len(g.acked); at += 500 {
		keys := g.acked[at:min(at+500, len(g.acked))]
		values, err := c.MGet(g.t.Context(), keys...).Result()
		if err != nil {
			g.t.Fatal(err)
		}
		for i, key := range keys {
			if values[i] != key {
				g.t.Errorf("%s: %s was acknowledged and is %v", g.name, key, values[i])
			}
		}
	}
	g.t.Logf("%s: %d keys acknowledged, %d errors, at most %v without an acknowledgement",
		g.name, len(g.acked), len(g.failed), g.silence.Round(time.Millisecond))
	if g.silence > silenceMax {
		g.t.Errorf("%s was without an acknowledgement for %v; its errors: %v", g.name, g.silence, g.failed)
	}
}

// listener hears what a node tells those that listen as to a Sentinel.
type listener struct {
	t  testing.TB
	mu sync.Mutex
	// heard are the messages, each behind its channel; guarded by mu
	heard []string
}

// listen listens at a node, with the patterns of node-redis among others, until the test ends.
func listen(t testing.TB, n *node) *listener {
	t.Helper()
	l := &listener{t: t}
	channels := n.redis(t).PSubscribe(t.Context(), "[-+]sdown", "+switch-master", "+slave")
	if _, err := channels.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(func() {
		for m := range channels.Channel() {
			l.mu.Lock()
			l.heard = append(l.heard, m.Channel+" "+m.Payload)
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = channels.Close()
		listening.Wait()
	})
	return l
}

// hears waits for what is told when one node leads in place of another.
func (l *listener) hears(old, leader *node) {
	l.t.Helper()
	words := func(n *node) string { return strings.Replace(n.respAddr(), ":", " ", 1) }
	for _, message := range []string{
		fmt.Sprintf("+switch-master mymaster %s %s", words(old), words(leader)),
		fmt.Sprintf("+slave slave %s %s @ mymaster %s", old.respAddr(), words(old), words(leader)),
	} {
		eventually(l.t, 20*time.Second, "the message comes: "+message, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return slices.Contains(l.heard, message)
		})
	}
}

// TestFleetClients: the kinds of client that go-redis has go on while the leader is killed, comes back, and gives the
// leadership away. All find the new leader, and find there what was acknowledged before.
func TestFleetClients(t *testing.T) {
	f := startFleet(t, 3, false)
	lead := f.leader()
	stays := f.nodes[(lead+1)%3]
	guests, told := newGuests(t, f, stays), listen(t, stays)
	everyone := func(do func(*guest)) {
		t.Helper()
		for _, g := range guests {
			do(g)
		}
	}
	settled := func() {
		t.Helper()
		everyone(func(g *guest) { g.await(50) })
		next := f.leader()
		everyone(func(g *guest) { g.finds(f.nodes[next]) })
		everyone(func(g *guest) { g.await(50) })
	}
	settled()
	f.nodes[lead].kill()
	settled()
	before := f.leader()
	told.hears(f.nodes[lead], f.nodes[before])
	f.nodes[lead].restart()
	f.serves(startTimeout, f.nodes...)
	before = f.leader()
	host, port, _ := net.SplitHostPort(f.nodes[lead].respAddr())
	eventually(t, 20*time.Second, "FAILOVER is carried out", func() bool { // when the other one has caught up
		return f.nodes[before].redis(t).Do(t.Context(), "FAILOVER", "TO", host, port, "TIMEOUT", "5000").Err() == nil
	})
	if now := f.leader(); now != lead {
		t.Errorf("node %d was to lead, node %d does", lead, now)
	}
	told.hears(f.nodes[before], f.nodes[lead])
	settled()
	for i, g := range guests {
		g.audit(f.nodes[i%3])
	}
}
