package integration

import (
	"testing"
	"time"
)

// stallMax bounds how long a call may take while a leader hands over, with some room for busy machines.
const stallMax = time.Second

// TestFleetRollingRestart stops all nodes with SIGTERM, one after the other, and starts them again, under load. No call
// at another node may fail, and none may take long.
func TestFleetRollingRestart(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	c.await(100)
	for i, n := range f.nodes {
		lead := f.leader() == i
		v := startVigil(t, f.except(i)...)
		n.stop()
		c.await(50)
		n.restart()
		f.serves(startTimeout, f.nodes...)
		calls, longest, failed := v.end()
		t.Logf("node %d, leader %v: %d calls at the others, the longest took %v", i+1, lead, calls, longest)
		if longest > stallMax {
			t.Errorf("a call has taken %v", longest)
		}
		for _, line := range failed {
			t.Error(line)
		}
	}
	c.settle(f.nodes...)
}

// TestFleetTransferStorm hands the leadership over again and again under load, and no call fails of it.
func TestFleetTransferStorm(t *testing.T) {
	rng := random(t)
	f := startFleet(t, 3, false)
	c := startCrowd(t, f, "w", rng)
	c.await(100)
	v := startVigil(t, f.nodes...)
	made := f.storm(40, rng)
	calls, longest, failed := v.end()
	t.Logf("%d of 40 transfers, %d calls, the longest took %v", made, calls, longest)
	if made < 20 {
		t.Errorf("of 40 transfers %d were made", made)
	}
	for _, line := range failed {
		t.Error(line)
	}
	c.settle(f.nodes...)
}

// TestOutageAtTransfer measures the time without service when the leadership is handed over: nothing is waited out.
func TestOutageAtTransfer(t *testing.T) {
	f := startFleet(t, 3, false)
	v := startVigil(t, f.nodes...)
	for range 3 {
		twice(t, "a transfer", 300*time.Millisecond, func() (time.Duration, string) {
			before, _ := f.nodes[f.leader()].state()
			asked := time.Now()
			if a, err := f.nodes[0].ask("FAILOVER"); err != nil || a.raw != "+OK\r\n" {
				t.Errorf("FAILOVER is answered by %q, %v", a.raw, err)
			}
			outage := v.back(asked)
			after, _ := f.nodes[f.leader()].state()
			return outage, elections(before, after)
		})
	}
	if _, longest, failed := v.end(); len(failed) > 0 || longest > stallMax {
		t.Errorf("the longest call took %v; these have failed: %q", longest, failed)
	}
}
