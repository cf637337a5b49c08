package sim

import (
	"fmt"
	"strings"
)

// checkScans checks what SCAN promises of an iteration as a whole: a key that was there from the first call to the last
// is in it.
func (a *audit) checkScans() error {
	open := map[uint64][]*call{} // iterations by connection
	for _, c := range a.calls {
		if _, placed := a.placed[c]; !placed || c.words[0] != "SCAN" || len(c.answer.parts) != 2 {
			continue
		}
		calls := open[c.client.Session]
		if n := len(calls); n > 0 && (calls[n-1].answer.parts[0].text != c.words[1] || calls[n-1].at != c.at) {
			calls = nil
		}
		if len(calls) == 0 && c.words[1] != "0" { // of an iteration with a gap
			continue
		}
		open[c.client.Session] = append(calls, c)
		if c.answer.parts[0].text == "0" {
			if err := a.checkScan(open[c.client.Session]); err != nil {
				return err
			}
			open[c.client.Session] = nil
		}
	}
	return nil
}

// checkScan checks one iteration, from the earliest state that its first call may have seen to the last of its last.
func (a *audit) checkScan(calls []*call) error {
	seen := map[string]bool{}
	for _, c := range calls {
		for _, key := range c.answer.parts[1].texts() {
			seen[key] = true
		}
	}
	one, other := calls[0], calls[len(calls)-1]
	from, to := a.placed[one], a.bounds.last(other, len(a.states))
	begin := strings.TrimSuffix(optionsOf(one.words[2:])["MATCH"], "*")
	for _, key := range a.states[from].keys(one.at, begin) {
		if !seen[key] && a.stays(one, key, from, to) {
			return fmt.Errorf("%q was there all the time and is not in the iteration of %d calls:\n%s\n%s",
				key, len(calls), one, other)
		}
	}
	return nil
}

// stays reports whether a key is there in all of some states.
func (a *audit) stays(c *call, key string, from, to int) bool {
	for i := from; i <= to; i++ {
		if _, there := a.states[i].find(c.at, key); !there {
			return false
		}
	}
	return true
}
