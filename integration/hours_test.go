package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hours are what clients have learned of log time, each from a write that was acknowledged.
type hours struct {
	mu  sync.Mutex
	all []hour // guarded by mu
}

// hour is the log time of one entry, in ms, as a client learned it.
type hour struct {
	called, returned int64 // by the history's clock
	from, to         int64 // the same moments by this machine's wall clock, in ms
	told             int64
}

// hourTTL is the TTL of the keys from which log time is learned, in ms.
const hourTTL = 3_600_000

func (h *hours) add(one hour) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, one)
}

// check returns what cannot be: log time that is off the wall clock by more than the slack, in ms, or that goes back
// from one entry to one which was sent after the first was acknowledged.
func (h *hours) check(slack int64) (wrong []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	off, worst := 0, int64(0)
	for _, one := range h.all {
		if by := max(one.from-slack-one.told, one.told-one.to-slack); by > 0 {
			off, worst = off+1, max(worst, by+slack)
		}
	}
	if off > 0 {
		wrong = append(wrong, fmt.Sprintf("log time was off by more than %d ms %d times of %d, by up to %d ms",
			slack, off, len(h.all), worst))
	}
	back := slices.Clone(h.all)
	slices.SortFunc(back, func(a, b hour) int { return int(a.returned - b.returned) })
	called := slices.Clone(h.all)
	slices.SortFunc(called, func(a, b hour) int { return int(a.called - b.called) })
	latest := hour{}
	for _, one := range called {
		for len(back) > 0 && back[0].returned < one.called {
			if back[0].told > latest.told {
				latest = back[0]
			}
			back = back[1:]
		}
		if one.told < latest.told {
			wrong = append(wrong, fmt.Sprintf("log time went back: sent at %d, %d; acknowledged at %d before, %d",
				one.called, one.told, latest.returned, latest.told))
		}
	}
	return wrong
}

// TestHoursCatchPlantedFaults shows hours that no sound store can make, and their likes that one can.
func TestHoursCatchPlantedFaults(t *testing.T) {
	at := func(from, to, told int64) hour { return hour{from, to, from, to, told} }
	for _, test := range []struct {
		name, want string
		all        []hour
	}{
		{"in order", "", []hour{at(1000, 1010, 1005), at(1020, 1030, 1025)}},
		{"within the slack", "", []hour{at(1000, 1010, 905), at(1020, 1030, 1125)}},
		{"ahead", "off by more than 100 ms 1 times of 2, by up to 171 ms",
			[]hour{at(1000, 1010, 1005), at(1020, 1030, 1201)}},
		{"behind", "by up to 500 ms", []hour{at(1000, 1010, 500)}},
		{"back", "went back", []hour{at(1000, 1010, 1005), at(1011, 1030, 1004)}},
		{"back at one time", "", []hour{at(1000, 1010, 1005), at(1009, 1030, 1004)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &hours{all: test.all}
			said := strings.Join(h.check(100), "\n")
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the check says %q", said)
			}
		})
	}
}
