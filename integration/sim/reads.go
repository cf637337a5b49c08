package sim

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// bounds tells between which states a call must have seen the state, by the writes alone.
type bounds struct {
	byEnd   []mark             // acknowledged writes by their end, each with the latest place of those up to it
	byBegin []mark             // writes in the log by their begin, each with the earliest place of those from it on
	own     map[uint64][]*call // writes in the log, by connection, in the order of their sending
	made    map[*call]int
}

// mark is a place that holds from a step of the world on, or up to it.
type mark struct{ step, place int }

func (a *audit) newBounds() bounds {
	b := bounds{own: map[uint64][]*call{}, made: a.made}
	for _, c := range a.calls {
		place := a.made[c]
		if place == 0 {
			continue
		}
		b.own[c.client.Session] = append(b.own[c.client.Session], c)
		b.byBegin = append(b.byBegin, mark{c.begin, place})
		if c.outcome() == applied {
			b.byEnd = append(b.byEnd, mark{c.end, place})
		}
	}
	byStep := func(x, y mark) int { return cmp.Compare(x.step, y.step) }
	slices.SortFunc(b.byEnd, byStep)
	slices.SortFunc(b.byBegin, byStep)
	for i := 1; i < len(b.byEnd); i++ {
		b.byEnd[i].place = max(b.byEnd[i].place, b.byEnd[i-1].place)
	}
	for i := len(b.byBegin) - 2; i >= 0; i-- {
		b.byBegin[i].place = min(b.byBegin[i].place, b.byBegin[i+1].place)
	}
	return b
}

// first returns the first state that the call may have seen: what was acknowledged before it was sent is in it, and
// what its connection sent before it and was told of.
func (b *bounds) first(c *call) int {
	first := 0
	if n, _ := slices.BinarySearchFunc(b.byEnd, c.begin, compareStep); n > 0 {
		first = b.byEnd[n-1].place
	}
	for _, w := range b.own[c.client.Session] {
		if w.client.Sequence < c.client.Sequence && w.outcome() == applied {
			first = max(first, b.made[w])
		}
	}
	return first
}

// last returns the last state that the call may have seen: nothing is in it that was sent after it was answered, or
// after it by its connection.
func (b *bounds) last(c *call, states int) int {
	last := states - 1
	if n, _ := slices.BinarySearchFunc(b.byBegin, c.end+1, compareStep); c.end != never && n < len(b.byBegin) {
		last = b.byBegin[n].place - 1
	}
	for _, w := range b.own[c.client.Session] {
		if w.client.Sequence > c.client.Sequence {
			last = min(last, b.made[w]-1)
		}
	}
	return last
}

func compareStep(m mark, step int) int { return cmp.Compare(m.step, step) }

// placeReads gives every read a state that it may have seen.
//
// It goes through the reads in the order of their sending, and gives each the earliest state that fits: not before what
// must be in it, nor before the states of the reads that were over before. What a read must come after was sent before
// it and has its state already, and writes have theirs by the log, so by induction no choice of states in which all
// reads fit gives any of them an earlier one. If the earliest that fits comes too late, all do.
func (a *audit) placeReads() error {
	a.bounds = a.newBounds()
	var reads []*call
	for _, c := range a.calls {
		if c.way() == inState && c.outcome() == applied {
			reads = append(reads, c)
		}
	}
	slices.SortStableFunc(reads, func(x, y *call) int { return cmp.Compare(x.begin, y.begin) })
	over := slices.Clone(reads)
	slices.SortStableFunc(over, func(x, y *call) int { return cmp.Compare(x.end, y.end) })
	floor := 0 // no read may see less any more
	own := map[uint64]int{}
	for _, c := range reads {
		for ; len(over) > 0 && over[0].end < c.begin; over = over[1:] {
			floor = max(floor, a.placed[over[0]])
		}
		first := max(floor, own[c.client.Session], a.bounds.first(c))
		last := a.bounds.last(c, len(a.states))
		at := first
		for at <= last && !a.fits(c, a.states[at]) {
			at++
		}
		if at > last {
			return a.misfit(c, first, last)
		}
		a.placed[c], own[c.client.Session] = at, at
	}
	return nil
}

