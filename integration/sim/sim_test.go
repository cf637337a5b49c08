package sim

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "run this seed alone")
	seedsFlag  = flag.Int("seeds", 50, "how many seeds to run")
	twiceFlag  = flag.Int("twice", 6, "how many seeds to run twice")
	eventsFlag = flag.String("events", "", "the file that gets all that happens in the run of -seed")
	spanFlag   = flag.Duration("span", 0, "how much time a seed of several nodes simulates at least")
	untilFlag  = flag.Bool("until-failure", false, "stop at the first seed that fails")
	firstFlag  = flag.Uint64("first", 1, "the first of the seeds")
)

// run runs one seed in a bubble of its own.
func run(t *testing.T, seed uint64, out io.Writer) (w *world, err error) {
	t.Helper()
	dir := t.TempDir()
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(*testing.T) { w, err = runWorld(seed, *spanFlag, dir, newTrace(out)) })
	if err == nil {
		err = w.check()
	}
	return w, err
}

// TestSim runs seeds, or one alone.
func TestSim(t *testing.T) {
	first, n := *firstFlag, *seedsFlag
	var out io.Writer
	if *seedFlag != 0 {
		first, n, out = *seedFlag, 1, traceFile(t)
	}
	var all tally
	for seed := first; seed < first+uint64(n); seed++ {
		w, err := run(t, seed, out)
		if err != nil {
			t.Errorf("seed %d: %v\noptions: %+v\ntrace: %x\nrun: go test ./integration/sim -run Sim -seed %d -span %v",
				seed, err, w.options, w.trace.sum(), seed, *spanFlag)
		}
		all.add(w)
		if err != nil && *untilFlag {
			break
		}
	}
	t.Logf("seeds %d to %d: %s", first, first+uint64(n)-1, &all)
}

// traceFile returns where the trace goes that -events asks for, nil if nowhere.
func traceFile(t *testing.T) io.Writer {
	if *eventsFlag == "" {
		return nil
	}
	f, err := os.Create(*eventsFlag)
	if err != nil {
		t.Fatal(err)
	}
	buffered := bufio.NewWriter(f)
	t.Cleanup(func() {
		if err := errors.Join(buffered.Flush(), f.Close()); err != nil {
			t.Error(err)
		}
	})
	return buffered
}

// tally is what happened in several runs.
type tally struct {
	runs, calls, applied, starts, checkpoints, twins, joined, gone int
	lines, entries, writes, reads                                  int // audited
	simulated                                                      time.Duration
	trace                                                          uint64 // of the last run
}

func (a *tally) add(w *world) {
	a.runs++
	a.calls += len(w.history.records)
	for _, r := range w.history.records {
		if r.outcome == applied {
			a.applied++
		}
	}
	a.starts, a.checkpoints, a.twins = a.starts+w.starts, a.checkpoints+w.checkpoints, a.twins+w.checks
	a.simulated += w.clock.Boot()
	a.joined, a.gone = a.joined+w.made-w.options.nodes, a.gone+w.gone
	if w.audit != nil {
		a.lines, a.entries = a.lines+len(w.audit.calls), a.entries+w.audit.entries
		a.writes, a.reads = a.writes+len(w.audit.made), a.reads+len(w.audit.placed)
	}
	a.trace = w.trace.sum()
}

func (a *tally) String() string {
	return fmt.Sprintf("%v simulated, %d calls, %d applied, %d starts, %d of them with a checkpoint, %d twins, "+
		"%d nodes joined, %d left; audited %d lines, %d entries with %d writes, %d reads; trace of the last %016x",
		a.simulated.Round(time.Second), a.calls, a.applied, a.starts, a.checkpoints, a.twins, a.joined, a.gone,
		a.lines, a.entries, a.writes, a.reads, a.trace)
}

// TestSameSeedSameRun runs seeds twice, and both runs must be the same to the last byte.
func TestSameSeedSameRun(t *testing.T) {
	for seed := *firstFlag; seed < *firstFlag+uint64(*twiceFlag); seed++ {
		var one, two bytes.Buffer
		_, errOne := run(t, seed, &one)
		_, errTwo := run(t, seed, &two)
		if fmt.Sprint(errOne) != fmt.Sprint(errTwo) {
			t.Errorf("seed %d ends with %v and with %v", seed, errOne, errTwo)
		}
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Errorf("seed %d ran in two ways, that part at\n%s", seed, parting(one.String(), two.String()))
		}
	}
}

// parting returns the lines at which two traces part.
func parting(one, two string) string {
	a, b := strings.Split(one, "\n"), strings.Split(two, "\n")
	i := 0
	for i < min(len(a), len(b))-1 && a[i] == b[i] {
		i++
	}
	from := max(0, i-10)
	return fmt.Sprintf("line %d:\n%s\n\nand\n%s", i,
		strings.Join(a[from:min(len(a), i+10)], "\n"), strings.Join(b[from:min(len(b), i+10)], "\n"))
}
