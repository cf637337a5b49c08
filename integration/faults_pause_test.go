package integration

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestFleetLeaderStopped stops the leader for longer than its lease and the election timeout. Whoever asks it as it
// wakes up must not be told what was true before.
func TestFleetLeaderStopped(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	for round := range 2 {
		c.await(200)
		f.stopLeader(c, fmt.Sprint("hunted:", round), rng)
	}
	f.serves(startTimeout, f.nodes...)
	c.settle(f.nodes...)
}

// stopLeader stops the leader until there is another one and the crowd has written, and lets hunters ask it as it
// wakes.
func (f *fleet) stopLeader(c *crowd, key string, rng *rand.Rand) {
	f.t.Helper()
	lead := f.leader()
	old := f.nodes[lead]
	old.wire(f.t).do(f.t, "SET", key, "before")
	var hunters []*wire
	for range 30 {
		w := old.wire(f.t)
		w.do(f.t, "GET", key) // the connection is one that has been served
		hunters = append(hunters, w)
		defer w.Close()
	}
	old.pause()
	resume := func() { old.resume() }
	defer func() { resume() }()
	asleep := time.NewTimer(900*time.Millisecond + time.Duration(rng.Int64N(int64(time.Second))))
	heir := f.leader(f.except(lead)...)
	f.nodes[heir].wire(f.t).do(f.t, "SET", key, "after")
	c.await(50)
	for i, w := range hunters {
		w.send(f.t, [][]string{
			0: {frame("GET", key)}, 1: {frame("MULTI") + frame("GET", key) + frame("EXEC")}, 2: {frame("MGET", key)},
		}[i%3][0])
	}
	<-asleep.C
	resume()
	resume = func() {}
	for i, w := range hunters {
		last := answer{}
		for range []int{1, 3, 1}[i%3] {
			a, err := w.get()
			if err != nil {
				f.t.Fatal(err)
			}
			last = a
		}
		if c.judge(last, nil) == applied {
			if len(last.elems) == 1 {
				last = last.elems[0]
			}
			if last.text != "after" {
				f.t.Errorf("the old leader has answered %q after another one had acknowledged a write", last.text)
			}
		}
	}
}
