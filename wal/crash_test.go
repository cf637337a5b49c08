package wal

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path"
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

// TestCrashBesideKeeper is the same with segments made and removed at any time while the log is written, as the keeper
// does it on a goroutine of its own. Here it works within the writer's operations, so that a seed repeats it.
func TestCrashBesideKeeper(t *testing.T) {
	seed := testSeed(t)
	for round := range uint64(20 / stride(20)) {
		rng := rand.New(rand.NewPCG(seed, round))
		mem := vfs.NewMem(rng.Uint64())
		h := &history{acked: model{}}
		l, _ := mustOpen(t, testOptions(mem))
		l.keeper.wake, l.keeper.stopped = make(chan struct{}, 1), make(chan struct{})
		close(l.keeper.stopped)
		works, within := false, 0
		mem.SetHook(func(op vfs.Op) error {
			if !op.Kind.Changes() {
				return nil
			}
			if err := reopenAfterCrash(mem, h); err != nil {
				t.Fatalf("round %d, power lost before %d %v: %v", round, op.Seq, op, err)
			}
			switch idle := !works && l.keeper.mu.TryLock(); {
			case works:
				within++
			case idle:
				l.keeper.mu.Unlock() // the writer is not waiting for it
				if works = rng.IntN(3) == 0; works {
					l.keeper.work()
					works = false
				}
			}
			return nil
		})
		must(t, h.run(l, &generator{rng: rng, large: 9000}, 100))
		must(t, l.Close())
		t.Logf("round %d: %d crashes within the keeper's work", round, within)
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

func (h *history) clone() *history {
	c := &history{acked: h.acked.clone()}
	for _, m := range h.pending {
		c.pending = append(c.pending, m.clone())
	}
	return c
}

// wreck is what a crash left in the middle of a workload.
type wreck struct {
	mem *vfs.Mem
	h   *history
}

// wrecks runs a workload and crashes before some of its operations, most of them syncs: then there is most to tear.
func wrecks(t *testing.T, rng *rand.Rand) (all []wreck) {
	t.Helper()
	mem := vfs.NewMem(rng.Uint64())
	h := &history{acked: model{}}
	if rng.IntN(2) == 0 { // there are copies of cut tails, and one of them will have to go
		must(t, mem.MkdirAll("wal"))
		for i := range tornCopiesMax {
			_, err := mem.Create(fmt.Sprintf("wal/%s%016x-4096", tornPrefix, i))
			must(t, err)
		}
		must(t, errors.Join(mem.SyncDir("wal"), mem.SyncDir(".")))
	}
	mem.SetHook(func(op vfs.Op) error {
		written := op.Kind == vfs.OpSync && path.Ext(op.Name) == segmentSuffix
		if written && rng.IntN(3) == 0 || op.Kind.Changes() && rng.IntN(60) == 0 {
			all = append(all, wreck{mem.Crash(), h.clone()})
		}
		return nil
	})
	l, _ := mustOpen(t, testOptions(mem))
	must(t, h.run(l, &generator{rng: rng, large: 9000}, 80))
	must(t, l.flush()) // written, not synced: something to tear
	return append(all, wreck{mem.Crash(), h})
}

// TestCrashOfRecovery cuts the power while a start repairs the log, over and over.
func TestCrashOfRecovery(t *testing.T) {
	seed := testSeed(t)
	cut := 0
	for round := range uint64(16 / stride(8)) {
		for _, w := range wrecks(t, rand.New(rand.NewPCG(seed, round))) {
			for range 3 {
				w.mem.SetHook(func(op vfs.Op) error {
					if !op.Kind.Changes() {
						return nil
					}
					if err := reopenAfterCrash(w.mem, w.h); err != nil {
						t.Fatalf("round %d, power lost at start before %v: %v", round, op, err)
					}
					return nil
				})
				_, rec, err := Open(testOptions(w.mem))
				must(t, err)
				if rec.TornTail != nil {
					cut++
				}
				w.mem = w.mem.Crash()
			}
		}
	}
	if t.Logf("%d tails were cut", cut); cut == 0 && *deepFlag {
		t.Error("too little to show anything")
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
