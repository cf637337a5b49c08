package integration

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mortal is a key that was written once, with a TTL, and what was seen of it. Times are of this machine's wall clock,
// which is the nodes' too, in milliseconds.
type mortal struct {
	key    string
	ttl    int64
	sent   int64
	fate   fate
	backAt int64         // when the write was answered
	slack  *atomic.Int64 // by how many ms log time may be off at most while it lives

	mu       sync.Mutex
	deadline int64 // as first told, 0: nobody was; guarded by mu
	gone     int64 // when it was first told that the key is not there, 0: never; guarded by mu
}

// clockSlack is how far log time may be off this machine's wall clock, in ms, which leaders' log time follows.
const clockSlack = 100

// sight is what one call has told of a mortal: its deadline, 0 for one that is not told, -1 for none, or -2 for no key.
type sight struct {
	called, returned int64
	told             int64
}

// see holds a sight against earlier ones, and returns what cannot be. Sights of one mortal may come from many clients.
func (m *mortal) see(s sight) (wrong string) {
	slack := m.slack.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(format string, args ...any) {
		wrong = fmt.Sprintf("%s (ttl %d, sent at %d, back at %d, deadline %d, gone at %d; asked at %d, %d at %d): ",
			m.key, m.ttl, m.sent, m.backAt, m.deadline, m.gone, s.called, s.told, s.returned) +
			fmt.Sprintf(format, args...)
	}
	if s.told == -2 {
		if s.returned < m.deadline-slack || m.fate == applied && s.returned < m.sent+m.ttl-slack {
			fail("it has gone before its deadline")
		}
		if m.gone == 0 && (m.fate == applied || m.deadline != 0) {
			m.gone = s.returned
		}
		return wrong
	}
	switch {
	case s.told < 0:
		fail("it has no deadline")
	case m.fate == refused:
		fail("its write was refused, and it is there")
	case m.gone != 0 && s.called > m.gone:
		fail("it has come back")
	case s.told == 0 && m.deadline != 0 && s.called > m.deadline+slack:
		fail("it lives after its deadline")
	case s.told == 0:
		return wrong
	case m.deadline != 0 && s.told != m.deadline:
		fail("its deadline has moved")
	case s.called > s.told+slack:
		fail("it lives after its deadline")
	case s.told < m.sent+m.ttl-slack:
		fail("its deadline is too early")
	case m.fate == applied && s.told > m.backAt+m.ttl+slack:
		fail("its deadline is too late")
	}
	m.deadline = s.told
	return wrong
}

// wallMillis is the wall clock.
func wallMillis() int64 { return time.Now().UnixMilli() }

// TestMortalCatchesPlantedFaults shows mortals that no sound store can make, and their likes that one can.
func TestMortalCatchesPlantedFaults(t *testing.T) {
	const sent, ttl = 10_000, 1000
	at := func(at, told int64) sight { return sight{at, at + 1, told} }
	for _, test := range []struct {
		name, want string
		fate       fate
		sights     []sight
	}{
		{"lives and dies", "", applied, []sight{at(10_500, 11_000), at(11_010, -2), at(12_000, -2)}},
		{"comes back", "come back", applied, []sight{at(11_001, -2), at(11_010, 11_000)}},
		{"two at one time", "", applied, []sight{{11_000, 11_005, -2}, {11_000, 11_009, 11_001}}},
		{"restarted", "moved", applied, []sight{at(10_500, 11_000), at(10_600, 11_600)}},
		{"late", "after its deadline", applied, []sight{at(11_200, 11_000)}},
		{"early", "before its deadline", applied, []sight{at(10_500, -2)}},
		{"early deadline", "too early", applied, []sight{at(10_010, 10_500)}},
		{"late deadline", "too late", applied, []sight{at(10_010, 11_900)}},
		{"no deadline", "no deadline", applied, []sight{at(10_010, -1)}},
		{"read after it has gone", "come back", applied, []sight{at(11_001, -2), at(11_010, 0)}},
		{"read after its deadline", "lives after", applied, []sight{at(10_500, 11_000), at(11_200, 0)}},
		{"read while it lives", "", applied, []sight{at(10_500, 0), at(10_600, 11_001), at(10_700, 0)}},
		{"refused", "refused", refused, []sight{at(10_010, 11_000)}},
		{"unknown, seen late", "", unknown, []sight{at(10_001, -2), at(10_500, 11_400), at(11_500, -2)}},
		{"unknown, comes back", "come back", unknown, []sight{at(10_500, 11_000), at(11_005, -2), at(11_010, 11_000)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &mortal{key: "m", ttl: ttl, sent: sent, backAt: sent + 2, fate: test.fate, slack: new(atomic.Int64)}
			m.slack.Store(clockSlack)
			said := ""
			for _, s := range test.sights {
				said += m.see(s)
			}
			if test.want == "" && said != "" || !strings.Contains(said, test.want) {
				t.Errorf("the check says %q", said)
			}
		})
	}
}
