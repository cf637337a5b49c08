package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// load writes to a node on many connections of both doors until they break, and enters everything in a
// ledger.
type load struct {
	t       testing.TB
	n       *node
	ledger  *ledger
	round   int
	acked   atomic.Int64  // calls acknowledged in this round
	ended   chan struct{} // no new calls
	working sync.WaitGroup
}

// startLoad starts a round of load.
func startLoad(t testing.TB, n *node, l *ledger, round int) *load {
	t.Helper()
	l.begin()
	g := &load{t: t, n: n, ledger: l, round: round, ended: make(chan struct{})}
	for i := range 2 {
		g.goRESP(fmt.Sprint("set", i), g.set)
		g.goRESP(fmt.Sprint("pipeline", i), g.pipeline)
		g.goRESP(fmt.Sprint("mset", i), g.mset)
		g.goRESP(fmt.Sprint("multi", i), g.multi)
		g.goRESP(fmt.Sprint("incr", i), g.incr)
		g.goRPC(fmt.Sprint("put", i), g.rpcPut)
		g.goRPC(fmt.Sprint("cas", i), g.rpcCAS)
	}
	g.goRESP("del", g.del)
	g.goRESP("large", g.large)
	return g
}

// stop lets the load end with the calls that are on their way.
func (g *load) stop() {
	close(g.ended)
	g.working.Wait()
}

// await waits until so many writes are acknowledged.
func (g *load) await(enough int64) {
	g.t.Helper()
	eventually(g.t, time.Minute, "enough writes are acknowledged", func() bool {
		return g.acked.Load() >= enough
	})
}

// wait waits until the load has ended because the node has.
func (g *load) wait() { g.working.Wait() }

// on reports whether there are to be more calls.
func (g *load) on() bool {
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

// name is a key that nobody else writes.
func (g *load) name(worker string, i int) string { return fmt.Sprintf("%d:%s:%d", g.round, worker, i) }

func (g *load) goRESP(worker string, write func(w *wire, worker string, i int) bool) {
	w, err := connect(g.n.respAddr())
	if err != nil {
		g.t.Fatal(err)
	}
	g.working.Go(func() {
		defer w.Close()
		for i := 0; g.on() && write(w, worker, i); i++ {
		}
	})
}

func (g *load) goRPC(
	worker string, write func(ctx context.Context, kv primatomicv1.KeyValueClient, worker string, i int) bool,
) {
	kv := g.n.keyValue(g.t, "")
	g.working.Go(func() {
		for i := 0; g.on() && write(context.Background(), kv, worker, i); i++ {
		}
	})
}

// judge tells what an answer means.
func (g *load) judge(a answer, err error) fate {
	f := judgeRESP(g.t)(a, err)
	if f == applied {
		g.acked.Add(1)
	}
	return f
}

// judgeRESP returns what tells the meaning of an answer. Errors that a sound call never gets fail the test.
func judgeRESP(t testing.TB) func(answer, error) fate {
	return func(a answer, err error) fate {
		switch {
		case err != nil:
			return unknown
		case a.kind != '-':
			return applied
		case a.prefix() == "TRYAGAIN" || a.prefix() == "LOADING":
			return refused
		case a.prefix() == "UNCERTAIN":
			return unknown
		}
		t.Errorf("a sound call is answered by %q", a.raw)
		return unknown
	}
}

// judgeRPC tells what the end of a gRPC call means, and whether the connection is there still.
func (g *load) judgeRPC(err error) (f fate, connected bool) {
	f, gone := judgeRPC(g.t, err)
	if err == nil {
		g.acked.Add(1)
	}
	return f, gone == nil
}

// judgeRPC tells what the end of a gRPC call means. gone is why its connection is of no more use, nil if it is.
func judgeRPC(t testing.TB, err error) (f fate, gone error) {
	switch s := status.Convert(err); {
	case err == nil:
		return applied, nil
	case reasonOf(err) == "NOT_APPLIED":
		return refused, nil
	case s.Code() == codes.DeadlineExceeded:
		return unknown, nil
	case s.Code() != codes.Unavailable:
		t.Errorf("a sound call is answered by %v", err)
	}
	return unknown, err
}

// reasonOf is the reason in an error's ErrorInfo, if it has one of ours.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "primatomic" {
			return info.GetReason()
		}
	}
	return ""
}

func (g *load) set(w *wire, worker string, i int) bool {
	c := &claim{keys: []string{g.name(worker, i)}, size: 20 + i%200}
	a, err := w.call("SET", c.keys[0], contents(c.keys[0], c.size))
	c.fate = g.judge(a, err)
	g.ledger.enter(c)
	return err == nil
}

