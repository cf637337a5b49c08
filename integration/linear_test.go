package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// door carries operations out over one of the two doors, together if it can, and tells of each what it was
// told. broken says that its connection is of no more use.
type door interface {
	do(together []operation) (told []outcome, broken bool)
}

// respDoor is a RESP connection.
type respDoor struct {
	judge func(answer, error) fate
	w     *wire
}

// What the clients of a door pick from.
var (
	respOperations = []string{"get", "get", "get", "set", "new", "old", "swap", "cas", "incr", "del"}
	rpcOperations  = []string{"get", "get", "get", "set", "cas", "erase"}
)

// do sends the operations in one pipeline.
func (d respDoor) do(together []operation) (told []outcome, broken bool) {
	var frames strings.Builder
	for _, o := range together {
		frames.WriteString(frame(map[string][]string{
			"get": {"GET", o.key}, "set": {"SET", o.key, o.value}, "cas": {"CAS", o.key, o.expect, o.value},
			"new": {"SET", o.key, o.value, "NX"}, "old": {"SET", o.key, o.value, "XX"},
			"swap": {"SET", o.key, o.value, "IFEQ", o.expect},
			"incr": {"INCR", o.key}, "del": {"DEL", o.key}, "erase": {"DEL", o.key},
		}[o.name]...))
	}
	err := d.w.put(frames.String())
	for _, o := range together {
		var a answer
		if err == nil {
			a, err = d.w.get()
		}
		told = append(told, d.meaning(o, a, err))
	}
	return told, err != nil
}

func (d respDoor) meaning(o operation, a answer, err error) outcome {
	switch {
	case err != nil:
		return outcome{unknown: true}
	case a.kind == '-':
		f := d.judge(a, nil)
		return outcome{unknown: f == unknown, refused: f == refused}
	}
	switch o.name {
	case "get", "incr":
		return outcome{value: a.text}
	case "cas", "del":
		return outcome{done: a.text == "1"}
	case "new", "old", "swap":
		return outcome{done: !a.null}
	}
	return outcome{}
}

// rpcDoor is a gRPC connection. It has no INCR and no conditions but those of a swap, and its deletion, erase, does not
// tell whether there was anything.
type rpcDoor struct {
	t  testing.TB
	kv pb.KeyValueClient
}

func (d rpcDoor) do(together []operation) (all []outcome, broken bool) {
	for _, o := range together {
		told, gone := d.one(o)
		all, broken = append(all, told), broken || gone
	}
	return all, broken
}

func (d rpcDoor) one(o operation) (told outcome, broken bool) {
	ctx, cancel := context.WithTimeout(context.Background(), wireTimeout)
	defer cancel()
	var err error
	switch o.name {
	case "get":
		var reply *pb.GetKeyResponse
		reply, err = d.kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "0", Key: o.key})
		told.value = string(reply.GetValue())
		if status.Code(err) == codes.NotFound {
			err = nil
		}
	case "set":
		_, err = d.kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: o.key, Value: []byte(o.value)})
	case "cas":
		var reply *pb.CompareAndSwapResponse
		reply, err = d.kv.CompareAndSwap(ctx, &pb.CompareAndSwapRequest{
			Namespace: "0", Key: o.key, Expected: []byte(o.expect), NewValue: []byte(o.value),
		})
		told.done = reply.GetSwapped()
	case "erase":
		_, err = d.kv.DeleteKey(ctx, &pb.DeleteKeyRequest{Namespace: "0", Key: o.key})
	}
	if err == nil {
		return told, false
	}
	if reasonOf(err) == "NOT_APPLIED" || status.Code(err) == codes.ResourceExhausted { // a full disk refuses what grows
		return outcome{refused: true}, false
	}
	if code := status.Code(err); code != codes.Unavailable && code != codes.DeadlineExceeded {
		d.t.Errorf("%+v is answered by %v", o, err)
	}
	return outcome{unknown: true}, true
}

// doorOf opens every other client's door for RESP, the others' for gRPC.
func (n *node) doorOf(t testing.TB, client int) (door, []string) {
	t.Helper()
	if client%2 == 0 {
		return respDoor{judgeRESP(t), n.wire(t)}, respOperations
	}
	return rpcDoor{t, n.keyValue(t, "")}, rpcOperations
}

// clients lets concurrent clients work on few keys, each until it has made so many operations or its
// connection breaks.
func (n *node) clients(
	t testing.TB, h *history, rng *rand.Rand, clients, operations int, keys []string,
) (wait func()) {
	t.Helper()
	var working sync.WaitGroup
	for client := range clients {
		own := rand.New(rand.NewPCG(rng.Uint64(), 2))
		d, names := n.doorOf(t, client)
		working.Go(func() {
			seen := ""
			for i := 0; i < operations; {
				depth := 1
				if _, pipelines := d.(respDoor); pipelines && own.IntN(3) == 0 {
					depth = 2 + own.IntN(4)
				}
				together := make([]operation, depth)
				for j := range together {
					together[j] = operation{
						name: names[own.IntN(len(names))], key: keys[own.IntN(len(keys))],
						value: fmt.Sprintf("%d%03d%06d", 1+client, own.IntN(1000), i), expect: seen,
					}
					i++
				}
				called := h.now()
				told, broken := d.do(together)
				for j, o := range together {
					h.add(client, o, called, told[j])
					if (o.name == "get" || o.name == "incr") && !told[j].unknown && !told[j].refused {
						seen = told[j].value
					}
				}
				if broken {
					return
				}
			}
		})
	}
	return working.Wait
}

// TestLinearizable checks what concurrent clients of both doors see.
func TestLinearizable(t *testing.T) {
	rng := random(t)
	n, h := startNode(t), newHistory()
	n.clients(t, h, rng, 8, 250, []string{"a", "b", "c"})()
	h.check(t)
}

// TestLinearizableAcrossKills does so while the node is killed and started again.
func TestLinearizableAcrossKills(t *testing.T) {
	rng := random(t)
	n, h := startNode(t), newHistory()
	for round := range 6 {
		wait := n.clients(t, h, rng, 6, 100_000, []string{"a", "b"})
		enough := h.size() + 50 + rng.IntN(200)
		eventually(t, 30*time.Second, "enough operations are made", func() bool { return h.size() >= enough })
		n.kill()
		wait()
		n.restart()
		if round%2 == 1 { // what is read at rest must fit as well
			n.clients(t, h, rng, 2, 20, []string{"a", "b"})()
		}
	}
	h.check(t)
}

func (h *history) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.operations)
}
