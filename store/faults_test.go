package store

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

var (
	faultSeeds = flag.Uint64("fault-seeds", 6, "how many seeds TestForwardsUnderFaults runs")
	faultSeed  = flag.Uint64("fault-seed", 0, "the only seed that TestForwardsUnderFaults runs; 0: all")
)

// appends is a history of one list that clients append tokens to, through any node.
type appends struct {
	*trio
	open  []*appended
	acked []*appended
	gone  []*appended // refused
	seen  string      // the longest list that anyone was shown
	next  int
	reads int
	// What the stores had in memory when it was looked at last: another state is that of an installed checkpoint.
	states   map[*Store]*engine.State
	installs int

	trimmed bool   // nodes make checkpoints and keep little log
	stale   bool   // reads are planted to be stale
	broken  string // the first contradiction found
}

// appended is a call on its way: an APPEND, or a GET if token is empty.
type appended struct {
	*pendingDo
	token string
	floor string // what a read must show at least: all that was shown before it was asked for
	acked int    // how many tokens had been acknowledged when it was asked for
}

// TestForwardsUnderFaults appends and reads through all nodes while leaders are cut off, connections break, the
// leadership is handed over, messages are late or lost, and nodes lose power. What was acknowledged is in the list
// once, what was refused is not, and every read shows all that was acknowledged, or shown, before it was asked for.
func TestForwardsUnderFaults(t *testing.T) {
	first, last, installs := uint64(1), *faultSeeds, 0
	if *faultSeed != 0 {
		first, last = *faultSeed, *faultSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("fault-seed=%d", seed), func(t *testing.T) {
			trimmed := seed%2 == 0
			inTrio(t, seed, func(t *testing.T, c *trio) {
				h := &appends{trio: c, trimmed: trimmed}
				h.run(400)
				if h.broken != "" {
					t.Fatal(h.broken)
				}
				if len(h.acked) < h.next/20 || h.reads == 0 {
					t.Errorf("too little to show anything")
				}
				t.Logf("%d of %d acknowledged, %d refused, %d reads, %d checkpoints installed",
					len(h.acked), h.next, len(h.gone), h.reads, h.installs)
				installs += h.installs
			}, func(n *node) {
				if trimmed {
					n.tails = raft.Limits{RingBytes: 512, TailBytes: 512}
				}
			})
		})
	}
	if *faultSeed == 0 && *faultSeeds >= 6 && installs == 0 {
		t.Error("no checkpoint was installed")
	}
}

// TestPlantedFaultsAreCaught shows that the history finds a network that delivers twice, and a node that answers
// from its own memory.
func TestPlantedFaultsAreCaught(t *testing.T) {
	for name, plant := range map[string]func(h *appends){
		"forwards are delivered twice": func(h *appends) { h.wire.twice = true },
		"followers read their own memory": func(h *appends) {
			h.stale = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 20; seed++ {
				caught := false
				inTrio(t, seed, func(t *testing.T, c *trio) {
					h := &appends{trio: c}
					plant(h)
					h.run(100)
					caught = h.broken != ""
				})
				if caught {
					return
				}
			}
			t.Error("not caught")
		})
	}
}

func (h *appends) run(rounds int) {
	h.states = map[*Store]*engine.State{}
	for range rounds {
		h.fault()
		h.ask()
		if h.trimmed {
			h.trim()
		}
		h.advance(time.Duration(1+h.rng.IntN(30)) * time.Millisecond)
		h.collect()
	}
	h.heal()
	h.advance(4 * time.Second)
	h.collect()
	h.judge()
}

func (h *appends) fail(format string, args ...any) {
	if h.broken == "" {
		h.broken = fmt.Sprintf(format, args...)
	}
}

