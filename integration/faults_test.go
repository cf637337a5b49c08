package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// fault is something that is done to a fleet under load, and over when it returns: what was killed runs again, what was
// cut is healed, and all nodes serve.
type fault struct {
	name string
	do   func(f *fleet, c *crowd, rng *rand.Rand)

	clock, weather bool // it changes those
	flood          bool // it writes more than bad links bear
}

// allFaults are those that TestSoak picks from. The fleet is one whose links can be cut, with a middleman, clocks that
// can be set and small disks.
func allFaults() []fault {
	return []fault{
		{name: "kill a follower", do: func(f *fleet, c *crowd, rng *rand.Rand) { f.killOne(c, f.follower(rng)) }},
		{name: "kill the leader", do: func(f *fleet, c *crowd, _ *rand.Rand) { f.killOne(c, f.leader()) }},
		{name: "kill all", do: func(f *fleet, _ *crowd, _ *rand.Rand) { f.killAll() }},
		{name: "stop the leader", do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.stopLeader(c, fmt.Sprintf("%s:hunted:%x", c.name, rng.Uint64()), rng)
		}},
		{name: "stop a follower", do: stopFollower},
		{name: "cut the leader off", do: func(f *fleet, c *crowd, rng *rand.Rand) {
			cut := anyWay(rng)
			f.cutLeaderOff(c, cut.in, cut.out)
		}},
		{name: "cut a follower off", do: cutFollowerOff},
		{name: "let a link flap", do: func(f *fleet, _ *crowd, rng *rand.Rand) { f.flap(2*time.Second, rng) }},
		{name: "cut everyone off", do: cutAllOff},
		{name: "cut a link and kill one end", do: breakAndKill},
		{name: "cut a link and stop one end", do: breakAndStop},
		{name: "cut a link and transfer", do: breakAndTransfer},
		{name: "transfer once", do: func(f *fleet, _ *crowd, rng *rand.Rand) { f.storm(1, rng) }},
		{name: "storm of transfers", do: func(f *fleet, _ *crowd, rng *rand.Rand) { f.storm(2+rng.IntN(10), rng) }},
		{name: "stop a follower and transfer", do: stopAndTransfer},
		{name: "stop and start all in turn", do: func(f *fleet, c *crowd, _ *rand.Rand) {
			f.roll(func() { c.await(50) })
		}},
		{name: "keep a follower away", flood: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.keepAway(c, f.follower(rng))
		}},
		{name: "replace a node", flood: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.replace(c, rng.IntN(len(f.nodes)))
		}},
		{name: "fill a follower's disk", flood: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.fillDisk(c, f.follower(rng))
		}},
		{name: "fill the leader's disk", flood: true, do: func(f *fleet, c *crowd, _ *rand.Rand) {
			f.fillDisk(c, f.leader())
		}},
		{name: "let a follower's disk fail", do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.failDisk(c, f.follower(rng))
		}},
		{name: "let the leader's disk fail", do: func(f *fleet, c *crowd, _ *rand.Rand) { f.failDisk(c, f.leader()) }},
		{name: "shift a wall clock", clock: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.shiftWall(c, rng.IntN(len(f.nodes)), anyAhead(rng))
		}},
		{name: "let a wall clock leap", clock: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.jumpWall(c, f.nodes[rng.IntN(len(f.nodes))], 1+rng.IntN(20), rng)
		}},
		{name: "run a boot clock fast", clock: true, do: func(f *fleet, c *crowd, rng *rand.Rand) {
			f.runFast(c, rng)
		}},
		{name: "slow links", weather: true, do: inClimate("slow links")},
		{name: "lossy links", weather: true, do: inClimate("lossy links")},
		{name: "narrow links", weather: true, do: inClimate("narrow links")},
		{name: "play tricks with frames", weather: true, do: func(f *fleet, _ *crowd, rng *rand.Rand) {
			f.man.playAll(rng)
			f.serves(startTimeout, f.nodes...)
		}},
	}
}

// inClimate lets the crowd go on in bad weather.
func inClimate(name string) func(f *fleet, c *crowd, rng *rand.Rand) {
	return func(f *fleet, c *crowd, rng *rand.Rand) {
		f.man.spoil(c, name, 50+rng.Int64N(500))
		f.serves(startTimeout, f.nodes...)
	}
}

// follower is one of those that do not lead.
func (f *fleet) follower(rng *rand.Rand) int {
	return (f.leader() + 1 + rng.IntN(len(f.nodes)-1)) % len(f.nodes)
}

// killOne kills a node and starts it again when the crowd has gone on without it.
func (f *fleet) killOne(c *crowd, victim int) {
	f.t.Helper()
	f.nodes[victim].kill()
	c.await(50)
	f.nodes[victim].restart()
	f.serves(startTimeout, f.nodes...)
}

// killAll kills all nodes and starts them again. Clients come as soon as a door is open.
func (f *fleet) killAll() {
	f.t.Helper()
	began := time.Now()
	f.killWhole()
	ran := time.Since(began)
	f.serves(startTimeout, f.nodes...)
	f.t.Logf("all were killed, ran again after %v and served after %v", ran.Round(time.Millisecond),
		time.Since(began).Round(time.Millisecond))
}

// killWhole kills all nodes and starts them again, until their doors are open.
func (f *fleet) killWhole() {
	f.t.Helper()
	for _, n := range f.nodes {
		n.kill()
	}
	for _, n := range f.nodes {
		n.launch()
	}
	for _, n := range f.nodes {
		n.opened()
	}
}

