package sim

import (
	"flag"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed alone")
	seedsFlag = flag.Int("seeds", 20, "how many seeds to run")
	firstFlag = flag.Uint64("first", 1, "the first of the seeds")
)

// run runs one seed in a bubble of its own.
func run(t *testing.T, seed uint64, p plant) (w *world, err error) {
	t.Helper()
	dir := t.TempDir()
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(*testing.T) { w, err = runWorld(seed, dir, p) })
	return w, err
}

func TestSeeds(t *testing.T) {
	first, n := *firstFlag, *seedsFlag
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
	}
	var calls, answered, starts, checks, checkpoints int
	for seed := first; seed < first+uint64(n); seed++ {
		w, err := run(t, seed, noPlant)
		if err != nil {
			t.Errorf("seed %d (run it with -seed=%d): %v\noptions: %+v", seed, seed, err, w.options)
		}
		calls += len(w.history.records)
		for _, r := range w.history.records {
			if r.outcome == applied {
				answered++
			}
		}
		starts, checks, checkpoints = starts+w.starts, checks+w.checks, checkpoints+w.checkpoints
	}
	t.Logf("%d seeds from %d: %d calls, %d applied, %d starts, %d of them with a checkpoint, %d twins",
		n, first, calls, answered, starts, checkpoints, checks)
}

func TestSameSeedSameRun(t *testing.T) {
	for _, seed := range []uint64{4, 5, 6} { // of one node
		a, errA := run(t, seed, noPlant)
		b, errB := run(t, seed, noPlant)
		if a.options.nodes != 1 {
			t.Fatalf("seed %d runs %d nodes", seed, a.options.nodes)
		}
		if a.trace != b.trace || (errA == nil) != (errB == nil) {
			t.Errorf("seed %d ran in two ways: %x and %x (%v, %v)", seed, a.trace, b.trace, errA, errB)
		}
	}
}

// TestPlantedBugsAreFound: the checks are no theatre.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, p := range plants {
		t.Run(string(p), func(t *testing.T) {
			for seed := uint64(1); seed <= 30; seed++ {
				if _, err := run(t, seed, p); err != nil {
					t.Logf("seed %d: %.300v", seed, err)
					return
				}
			}
			t.Error("not found in 30 seeds")
		})
	}
}