func (h *appends) fault() {
	n := h.nodes[h.rng.IntN(3)]
	leader := h.leader()
	switch kind := h.rng.IntN(28); {
	case kind == 0 && leader != nil:
		h.isolate(leader)
	case kind == 1:
		h.wire.cut[[2]raft.ReplicaID{n.id, h.nodes[h.rng.IntN(3)].id}] = true
	case kind == 2:
		h.wire.down[[2]raft.ReplicaID{n.id, h.nodes[h.rng.IntN(3)].id}] = true
	case kind <= 6:
		h.heal()
	case kind <= 8 && leader != nil:
		leader.group.StartTransfer(n.id)
	case kind == 9:
		n.crash()
	case kind == 10:
		h.wire.lossy = true
	case kind <= 12:
		h.wire.slow[[2]raft.ReplicaID{n.id, h.nodes[h.rng.IntN(3)].id}] = true
	}
}

// trim has the logs grow, and checkpoints made that they are let go of behind.
func (h *appends) trim() {
	n := h.nodes[h.rng.IntN(3)]
	n.session().start("SET pad " + strings.Repeat("x", 4<<10))
	if h.rng.IntN(4) == 0 {
		n.store.Want(n.store.applied.Index)
	}
}

func (h *appends) ask() {
	for range h.rng.IntN(4) {
		n := h.nodes[h.rng.IntN(3)]
		a := &appended{floor: h.seen, acked: len(h.acked)}
		if h.rng.IntN(2) == 0 {
			h.next++
			a.token = fmt.Sprintf("%d,", h.next)
			a.pendingDo = n.session().start("APPEND list " + a.token)
		} else {
			session := n.session()
			session.Stale = h.stale
			a.pendingDo = session.start("GET list")
		}
		h.open = append(h.open, a)
	}
}

// noteInstalls counts the checkpoints that were installed.
func (h *appends) noteInstalls() {
	for _, n := range h.nodes {
		before, now := h.states[n.store], n.store.state()
		if before != nil && before != now {
			h.installs++
		}
		h.states[n.store] = now
	}
}

func (h *appends) collect() {
	h.noteInstalls()
	var still []*appended
	for _, a := range h.open {
		switch {
		case !a.ended:
			still = append(still, a)
		case a.token == "":
			h.read(a)
		default:
			switch text := a.answers(h.t); text[0] {
			case ':':
				h.acked = append(h.acked, a)
			case '-':
				if strings.HasPrefix(text, tryAgain) {
					h.gone = append(h.gone, a)
				}
			default:
				h.fail("answer %q", text)
			}
		}
	}
	h.open = still
}

func (h *appends) read(a *appended) {
	text := a.answers(h.t)
	if text[0] == '-' {
		return
	}
	h.reads++
	_, list, _ := strings.Cut(strings.TrimSuffix(text, " "), " ")
	if !strings.HasPrefix(list, a.floor) {
		h.fail("a read shows %q, but %q was shown before", list, a.floor)
	}
	for _, w := range h.acked[:a.acked] {
		if !strings.Contains(","+list, ","+w.token) {
			h.fail("a read shows %q, but %s was acknowledged before", list, w.token)
		}
	}
	if len(list) > len(h.seen) {
		h.seen = list
	}
}

func (h *appends) judge() {
	_, list, _ := strings.Cut(strings.TrimSuffix(h.do(h.elect(), "GET list"), " "), " ")
	count := func(a *appended) int { return strings.Count(","+list, ","+a.token) }
	for _, a := range h.acked {
		if count(a) != 1 {
			h.fail("%s was acknowledged and is there %d times", a.token, count(a))
		}
	}
	for _, a := range h.gone {
		if count(a) != 0 {
			h.fail("%s was refused and is there", a.token)
		}
	}
	for id := 1; id <= h.next; id++ {
		if n := strings.Count(","+list, fmt.Sprintf(",%d,", id)); n > 1 {
			h.fail("%d is there %d times", id, n)
		}
	}
	for _, n := range h.nodes {
		if err := n.store.Close(context.Background()); err != nil && n.fatal == nil {
			h.fail("node %d: %v", n.id, err)
		}
	}
}
