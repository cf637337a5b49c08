package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// soak is a long run: a crowd, faults picked at random, and checks after each round of a few of them.
type soak struct {
	t       *testing.T
	f       *fleet
	rng     *rand.Rand
	began   time.Time
	told    time.Time // when progress was told
	rounds  int
	faults  map[string]*toll
	total   [3]int64          // calls by what became of them
	writes  int64             // of them, writes that were acknowledged
	archive map[string]string // what rounds that are over have left, by key
	graves  []*mortal         // keys with a TTL of the last rounds
}

// toll is what a kind of fault has cost.
type toll struct {
	times int
	stall time.Duration // the longest time in which nobody had a write acknowledged
	took  time.Duration // the longest
}

const (
	soakFaults  = 4                // per round, at most: what the checkers bear
	soakPairs   = 3                // of so many, one is on another one
	soakArchive = 500              // keys that are looked at again and again
	soakGraves  = 500              // keys with a TTL, likewise
	soakTell    = 60 * time.Second // between lines of progress
)

// TestSoak runs for the time in SOAK. See make soak.
func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("SOAK is how long this is to run: make soak")
	}
	last, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	s := &soak{
		t: t, rng: random(t), began: time.Now(), told: time.Now(),
		faults: map[string]*toll{}, archive: map[string]string{},
	}
	flags := append([]string{"--digest-interval", "5s"}, diskFlags...)
	s.f = newWarpedFleet(t, 3, true)
	for _, n := range s.f.nodes {
		n.shrink()
	}
	between(s.f, s.rng, flags...)
	s.f.start()
	defer s.summary()
	for time.Since(s.began) < last && !t.Failed() {
		s.round()
	}
}

// round lets a crowd loose, does a few things to the fleet, and checks.
func (s *soak) round() {
	s.rounds++
	c := startCrowd(s.t, s.f, fmt.Sprint("round", s.rounds), s.rng)
	defer func() {
		for i := range c.fates {
			s.total[i] += c.fates[i].Load()
		}
		s.writes += c.writes.Load()
	}()
	c.await(100)
	for range 1 + s.rng.IntN(soakFaults) {
		kind := s.pick()
		c.stalls.take()
		began := time.Now()
		s.t.Logf("%v: round %d: %s", s.age(), s.rounds, kind.name)
		kind.do(s.f, c, s.rng)
		c.await(50)
		if s.faults[kind.name] == nil {
			s.faults[kind.name] = &toll{}
		}
		cost := s.faults[kind.name]
		cost.times++
		cost.stall, cost.took = max(cost.stall, c.stalls.take()), max(cost.took, time.Since(began))
		s.tell()
		if s.t.Failed() {
			return
		}
	}
	c.settle(s.f.nodes...)
	s.keep(c)
	s.check(c)
}

// pick picks a fault, or two at once.
func (s *soak) pick() fault {
	if s.rng.IntN(soakPairs) == 0 {
		return anyPair(s.rng)
	}
	kinds := allFaults()
	return kinds[s.rng.IntN(len(kinds))]
}

// keep remembers what a round has left, of which nothing may change any more.
func (s *soak) keep(c *crowd) {
	w, err := connect(s.f.nodes[0].respAddr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	for _, one := range c.scrolls {
		s.archive[one.key] = w.do(s.t, "GET", one.key).text
	}
	for key := range s.archive { // whichever: old ones and new ones are to stay
		if len(s.archive) <= soakArchive {
			break
		}
		delete(s.archive, key)
	}
	s.graves = append(s.graves, c.mortals...)
	s.graves = s.graves[max(0, len(s.graves)-soakGraves):]
}

// check holds every node against the archive and looks after keys that had a TTL, and for a node that differs from the
// others.
func (s *soak) check(c *crowd) {
	for _, n := range s.f.nodes {
		w, err := connect(n.respAddr())
		if err != nil {
			s.t.Fatal(err)
		}
		for key, want := range s.archive {
			if a := w.do(s.t, "GET", key); a.text != want {
				s.t.Errorf("node %s: %s was %.200q and is %.200q", n.host, key, want, a.raw)
			}
		}
		for _, m := range s.graves {
			if err := c.look(&client{n: n, w: w, rng: s.rng}, m); err != nil {
				s.t.Error(err)
			}
		}
		_ = w.Close()
		if log := n.current().log.String(); strings.Contains(log, "quarantine") {
			s.t.Errorf("the node at %s is in quarantine", n.host)
		}
	}
}

func (s *soak) age() time.Duration { return time.Since(s.began).Round(time.Second) }

// tell tells how far it is, now and then.
func (s *soak) tell() {
	if time.Since(s.told) < soakTell {
		return
	}
	s.told = time.Now()
	times := 0
	for _, cost := range s.faults {
		times += cost.times
	}
	s.t.Logf("%v: %d rounds, %d faults, %d writes acknowledged", s.age(), s.rounds, times, s.writes)
}

// summary tells what the run has been through.
func (s *soak) summary() {
	var lines strings.Builder
	names := make([]string, 0, len(s.faults))
	longest := time.Duration(0)
	for name, cost := range s.faults {
		names = append(names, name)
		longest = max(longest, cost.stall)
	}
	slices.Sort(names)
	fmt.Fprintf(&lines, "after %v, %d rounds: %d calls answered (%d of them writes), %d unknown, %d refused\n", s.age(),
		s.rounds, s.total[applied], s.writes, s.total[unknown], s.total[refused])
	fmt.Fprintf(&lines, "  longest time in which no write was acknowledged anywhere: %v\n",
		longest.Round(time.Millisecond))
	fmt.Fprintf(&lines, "  %-60s %5s %14s %14s\n", "fault", "times", "longest stall", "longest")
	for _, name := range names {
		cost := s.faults[name]
		fmt.Fprintf(&lines, "  %-60s %5d %14v %14v\n", name, cost.times,
			cost.stall.Round(time.Millisecond), cost.took.Round(time.Millisecond))
	}
	s.t.Log(lines.String())
}
