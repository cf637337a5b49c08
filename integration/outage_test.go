package integration

import (
	"fmt"
	"testing"
	"time"
)

// twice makes a measurement again if the first one was over the bound: votes may be split, and machines busy.
func twice(t *testing.T, what string, bound time.Duration, measure func() (outage time.Duration, about string)) {
	t.Helper()
	for attempt := range 2 {
		outage, about := measure()
		t.Logf("%s: %v without service (at most %v); %s", what, outage.Round(time.Millisecond), bound, about)
		if outage <= bound {
			return
		}
		if attempt == 1 {
			t.Errorf("%s: %v without service, twice", what, outage)
		}
	}
}

// TestOutageAtKill measures the time without service when the leader is killed, and how soon there is service when
// a quorum comes back.
func TestOutageAtKill(t *testing.T) {
	f := startFleet(t, 3, false)
	twice(t, "kill -9 of the leader", outageMax, func() (time.Duration, string) {
		lead := f.leader()
		before, _ := f.nodes[lead].state()
		v := startVigil(t, f.except(lead)...)
		f.nodes[lead].kill()
		outage := v.back(time.Now())
		v.end()
		after, err := f.nodes[f.leader(f.except(lead)...)].state()
		if err != nil {
			t.Fatal(err)
		}
		f.nodes[lead].restart()
		f.serves(startTimeout, f.nodes...)
		return outage, elections(before, after)
	})
	twice(t, "the quorum comes back", outageMax, func() (time.Duration, string) {
		before, _ := f.nodes[f.leader()].state()
		f.nodes[0].kill()
		f.nodes[1].kill()
		f.nodes[1].restart()
		v := startVigil(t, f.nodes[1:]...)
		outage := v.back(time.Now())
		v.end()
		after, err := f.nodes[f.leader(f.nodes[1:]...)].state()
		if err != nil {
			t.Fatal(err)
		}
		f.nodes[0].restart()
		f.serves(startTimeout, f.nodes...)
		return outage, elections(before, after)
	})
	twice(t, "all come back", outageMax, func() (time.Duration, string) {
		before, _ := f.nodes[f.leader()].state()
		began := time.Now()
		f.killWhole()
		v := startVigil(t, f.nodes...)
		ran := time.Since(began)
		outage := v.back(time.Now())
		v.end()
		after, _ := f.nodes[f.leader()].state()
		f.serves(startTimeout, f.nodes...)
		return outage, fmt.Sprintf("they ran again after %v; %s", ran.Round(time.Millisecond), elections(before, after))
	})
}

// elections tells how many terms have passed: more than one is a split vote.
func elections(before, after state) string {
	if after.term-before.term > 1 {
		return "the vote was split or repeated"
	}
	return "one election"
}

// TestOutageAtCut: a leader that is cut off from the others is replaced within the same time, and when nobody reaches
// anybody there is service soon after the links are back.
func TestOutageAtCut(t *testing.T) {
	f := startFleet(t, 3, true)
	twice(t, "the leader is cut off", outageMax, func() (time.Duration, string) {
		lead := f.leader()
		before, _ := f.nodes[lead].state()
		v := startVigil(t, f.except(lead)...)
		f.isolate(lead, true, true)
		outage := v.back(time.Now())
		v.end()
		after, _ := f.nodes[f.leader(f.except(lead)...)].state()
		f.net.heal()
		f.serves(startTimeout, f.nodes...)
		return outage, elections(before, after)
	})
	for _, last := range []time.Duration{time.Second, 4 * time.Second} {
		twice(t, "the links are back after "+last.String(), outageMax, func() (time.Duration, string) {
			before, _ := f.nodes[f.leader()].state()
			for i := range f.nodes {
				f.isolate(i, true, true)
			}
			<-time.After(last)
			v := startVigil(t, f.nodes...)
			f.net.heal()
			outage := v.back(time.Now())
			v.end()
			f.serves(startTimeout, f.nodes...)
			after, _ := f.nodes[f.leader()].state()
			return outage, elections(before, after)
		})
	}
}
