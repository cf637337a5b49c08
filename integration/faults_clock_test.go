package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// clockTrust is how far a node's wall clock may be off before log time does not follow it.
const clockTrust = 10 * time.Second

const clockAlarm = "the wall clock of this node is wrong"

// newWarpedFleet makes a fleet of nodes whose clocks can be set. They do not run yet.
func newWarpedFleet(t testing.TB, size int, cuts bool, flags ...string) *fleet {
	t.Helper()
	f := newFleet(t, size, cuts, flags...)
	for _, n := range f.nodes {
		n.warp()
	}
	return f
}

// doubtful is by how much log time may be off at most because of a wall clock that is off: by as much, if log time
// follows it, else by as much as nodes that are busy are late to learn of each other's clocks.
func doubtful(ahead time.Duration) time.Duration {
	if ahead.Abs() > clockTrust {
		return 500 * time.Millisecond
	}
	return ahead.Abs()
}

// transfer gives the leadership to a node.
func (f *fleet) transfer(to int) {
	f.t.Helper()
	eventually(f.t, startTimeout, "the leadership is handed over to "+f.nodes[to].name, func() bool {
		if f.leader() == to {
			return true
		}
		_, err := f.nodes[to].order("CLUSTER", "TRANSFER", f.nodes[to].name)
		return err == nil && f.leader() == to
	})
}

// agrees waits until log time is what this machine's wall clock shows: what was ahead runs at half rate until it is.
func (f *fleet) agrees() {
	f.t.Helper()
	eventually(f.t, startTimeout, "log time is right", func() bool {
		from := wallMillis()
		a, err := f.nodes[0].ask("TIME")
		to := wallMillis()
		if err != nil || len(a.elems) != 2 {
			return false
		}
		seconds, _ := strconv.ParseInt(a.elems[0].text, 10, 64)
		micros, _ := strconv.ParseInt(a.elems[1].text, 10, 64)
		told := seconds*1000 + micros/1000
		return from-clockSlack/2 <= told && told <= to+clockSlack/2
	})
}

// shiftWall lets the wall clock of a node be off, while it leads and while it follows, and then right again.
func (f *fleet) shiftWall(c *crowd, place int, ahead time.Duration) {
	f.t.Helper()
	n := f.nodes[place]
	c.doubt(doubtful(ahead))
	f.transfer(place)
	n.clock.jump(ahead)
	c.await(50)
	f.transfer((place + 1) % len(f.nodes))
	c.await(50)
	f.transfer(place)
	c.await(50)
	n.clock.jump(0)
	c.await(20)
	f.agrees()
}

// TestFleetWallClockShifted lets one node's wall clock be off, by what log time follows and by more, while that node
// leads, follows and leads again. A deadline is off by no more than the clock that was followed, log time never goes
// back, and what is not followed is logged by the node whose clock is wrong, and by no other.
func TestFleetWallClockShifted(t *testing.T) {
	longProof(t)
	rng := random(t)
	f := newWarpedFleet(t, 3, false)
	for _, n := range f.nodes {
		n.set("--http-addr", n.host+":9379")
	}
	f.start()
	f.nodes[0].clock.jump(time.Minute)
	f.nodes[0].ahead(59, 61)
	f.nodes[1].ahead(0, 0)
	warning := regexp.MustCompile("The wall clock of n1 is (1m0s|59s) ahead")
	for _, n := range f.nodes {
		told := f.admin(n, "status")
		if !warning.MatchString(told) || strings.Count(told, "The wall clock") != 1 {
			t.Errorf("cluster status at %s says\n%s", n.name, told)
		}
	}
	f.nodes[0].clock.jump(0)
	f.nodes[0].ahead(0, 0)
	for i, ahead := range []time.Duration{3 * time.Second, -3 * time.Second, 15 * time.Second, -time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			c := startCrowd(t, f, ahead.String(), rng)
			c.await(50)
			place := i % len(f.nodes)
			before := f.alarms()
			f.shiftWall(c, place, ahead)
			for j, now := range f.alarms() {
				if wrong := j == place && ahead.Abs() > clockTrust; (now > before[j]) != wrong {
					t.Errorf("node %d has told %d times that its clock is wrong", j+1, now-before[j])
				}
			}
			c.settle(f.nodes...)
		})
	}
}

// ahead waits until the metrics of a node say that its clock is ahead by seconds within bounds.
func (n *node) ahead(least, most float64) {
	n.t.Helper()
	told := regexp.MustCompile(`(?m)^primatomic_clock_ahead_seconds (\S+)$`)
	eventually(n.t, startTimeout, fmt.Sprintf("%s is ahead by %v to %v s", n.name, least, most), func() bool {
		reply, err := http.Get("http://" + n.host + ":9379/metrics")
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		match := told.FindSubmatch(body)
		if err != nil || match == nil {
			return false
		}
		ahead, err := strconv.ParseFloat(string(match[1]), 64)
		return err == nil && least <= ahead && ahead <= most
	})
}

