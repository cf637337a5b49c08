package integration

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is a call on one key as the checker sees it. Values are numbers in text, so that INCR may meet
// any of them; "" is a missing key.
type operation struct {
	name          string // get, set, new, old, swap, cas, incr, del, erase
	key           string
	value, expect string
}

// outcome is what a client was told. Of an operation whose outcome is unknown nothing is asked.
type outcome struct {
	unknown bool
	refused bool   // it certainly has not happened
	value   string // of get and incr
	done    bool   // of new, old, swap, cas: it was set; of del: there was something
}

// register is the model: one key with one value.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(operation).key
			parts[key] = append(parts[key], o)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		told := output.(outcome)
		right, next := apply(state.(string), input.(operation))
		return told.unknown || told == right, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// apply returns what an operation must answer in a state, and the state after it.
func apply(state string, o operation) (outcome, string) {
	switch o.name {
	case "get":
		return outcome{value: state}, state
	case "set":
		return outcome{}, o.value
	case "cas":
		if state == o.expect {
			return outcome{done: true}, o.value
		}
		return outcome{}, state
	case "new", "old", "swap": // SET with NX, XX, IFEQ
		if there := state != ""; o.name == "new" && !there || o.name == "old" && there ||
			o.name == "swap" && there && state == o.expect {
			return outcome{done: true}, o.value
		}
		return outcome{}, state
	case "erase": // it does not tell whether there was anything
		return outcome{}, ""
	case "incr":
		n, _ := strconv.ParseInt("0"+state, 10, 64)
		next := strconv.FormatInt(n+1, 10)
		return outcome{value: next}, next
	case "del":
		return outcome{done: state != ""}, ""
	}
	panic("no operation is named " + o.name)
}

// history is what concurrent clients did and were told.
type history struct {
	began time.Time

	mu         sync.Mutex
	operations []porcupine.Operation // guarded by mu
	open       int                   // of them, those whose outcome is unknown; guarded by mu
}

func newHistory() *history { return &history{began: time.Now()} }

// now is the time of the history's clock.
func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add notes an operation that was called at a time and has just returned. One whose outcome is unknown may
// happen at any time from its call on, or never; a read of which nothing is known tells nothing, and neither does
// what was refused: nobody may see it.
func (h *history) add(client int, o operation, called int64, told outcome) {
	returned := h.now()
	if told.refused {
		return
	}
	if told.unknown {
		if o.name == "get" {
			return
		}
		returned = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: client, Input: o, Call: called, Output: told, Return: returned,
	})
	if told.unknown {
		h.open++
	}
}

// checkTimeout bounds the search of the checker.
const checkTimeout = 60 * time.Second

// check fails the test unless the history is linearizable.
func (h *history) check(t testing.TB) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	result := porcupine.CheckOperationsTimeout(register, h.operations, checkTimeout)
	t.Logf("%d operations, of %d the outcome is unknown: %v", len(h.operations), h.open, result)
	switch result {
	case porcupine.Illegal:
		t.Error("the history is not linearizable")
	case porcupine.Unknown:
		t.Errorf("the checker did not end within %v: take fewer operations", checkTimeout)
	}
}

// TestCheckerCatchesPlantedFaults gives the checker histories that no linearizable store can make, and their
// likes that one can.
func TestCheckerCatchesPlantedFaults(t *testing.T) {
	type call struct {
		o                operation
		called, returned int64
		told             outcome
	}
	set := func(value string, from, to int64) call {
		return call{operation{name: "set", key: "k", value: value}, from, to, outcome{}}
	}
	get := func(value string, from, to int64) call {
		return call{operation{name: "get", key: "k"}, from, to, outcome{value: value}}
	}
	incr := func(value string, from, to int64) call {
		return call{operation{name: "incr", key: "k"}, from, to, outcome{value: value}}
	}
	lost := func(c call) call {
		c.told, c.returned = outcome{unknown: true}, math.MaxInt64
		return c
	}
	cas := func(expect, value string, done bool, from, to int64) call {
		o := operation{name: "cas", key: "k", value: value, expect: expect}
		return call{o, from, to, outcome{done: done}}
	}
	del := func(done bool, from, to int64) call {
		return call{operation{name: "del", key: "k"}, from, to, outcome{done: done}}
	}
	for _, test := range []struct {
		name  string
		calls []call
		sound bool
	}{
		{"in order", []call{set("1", 0, 1), get("1", 2, 3), set("2", 4, 5), get("2", 6, 7)}, true},
		{"stale read", []call{set("1", 0, 1), set("2", 2, 3), get("1", 4, 5)}, false},
		{"old value while the new one is on its way",
			[]call{set("1", 0, 1), set("2", 2, 9), get("1", 4, 5)}, true},
		{"two reads back in time",
			[]call{set("1", 0, 1), set("2", 2, 9), get("2", 3, 4), get("1", 5, 6)}, false},
		{"lost write", []call{set("1", 0, 1), get("", 2, 3)}, false},
		{"unknown write seen late", []call{lost(set("1", 0, 0)), get("", 2, 3), get("1", 4, 5)}, true},
		{"unknown write seen and gone", []call{lost(set("1", 0, 0)), get("1", 2, 3), get("", 4, 5)}, false},
		{"read before the write was sent", []call{get("1", 0, 1), lost(set("1", 2, 0))}, false},
		{"the same increment twice", []call{incr("1", 0, 1), incr("1", 2, 3)}, false},
		{"two winners of a swap",
			[]call{set("1", 0, 1), cas("1", "2", true, 2, 5), cas("1", "3", true, 2, 5)}, false},
		{"a winner and a loser",
			[]call{set("1", 0, 1), cas("1", "2", true, 2, 5), cas("1", "3", false, 2, 5)}, true},
		{"deleted and back", []call{set("1", 0, 1), del(true, 2, 3), get("1", 4, 5)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var operations []porcupine.Operation
			for i, c := range test.calls {
				operations = append(operations, porcupine.Operation{
					ClientId: i, Input: c.o, Call: c.called, Output: c.told, Return: c.returned,
				})
			}
			if got := porcupine.CheckOperations(register, operations); got != test.sound {
				t.Errorf("the checker says %v", got)
			}
		})
	}
}
