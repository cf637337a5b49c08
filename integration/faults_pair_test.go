package integration

import (
	"math/rand/v2"
	"slices"
	"time"
)

// ground is what a fault can be done on: something that is wrong already, and goes on until it is ended. A fleet still
// bears one fault on it.
type ground struct {
	name  string
	begin func(f *fleet, c *crowd, rng *rand.Rand) (end func())
	bears func(kind *fault) bool
}

// grounds are those that TestSoak picks from.
func grounds() []ground {
	return []ground{
		{"a wall clock is off", offWall, func(kind *fault) bool { return !kind.clock }},
		{"a boot clock is fast", fastBoot, func(kind *fault) bool { return !kind.clock }},
		{"links are slow", climate("slow links"), func(kind *fault) bool { return !kind.weather && !kind.flood }},
		{"links are lossy", climate("lossy links"), func(kind *fault) bool { return !kind.weather && !kind.flood }},
		{"links are narrow", climate("narrow links"), func(kind *fault) bool { return !kind.weather && !kind.flood }},
	}
}

// offWall lets the wall clock of a node be off.
func offWall(f *fleet, c *crowd, rng *rand.Rand) (end func()) {
	n, ahead := f.nodes[rng.IntN(len(f.nodes))], anyAhead(rng)
	c.doubt(doubtful(ahead))
	n.clock.jump(ahead)
	c.await(20)
	return func() {
		n.clock.jump(0)
		c.await(20)
		f.agrees()
	}
}

// anyAhead is by how much a wall clock may be off: what log time follows, and what it does not.
func anyAhead(rng *rand.Rand) time.Duration {
	all := []time.Duration{
		3 * time.Second, -3 * time.Second, 15 * time.Second, -15 * time.Second, time.Hour, -time.Hour,
	}
	return all[rng.IntN(len(all))]
}

// fastBoot lets the boot clock of a node run as fast as leases bear, nearly.
func fastBoot(f *fleet, _ *crowd, rng *rand.Rand) (end func()) {
	n := f.nodes[rng.IntN(len(f.nodes))]
	n.clock.run(rightRate * 115 / 100)
	return func() { n.clock.run(rightRate) }
}

func climate(name string) func(f *fleet, c *crowd, rng *rand.Rand) (end func()) {
	return func(f *fleet, _ *crowd, _ *rand.Rand) (end func()) {
		w := climates[name]
		f.man.weather.Store(&w)
		return func() { f.man.weather.Store(&weather{}) }
	}
}

// anyPair picks a fault and a ground that bears it.
func anyPair(rng *rand.Rand) fault {
	on := grounds()[rng.IntN(len(grounds()))]
	kinds := slices.DeleteFunc(allFaults(), func(kind fault) bool { return !on.bears(&kind) })
	kind := kinds[rng.IntN(len(kinds))]
	return fault{name: kind.name + " while " + on.name, do: func(f *fleet, c *crowd, rng *rand.Rand) {
		end := on.begin(f, c, rng)
		kind.do(f, c, rng)
		end()
		f.serves(startTimeout, f.nodes...)
	}}
}

// breakAndKill cuts the link between two nodes, one way or both, and kills one of them. The other one and the third are
// a quorum.
func breakAndKill(f *fleet, c *crowd, rng *rand.Rand) {
	victim, _ := f.breakLink(rng)
	c.await(20)
	f.nodes[victim].kill()
	c.await(50)
	f.nodes[victim].restart()
	c.await(20)
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

// breakAndStop stops one of two nodes between which the link is cut.
func breakAndStop(f *fleet, c *crowd, rng *rand.Rand) {
	victim, _ := f.breakLink(rng)
	f.nodes[victim].pause()
	c.await(50)
	f.nodes[victim].resume()
	c.await(20)
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

// breakAndTransfer hands the leadership over from the one end of a link that is cut to the other.
func breakAndTransfer(f *fleet, c *crowd, rng *rand.Rand) {
	one, other := f.breakLink(rng)
	for _, to := range []int{one, other} {
		_, _ = f.nodes[to].order("CLUSTER", "TRANSFER", f.nodes[to].name) // it may be refused
		c.await(20)
	}
	f.net.heal()
	f.serves(startTimeout, f.nodes...)
}

// breakLink cuts the link between two nodes, one way or both.
func (f *fleet) breakLink(rng *rand.Rand) (one, other int) {
	f.t.Helper()
	one = rng.IntN(len(f.nodes))
	other = (one + 1 + rng.IntN(len(f.nodes)-1)) % len(f.nodes)
	cut := anyWay(rng)
	if cut.out {
		f.cut(one, other)
	}
	if cut.in {
		f.cut(other, one)
	}
	return one, other
}

// stopAndTransfer stops a follower and hands the leadership over between the other two.
func stopAndTransfer(f *fleet, c *crowd, rng *rand.Rand) {
	stopped := f.follower(rng)
	n, others := f.nodes[stopped], f.except(stopped)
	n.pause()
	for range 4 {
		to := others[rng.IntN(len(others))]
		if a, err := others[0].order("CLUSTER", "TRANSFER", to.name); err != nil {
			f.t.Errorf("CLUSTER TRANSFER: %v", err)
		} else if p := a.prefix(); p != "" && p != "TRYAGAIN" && p != "UNCERTAIN" && p != "ERR" {
			f.t.Errorf("CLUSTER TRANSFER is answered by %q", a.raw)
		}
		c.await(20)
	}
	n.resume()
	f.serves(startTimeout, f.nodes...)
}