// alarms is how often each node has logged that its clock is wrong.
func (f *fleet) alarms() (counts []int) {
	for _, n := range f.nodes {
		counts = append(counts, strings.Count(n.current().log.String(), clockAlarm))
	}
	return counts
}

// jumpWall lets the wall clock of a node jump to and fro between what is right and what log time does not follow.
func (f *fleet) jumpWall(c *crowd, n *node, jumps int, rng *rand.Rand) {
	f.t.Helper()
	c.doubt(doubtful(time.Hour))
	for range jumps {
		n.clock.jump([]time.Duration{0, 0, time.Hour, -time.Hour, 15 * time.Second, -15 * time.Second}[rng.IntN(6)])
		c.await(1 + rng.Int64N(30))
	}
	n.clock.jump(0)
	c.await(20)
	f.agrees()
}

// TestFleetWallClockJumps lets the leader's wall clock jump. Log time does not follow, not for a moment.
func TestFleetWallClockJumps(t *testing.T) {
	longProof(t)
	rng := random(t)
	f := newWarpedFleet(t, 3, false)
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.await(50)
	f.jumpWall(c, f.nodes[f.leader()], 20, rng)
	c.settle(f.nodes...)
}

// TestFleetShiftedOneDown: with one of three nodes down there is one clock's word against another's. What was known
// before still counts, so that no restart of a node lets a wrong clock spoil every time to live.
func TestFleetShiftedOneDown(t *testing.T) {
	longProof(t)
	rng := random(t)
	f := newWarpedFleet(t, 3, false)
	f.start()
	c := startCrowd(t, f, "w", rng)
	c.doubt(doubtful(time.Hour))
	lead := f.leader()
	f.nodes[lead].clock.jump(time.Hour)
	c.await(50)
	f.killOne(c, lead) // it comes back with a wrong clock, and without a memory
	f.transfer(lead)
	f.killOne(c, (lead+1)%3)
	c.await(20)
	f.nodes[lead].clock.jump(0)
	f.agrees()
	c.settle(f.nodes...)
}

// stale cuts the leader off and asks it again and again, until it answers no more, while the others elect another one
// and write. It returns how many reads it has answered, and whether one of them had been overtaken: it was sent after a
// write was acknowledged that it does not show.
func (f *fleet) stale(key string) (answered int, overtaken bool) {
	f.t.Helper()
	lead := f.leader()
	old, others := f.nodes[lead], f.except(lead)
	reader := old.wire(f.t)
	reader.do(f.t, "SET", key, "before")
	var written atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !overtaken {
			late := written.Load()
			a, err := reader.call("GET", key)
			if err != nil || a.kind == '-' {
				return
			}
			answered++
			overtaken = late && a.text == "before"
		}
	}()
	f.isolate(lead, true, true)
	cut := time.Now()
	heir := f.leader(others...)
	f.nodes[heir].wire(f.t).do(f.t, "SET", key, "after")
	written.Store(true)
	f.t.Logf("%v after the cut another leader has acknowledged a write", time.Since(cut).Round(time.Millisecond))
	<-done
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
	return answered, overtaken
}

// TestFleetBootClockSlow cuts off a leader whose boot clock runs slow, so that its lease lasts longer than it may by
// the others' clocks: by the factor of 1.15 nobody is shown what is old, as leases bear 1.2. With a clock that runs at
// a tenth of the right rate somebody is, which shows that the test sees it.
func TestFleetBootClockSlow(t *testing.T) {
	longProof(t)
	f := newWarpedFleet(t, 3, true)
	f.start()
	for i := range 2 {
		place := f.leader()
		f.nodes[place].clock.run(rightRate * 100 / 115)
		if answered, overtaken := f.stale(fmt.Sprint("slow:", i)); answered == 0 || overtaken {
			t.Errorf("the old leader has answered %d reads, one of them overtaken: %v", answered, overtaken)
		}
		f.nodes[place].clock.run(rightRate)
	}
	eventually(t, startTimeout, "a leader whose clock stands nearly still shows what is old", func() bool {
		place := f.leader()
		f.nodes[place].clock.run(rightRate / 10)
		_, overtaken := f.stale("still")
		f.nodes[place].clock.run(rightRate)
		return overtaken
	})
}

// runFast lets the boot clock of one node run fast, and cuts leaders off meanwhile.
func (f *fleet) runFast(c *crowd, rng *rand.Rand) {
	f.t.Helper()
	fast := f.nodes[rng.IntN(len(f.nodes))]
	fast.clock.run(rightRate * 115 / 100)
	for range 2 {
		f.cutLeaderOff(c, true, true)
		c.await(20)
	}
	fast.clock.run(rightRate)
}
