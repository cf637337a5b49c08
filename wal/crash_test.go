package wal

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/vfs"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 takes one from the clock")
	deepFlag = flag.Bool("deep", false, "try every place and more rounds, not a random sample")
)

// stride is how many places a test goes on at a time: n, or all of them in turn if it shall be deep.
func stride(n int) int {
	if *deepFlag {
		return 1
	}
	return n
}

func testSeed(t *testing.T) uint64 {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -seed=%d", seed)
	return seed
}

// history is a workload under way: the state that was acknowledged last, and those that the records
// appended since would make.
type history struct {
	acked   model
	pending []model
}

func (h *history) latest() model {
	if n := len(h.pending); n > 0 {
		return h.pending[n-1]
	}
	return h.acked
}

// check says whether a log that was opened after a crash holds the acknowledged state or a later one.
func (h *history) check(l *Log, rec *Recovery) error {
	var errs []error
	for _, m := range append([]model{h.acked}, h.pending...) {
		err := m.matches(l, rec.Groups)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// run does one random step after the other, until steps are done or one fails.
func (h *history) run(l *Log, gen *generator, steps int) error {
	for range steps {
		var err error
		switch p := gen.rng.IntN(20); {
		case p < 12:
			rec := gen.record(h.latest())
			m := h.latest().clone()
			m.append(rec)
			h.pending = append(h.pending, m)
			err = l.Append(rec)
		case p < 17:
			if err = l.Sync(); err == nil {
				h.acked, h.pending = h.latest(), nil
			}
		case p < 18:
			if err = l.Seal(); err == nil {
				h.acked, h.pending = h.latest(), nil
			}
		case p < 19:
			if id, index := gen.release(h.latest()); index > 0 {
				err = l.Release(id, index)
				h.acked = h.acked.clone()
				for _, m := range append([]model{h.acked}, h.pending...) {
					if g := m[id]; g != nil && index <= g.last() && index > g.base.Index {
						m.release(id, index)
					}
				}
			}
		default:
			if id := GroupID(1 + gen.rng.IntN(3)); h.latest()[id] != nil {
				err = l.Rewrite(id)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestCrashAtEveryOperation runs a workload and cuts the power before each single operation on the file
// system. What was acknowledged must be there, what was not may be, and nothing else.
func TestCrashAtEveryOperation(t *testing.T) {
	seed := testSeed(t)
	for round := range uint64(20 / stride(20)) {
		rng := rand.New(rand.NewPCG(seed, round))
		mem := vfs.NewMem(rng.Uint64())
		h := &history{acked: model{}}
		crashes := 0
		mem.SetHook(func(op vfs.Op) error {
			if !op.Kind.Changes() {
				return nil
			}
			crashes++
			if err := reopenAfterCrash(mem, h); err != nil {
				t.Fatalf("round %d, power lost before %d %v: %v", round, op.Seq, op, err)
			}
			return nil
		})
		l, _ := mustOpen(t, testOptions(mem))
		must(t, h.run(l, &generator{rng: rng, large: 9000}, 100))
		must(t, l.Close())
		t.Logf("round %d: %d crashes", round, crashes)
	}
}

// reopenAfterCrash opens what a crash left, twice, as the first start repairs it, and checks both.
func reopenAfterCrash(mem *vfs.Mem, h *history) error {
	left := mem.Crash()
	for start := range 2 {
		l, rec, err := Open(testOptions(left))
		if err != nil {
			return fmt.Errorf("start %d: %w", start, err)
		}
		if err := h.check(l, rec); err != nil {
			return fmt.Errorf("start %d: %w", start, err)
		}
		if start > 0 && rec.TornTail != nil {
			return fmt.Errorf("the second start cut a torn tail: %+v", rec.TornTail)
		}
		left = left.Crash()
	}
	return nil
}

// TestCrashOfRecovery cuts the power while a start repairs the log, over and over.
func TestCrashOfRecovery(t *testing.T) {
	seed := testSeed(t)
	for round := range uint64(40 / stride(8)) {
		rng := rand.New(rand.NewPCG(seed, round))
		mem := vfs.NewMem(rng.Uint64())
		h := &history{acked: model{}}
		l, _ := mustOpen(t, testOptions(mem))
		must(t, h.run(l, &generator{rng: rng, large: 9000}, 60))
		must(t, l.flush()) // written, not synced: something to tear
		for range 4 {
			mem = mem.Crash()
			mem.SetHook(func(op vfs.Op) error {
				if !op.Kind.Changes() {
					return nil
				}
				if err := reopenAfterCrash(mem, h); err != nil {
					t.Fatalf("round %d, power lost at start before %v: %v", round, op, err)
				}
				return nil
			})
			_, _, err := Open(testOptions(mem))
			must(t, err)
			mem.SetHook(nil)
		}
	}
}

// forgetful is a file system whose files say that they were synced and are not.
type forgetful struct{ vfs.FS }

type forgetfulFile struct{ vfs.File }

func (f forgetful) Create(name string) (vfs.File, error) {
	file, err := f.FS.Create(name)
	return forgetfulFile{file}, err
}

func (forgetfulFile) Sync() error { return nil }

// TestCrashTestCatchesMissingSync plants the bug that the tests above look for.
func TestCrashTestCatchesMissingSync(t *testing.T) {
	mem := vfs.NewMem(1)
	h := &history{acked: model{}}
	o := testOptions(mem)
	o.FS = forgetful{mem}
	l, _ := mustOpen(t, o)
	must(t, h.run(l, &generator{rng: rand.New(rand.NewPCG(1, 1)), large: 100}, 30))
	for range 20 {
		if reopenAfterCrash(mem, h) != nil {
			return
		}
	}
	t.Fatal("a log that never syncs passed 20 crashes")
}
