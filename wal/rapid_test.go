package wal

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/internal/vfs"
)

// TestModel compares the log with the plain one after every step, through reopening and power losses.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem(rapid.Uint64().Draw(t, "seed"))
		h := &history{acked: model{}}
		l, _, err := Open(testOptions(mem))
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(err)
		steps := func(t *rapid.T) *generator {
			return &generator{rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "step"), 0)), large: 5000}
		}
		// settle takes over what a start found: what was released may be back, what was not acknowledged gone.
		settle := func(rec *Recovery) {
			check(h.check(l, rec))
			h.acked, h.pending = modelOf(t, l), nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"step": func(t *rapid.T) {
				check(h.run(l, steps(t), rapid.IntRange(1, 6).Draw(t, "n")))
			},
			"reopen": func(*rapid.T) {
				check(l.Close())
				h.acked, h.pending = h.latest(), nil
				var rec *Recovery
				l, rec, err = Open(testOptions(mem))
				check(err)
				settle(rec)
			},
			"crash": func(t *rapid.T) {
				mem = mem.Crash()
				var rec *Recovery
				l, rec, err = Open(testOptions(mem))
				check(err)
				settle(rec)
			},
			"": func(*rapid.T) { check(h.latest().compare(l)) },
		})
	})
}

// modelOf reads a whole log.
func modelOf(t *rapid.T, l *Log) model {
	m := model{}
	for id, g := range l.groups {
		mg := m.group(id)
		mg.hard, mg.mark, mg.base = g.hard, g.mark, g.base
		if g.last > g.base.Index {
			var err error
			if mg.entries, err = l.Entries(id, g.base.Index+1, g.last+1, 1<<60, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}
