package store

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/raft"
)

// check holds the ring against what is always true of it.
func (ws *waiters) check(t *rapid.T, waiting int) {
	if len(ws.slots)&(len(ws.slots)-1) != 0 || ws.next-ws.first > uint64(len(ws.slots)) {
		t.Fatalf("%d slots for [%d, %d)", len(ws.slots), ws.first, ws.next)
	}
	held := 0
	for i := range ws.slots {
		if ws.slots[i].run != nil {
			held++
		}
	}
	if held != waiting {
		t.Fatalf("%d waiters are held, want %d", held, waiting)
	}
}

// TestWaitersAgainstMap holds the ring against a plain map.
func TestWaitersAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws := newWaiters()
		model := map[uint64]waiter{}
		next, term := uint64(1), raft.Term(1)
		same := func(what string, got, want waiter) {
			if got != want {
				t.Fatalf("%s: got %v, want %v", what, got, want)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 3, 700}).Draw(t, "n") {
					w := waiter{run: &run{}, op: int(next), term: term}
					if q := ws.add(w); q != next {
						t.Fatalf("sequence %d, want %d", q, next)
					}
					model[next] = w
					next++
				}
			},
			"take": func(t *rapid.T) {
				q := rapid.Uint64Range(0, next+2).Draw(t, "sequence")
				got, ok := ws.take(q)
				want, has := model[q]
				if ok != has {
					t.Fatalf("take(%d) found %v, want %v", q, ok, has)
				}
				same("take", got, want)
				delete(model, q)
			},
			"take in order": func(t *rapid.T) {
				for _, q := range slices.Sorted(maps.Keys(model)) {
					if got, ok := ws.take(q); !ok || got != model[q] {
						t.Fatalf("take(%d): %v %v", q, got, ok)
					}
					delete(model, q)
					if len(model)%100 == 0 {
						break
					}
				}
			},
			"next term": func(*rapid.T) { term++ },
			"take below": func(t *rapid.T) {
				below := raft.Term(rapid.IntRange(0, int(term)+1).Draw(t, "term"))
				var want []waiter
				for _, q := range slices.Sorted(maps.Keys(model)) {
					if model[q].term < below {
						want = append(want, model[q])
						delete(model, q)
					}
				}
				if got := ws.takeBelow(below); !slices.Equal(got, want) {
					t.Fatalf("takeBelow(%d): %d waiters, want %d", below, len(got), len(want))
				}
			},
			"": func(t *rapid.T) {
				ws.check(t, len(model))
			},
		})
	})
}