func stopFollower(f *fleet, c *crowd, rng *rand.Rand) {
	n := f.nodes[f.follower(rng)]
	n.pause()
	defer n.resume()
	<-time.After(time.Duration(rng.Int64N(int64(3 * time.Second))))
	c.await(20)
}

// way is how a node is cut off: what it hears, what it says, or both.
type way struct {
	name    string
	in, out bool
}

var ways = []way{{"both", true, true}, {"in", true, false}, {"out", false, true}}

func anyWay(rng *rand.Rand) way { return ways[rng.IntN(len(ways))] }

// cutLeaderOff cuts the leader off until the others have another one, and it knows that it leads no more.
func (f *fleet) cutLeaderOff(c *crowd, in, out bool) {
	f.t.Helper()
	lead := f.leader()
	others := f.except(lead)
	f.isolate(lead, in, out)
	eventually(f.t, 10*time.Second, "the others have another leader", func() bool {
		a, errA := others[0].state()
		b, errB := others[1].state()
		return errA == nil && errB == nil && (a.leads || b.leads) && a.leader == b.leader
	})
	c.await(50)
	eventually(f.t, 10*time.Second, "the old leader knows that it does not lead", func() bool {
		s, err := f.nodes[lead].state()
		return err == nil && !s.leads
	})
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

func cutFollowerOff(f *fleet, c *crowd, rng *rand.Rand) {
	cut := anyWay(rng)
	f.isolate(f.follower(rng), cut.in, cut.out)
	<-time.After(time.Duration(rng.Int64N(int64(3 * time.Second))))
	c.await(20)
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

// cutAllOff leaves everyone alone for up to three seconds.
func cutAllOff(f *fleet, _ *crowd, rng *rand.Rand) {
	for i := range f.nodes {
		f.isolate(i, true, true)
	}
	<-time.After(time.Duration(rng.Int64N(int64(3 * time.Second))))
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

// flap lets a link of the leader come and go.
func (f *fleet) flap(last time.Duration, rng *rand.Rand) {
	f.t.Helper()
	for end := time.Now().Add(last); time.Now().Before(end); {
		lead := f.leader()
		other := f.follower(rng)
		if to := rng.IntN(3); to != 0 && other != lead {
			f.cut(lead, other)
			if to == 1 {
				f.cut(other, lead)
			}
		} else {
			f.cut(other, lead)
		}
		<-time.After(time.Duration(rng.Int64N(int64(600 * time.Millisecond))))
		f.net.heal()
		<-time.After(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
	}
	f.serves(startTimeout, f.nodes...)
}

// storm asks for transfers of the leadership, one behind the other, of whichever node. It returns how many were made.
func (f *fleet) storm(transfers int, rng *rand.Rand) (made int) {
	f.t.Helper()
	for range transfers {
		n := f.nodes[rng.IntN(len(f.nodes))]
		switch a, err := n.order("FAILOVER"); {
		case err != nil:
			f.t.Errorf("FAILOVER: %v", err)
		case a.raw == "+OK\r\n":
			made++
		case a.prefix() != "TRYAGAIN" && a.prefix() != "UNCERTAIN":
			f.t.Errorf("FAILOVER is answered by %q", a.raw)
		}
	}
	f.serves(startTimeout, f.nodes...)
	return made
}

// roll stops all nodes with SIGTERM and starts them again, one after the other.
func (f *fleet) roll(between func()) {
	f.t.Helper()
	for _, n := range f.nodes {
		n.stop()
		between()
		n.restart()
		f.serves(startTimeout, f.nodes...)
	}
}

const (
	floodBytes = 1 << 20 // of one value
	floodKeys  = 8       // that are written again and again: what grows is the log, not the state
)

// keepAway keeps a node away until the others' logs do not reach back to what it has, so that it needs a checkpoint,
// and waits until it has caught up.
func (f *fleet) keepAway(c *crowd, victim int) {
	f.t.Helper()
	n := f.nodes[victim]
	had, err := n.state()
	if err != nil {
		f.t.Fatal(err)
	}
	n.kill()
	others := f.except(victim)
	value := string(make([]byte, floodBytes))
	w := others[0].wire(f.t)
	defer w.Close()
	for i := 0; ; i++ {
		if i == 2000 {
			f.t.Fatal("the log never ends")
		}
		a, err := w.call("SET", fmt.Sprint("flood:", i%floodKeys), value)
		if err != nil {
			f.t.Fatal(err)
		}
		c.judge(a, nil)
		if i%20 == 0 && f.beyond(had.applied, others) {
			break
		}
	}
	n.restart()
	eventually(f.t, startTimeout, "the node that was away has caught up", func() bool {
		s, err := n.state()
		return err == nil && s.first > had.applied && s.applied > had.applied && s.commit-s.applied < 1000
	})
	f.serves(startTimeout, f.nodes...)
}

// beyond reports whether the logs of nodes begin behind an index.
func (f *fleet) beyond(index uint64, nodes []*node) bool {
	for _, n := range nodes {
		if s, err := n.state(); err != nil || s.first <= index+1 {
			return false
		}
	}
	return true
}

// longProof is the first line of a test of faults that takes too long for each run of all tests. make faults runs it,
// and the soak has its fault.
func longProof(t *testing.T) {
	t.Helper()
	if os.Getenv("FAULTS") == "" {
		t.Skip("part of make faults")
	}
}
