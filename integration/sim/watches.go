package sim

import (
	"fmt"
	"slices"

	"github.com/primatomic/primatomic/engine"
)

// checkWatches checks of every transaction that was carried out that no key which it hangs on had changed: not after
// the last state that its WATCH may have seen, and none that its connection has read since reads otherwise right before
// it. A WATCH may see less than there is, as that only makes EXEC do nothing.
func (a *audit) checkWatches() error {
	reads := map[uint64][]*call{}
	for _, c := range a.calls {
		if _, placed := a.placed[c]; placed {
			reads[c.client.Session] = append(reads[c.client.Session], c)
		}
		if c.words[0] != "EXEC" || a.made[c] == 0 || a.aborted[c] {
			continue
		}
		for _, w := range c.watched {
			if !w.watches() {
				continue
			}
			if err := a.checkWatch(w, c, reads[c.client.Session]); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkWatch checks one WATCH of a transaction. reads are those of the connection, and all before the EXEC.
func (a *audit) checkWatch(w, exec *call, reads []*call) error {
	from, to := a.bounds.last(w, len(a.states)), a.made[exec]-1
	keys := w.words[1:]
	for _, key := range keys {
		for i := from + 1; i <= to; i++ {
			if !a.states[i-1].same(a.states[i], w.at, key) {
				return fmt.Errorf("carried out, though %q changed at %d:\n%s\n%s", key, i, w, exec)
			}
		}
		_, then := a.states[min(from, to)].find(w.at, key)
		if _, now := a.states[to].find(w.at, key); then && !now {
			return fmt.Errorf("carried out, though %q has expired:\n%s\n%s", key, w, exec)
		}
	}
	for _, r := range reads {
		if r.client.Sequence < w.client.Sequence || r.at != w.at || r.words[0] != "GET" && r.words[0] != "MGET" {
			continue
		}
		watched := !slices.ContainsFunc(r.words[1:], func(key string) bool { return !slices.Contains(keys, key) })
		if watched && !a.fits(r, a.states[to]) {
			return fmt.Errorf("carried out, though what was read has changed:\n%s\n%s\n%s", w, r, exec)
		}
	}
	return nil
}

// same reports whether a key is untouched from one state to another.
func (s *state) same(other *state, at engine.Ref, key string) bool {
	one, two := s.spaces[at], other.spaces[at]
	if one == two {
		return true
	}
	var before item
	var there bool
	if one != nil {
		before, there = one.items[key]
	}
	if two == nil {
		return false
	}
	after, still := two.items[key]
	return before == after && there == still
}