// large writes values of which some are a log entry of their own.
func (g *load) large(w *wire, worker string, i int) bool {
	c := &claim{keys: []string{g.name(worker, i)}, size: 4 << 10}
	if i%8 == 0 {
		c.size = 300 << 10
	}
	a, err := w.call("SET", c.keys[0], contents(c.keys[0], c.size))
	c.fate = g.judge(a, err)
	g.ledger.enter(c)
	return err == nil
}

// pipeline sends writes of which each stands for itself.
func (g *load) pipeline(w *wire, worker string, i int) bool {
	const depth = 32
	var frames strings.Builder
	claims := make([]*claim, depth)
	for j := range claims {
		key := g.name(worker, i*depth+j)
		claims[j] = &claim{keys: []string{key}, size: 100}
		frames.WriteString(frame("SET", key, contents(key, 100)))
	}
	err := w.put(frames.String())
	for _, c := range claims {
		var a answer
		if err == nil {
			a, err = w.get()
		}
		c.fate = g.judge(a, err)
		g.ledger.enter(c)
	}
	return err == nil
}

// mset writes four keys in one command.
func (g *load) mset(w *wire, worker string, i int) bool {
	c := &claim{size: 50}
	args := []string{"MSET"}
	for j := range 4 {
		key := g.name(worker, 4*i+j)
		c.keys = append(c.keys, key)
		args = append(args, key, contents(key, c.size))
	}
	a, err := w.call(args...)
	c.fate = g.judge(a, err)
	g.ledger.enter(c)
	return err == nil
}

// multi writes two keys and increments a counter in one transaction.
func (g *load) multi(w *wire, worker string, i int) bool {
	c := &claim{size: 50, keys: []string{g.name(worker, 2*i), g.name(worker, 2*i+1)}}
	err := w.put(frame("MULTI") +
		frame("SET", c.keys[0], contents(c.keys[0], c.size)) +
		frame("INCR", "count:multi") +
		frame("SET", c.keys[1], contents(c.keys[1], c.size)) +
		frame("EXEC"))
	var a answer
	for range 5 {
		if err == nil {
			a, err = w.get()
		}
	}
	c.fate = g.judge(a, err)
	value := int64(0)
	if c.fate == applied {
		value = a.elems[1].int()
	}
	g.ledger.enter(c)
	g.ledger.increment(g.t, "count:multi", c.fate, value)
	return err == nil
}

// incr increments counters of all rounds.
func (g *load) incr(w *wire, _ string, i int) bool {
	name := fmt.Sprint("count:", i%3)
	a, err := w.call("INCR", name)
	f := g.judge(a, err)
	value := int64(0)
	if f == applied {
		value = a.int()
	}
	g.ledger.increment(g.t, name, f, value)
	return err == nil
}

// del writes keys and deletes them.
func (g *load) del(w *wire, worker string, i int) bool {
	c := &claim{keys: []string{g.name(worker, 2*i), g.name(worker, 2*i+1)}, size: 30}
	a, err := w.call("MSET", c.keys[0], contents(c.keys[0], c.size), c.keys[1], contents(c.keys[1], c.size))
	c.fate = g.judge(a, err)
	if c.fate == applied {
		c.gone = true
		a, err = w.call("DEL", c.keys[0], c.keys[1])
		c.fate = g.judge(a, err)
	}
	g.ledger.enter(c)
	return err == nil
}

func (g *load) rpcPut(ctx context.Context, kv primatomicv1.KeyValueClient, worker string, i int) bool {
	c := &claim{keys: []string{g.name(worker, i)}, size: 64}
	_, err := kv.PutKey(ctx, &primatomicv1.PutKeyRequest{
		Namespace: "0", Key: c.keys[0], Value: []byte(contents(c.keys[0], c.size)),
	})
	f, connected := g.judgeRPC(err)
	c.fate = f
	g.ledger.enter(c)
	return connected
}

// rpcCAS counts a version up. A swap that finds another value than the last one acknowledged has met a
// write that was lost, or one whose outcome was unknown.
func (g *load) rpcCAS(ctx context.Context, kv primatomicv1.KeyValueClient, worker string, _ int) bool {
	name := "version:" + worker
	from, to := g.ledger.sent(name)
	expected := fmt.Sprint(from)
	if from == 0 {
		expected = ""
	}
	reply, err := kv.CompareAndSwap(ctx, &primatomicv1.CompareAndSwapRequest{
		Namespace: "0", Key: name, Expected: []byte(expected), NewValue: fmt.Append(nil, to),
	})
	f, connected := g.judgeRPC(err)
	if f == applied && !reply.GetSwapped() {
		g.t.Errorf("%s is not at version %d any more", name, from)
	}
	g.ledger.settle(name, f)
	return connected && f != unknown // what it is now is known only after the next restart
}
