package sim

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/primatomic/primatomic/store"
)

// options are what a seed gives a whole run, so that each run is much of some things and nothing of others.
type options struct {
	nodes           int
	steps           int           // at least
	span            time.Duration // at least, of true time
	clients         int
	segmentBytes    int64
	checkpointBytes int64
	tailBytes       int
	memoryBytes     int64
	entryBytes      int // 0: what a node has that was told nothing
	digestInterval  time.Duration
	reads           bool          // are to be served in another way than usual, from the first leader on
	large           bool          // some values take many sectors
	skew            float64       // how much faster than true time the fastest clock may run
	off             time.Duration // how wrong a wall clock may be from the beginning
	// How often, in a thousand steps.
	ask, hunt, advance, stall, jump, leave                            int
	power, powerSoon, restart, pause, starve, network, depose, member int
	fail, short, fill, flip                                           int
	// How often, in a thousand letters.
	tricks int
}

func drawOptions(rng *rand.Rand) options {
	some := func(most int) int { // nothing in half of the runs
		return max(0, rng.IntN(2*most+1)-most)
	}
	o := options{
		nodes: 1, steps: 1500, clients: 1 + rng.IntN(6), segmentBytes: 16 << 10 << rng.IntN(3),
		checkpointBytes: 1 << 50, large: rng.IntN(2) == 0,
		ask: 50 + rng.IntN(300), advance: 20 + rng.IntN(100), stall: some(6), jump: some(10),
		power: some(6), powerSoon: some(10), fail: some(4), short: some(4), fill: some(10), leave: some(10),
		restart: some(4), flip: some(3),
	}
	if rng.IntN(2) == 0 {
		o.checkpointBytes = int64(1000 << rng.IntN(6))
	}
	if rng.IntN(4) == 0 {
		o.memoryBytes = 2000 + int64(500<<rng.IntN(6))
	}
	if rng.IntN(2) == 0 {
		o.entryBytes = 1 << rng.IntN(12)
	}
	if rng.IntN(4) > 0 {
		o.makeCluster(rng, some)
	}
	return o
}

// limits are those of a store.
func (o *options) limits() store.Limits {
	limits := store.DefaultLimits()
	limits.CheckpointBytesMin = o.checkpointBytes
	limits.MemoryBytesMax = o.memoryBytes
	limits.EntryBytesMax = cmp.Or(o.entryBytes, limits.EntryBytesMax)
	limits.DigestInterval = o.digestInterval
	return limits
}

// makeCluster makes options of one node those of several. Elections take time and messages, so faults are rarer.
func (o *options) makeCluster(rng *rand.Rand, some func(int) int) {
	o.nodes, o.steps = 3, 6000
	if rng.IntN(4) == 0 {
		o.nodes = 5
	}
	o.ask, o.advance, o.stall = 20+rng.IntN(100), rng.IntN(20), some(2)
	o.power, o.powerSoon, o.fail, o.short = some(3), some(3), some(2), some(2)
	o.fill, o.restart, o.pause, o.network = some(3), some(2), some(2), some(6)
	o.tricks, o.starve, o.member, o.flip = some(60), some(2), some(8), some(2)
	if rng.IntN(2) == 0 {
		o.skew = 0.15
	}
	o.hunt, o.depose = some(200), rng.IntN(12)
	o.reads = rng.IntN(3) > 0
	if rng.IntN(2) == 0 {
		o.off = time.Duration(1+rng.IntN(40)) * time.Second
	}
	if rng.IntN(2) == 0 {
		o.digestInterval = time.Duration(50+rng.IntN(500)) * time.Millisecond
	}
	if rng.IntN(2) == 0 {
		o.tailBytes = 1 + rng.IntN(8<<10)
	}
}