// misfit tells of a read that no state fits.
func (a *audit) misfit(c *call, first, last int) error {
	window := fmt.Sprintf("of the states from %d to %d", first, last)
	for at, s := range a.states {
		if a.fits(c, s) {
			return fmt.Errorf("a read saw state %d and no one %s: %s", at, window, c)
		}
	}
	return fmt.Errorf("a read saw what never was, and none %s: %s", window, c)
}

// fits reports whether a read may have been answered so from a state.
func (a *audit) fits(c *call, s *state) bool {
	switch {
	case c.selectsName():
		return s.selected(c)
	case c.words[0] != "EXEC":
		return a.matches(c, c, s, *c.answer)
	case c.answer.equal(noSpace):
		return slices.ContainsFunc(c.queued, func(q *call) bool { return !q.local() && s.gone(q.at) })
	}
	if len(c.answer.parts) != len(c.queued) || c.answer.null {
		return false
	}
	for i, q := range c.queued {
		part := c.answer.parts[i]
		if q.local() && !part.equal(q.ownAnswer()) || !q.local() && !a.matches(c, q, s, part) {
			return false
		}
	}
	return true
}

// selected holds the answer to a SELECT by name against a state.
func (s *state) selected(c *call) bool {
	at, there := s.names[c.words[1]]
	if !there {
		return c.answer.equal(noName(c.words[1]))
	}
	return c.answer.equal(okay) && c.chosen == at
}

// matches holds the answer to a command against a state. c is the read, of which the command may be a part.
func (a *audit) matches(c, line *call, s *state, told answer) bool {
	if told.equal(noSpace) {
		return s.gone(line.at)
	}
	if line.words[0] == "SCAN" && len(told.parts) != 2 || a.exact && s.pastDue(line, told, c.wallBegin) {
		return false
	}
	switch line.words[0] {
	case "SCAN":
		return s.scans(line, told)
	case "TTL", "PTTL":
		return a.lives(c, line, s, told)
	}
	return told.equal(s.look(line.at, line.words))
}

// pastDue reports whether an answer would be made of a key that is there by the log, though the clock says that its
// time is over. Such a key is never shown, and neither is that it is gone.
func (s *state) pastDue(line *call, told answer, now int64) bool {
	met := line.words[1:]
	switch line.words[0] {
	case "DBSIZE", "NAMESPACE":
		return false
	case "KEYS", "LISTKEYS":
		met = told.texts()
	case "SCAN":
		met = told.parts[1].texts()
	}
	for _, key := range met {
		if it, there := s.find(line.at, key); there && it.deadline != 0 && it.deadline <= now {
			return true
		}
	}
	return false
}

// lives holds the answer to TTL or PTTL against a state. It is for the time by the leader's clock, which is not behind
// the log time of the state. If no clock is wrong it lies between the sending and the answer.
func (a *audit) lives(c, line *call, s *state, told answer) bool {
	earliest, latest := s.time, int64(math.MaxInt64)
	if a.exact {
		earliest, latest = max(earliest, c.wallBegin), c.wallEnd
	}
	most, least := s.left(line.at, line.words, earliest), s.left(line.at, line.words, latest)
	return told.kind == ':' && told.number() <= most.number() && told.number() >= least.number()
}

// scans holds one answer to SCAN against a state: it holds keys that are there, none twice.
func (s *state) scans(line *call, told answer) bool {
	begin := strings.TrimSuffix(optionsOf(line.words[2:])["MATCH"], "*")
	seen := map[string]bool{}
	for _, key := range told.parts[1].texts() {
		if _, alive := s.find(line.at, key); !alive || seen[key] || !strings.HasPrefix(key, begin) {
			return false
		}
		seen[key] = true
	}
	_, err := strconv.ParseUint(told.parts[0].text, 10, 64)
	return err == nil
}
