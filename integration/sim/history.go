package sim

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// verb is what a call does. Each kind of key has its own, because what can be checked differs:
//
//   - a list grows by appends of tokens that no other call uses, so its value is its history;
//   - a register is set, compared and swapped, and checked by porcupine;
//   - a fading key is set once, with a time to live, and never again.
type verb string

const (
	appends  verb = "append"
	lists    verb = "read list"
	sets     verb = "set"
	swaps    verb = "cas"
	gets     verb = "read register"
	setsFade verb = "set fading"
	getsFade verb = "read fading"
)

type outcome uint8

const (
	unknown outcome = iota // no answer, or one that says so
	applied
	refused
)

const never = math.MaxInt

// record is one call with one key, and its answer.
type record struct {
	verb       verb
	key        string
	arg, old   string // old: what CAS expects
	submission int
	place      int // in the submission
	together   int // of records that took effect at one moment, else 0

	begin, end         int // of the submission, in steps of the world; never: not answered
	wallBegin, wallEnd int64
	life               time.Duration // of a fading key
	outcome            outcome
	value              string // of a read
	missing            bool   // a read found no key
	number             int    // answer of an append or a swap
}

func (r *record) String() string {
	return fmt.Sprintf("%s %s %s%s in %d.%d [%d, %d]: outcome %d, value %s, number %d", r.verb, r.key,
		r.old, brief(r.arg), r.submission, r.place, r.begin, r.end, r.outcome, brief(r.value), r.number)
}

var filling = regexp.MustCompile("xx+")

// brief leaves out what only makes a value large.
func brief(value string) string { return filling.ReplaceAllString(value, "x...x") }

// precedes tells that a was answered before b was sent, or stood before it in one submission.
func (r *record) precedes(b *record) bool {
	return r.end < b.begin || r.submission == b.submission && r.place < b.place && r.outcome == applied
}

// take notes an answer; an error means that no answer may look like it.
func (r *record) take(a answer) error {
	switch {
	case a.fails("UNCERTAIN"):
		return nil
	case a.refuses(), a.fails("OOM"), a.equal(notDone):
		r.outcome = refused
		return nil
	}
	good := false
	switch r.verb {
	case appends, swaps:
		r.number, good = a.number(), a.number() >= 0
	case sets, setsFade:
		good = a.kind == '+' && a.text == "OK"
	default:
		r.value, r.missing, good = a.text, a.null, a.kind == '$'
	}
	if !good {
		return fmt.Errorf("an answer that cannot be: %s to %s", a, r)
	}
	r.outcome = applied
	return nil
}

// history is what all clients asked and were told.
type history struct {
	records []*record
	exact   bool // the wall clock never jumps, so that the end of a life is known to the millisecond
}

// check holds the history against itself. Every key was read at the end.
func (h *history) check() error {
	byKey := map[string][]*record{}
	var keys []string
	for _, r := range h.records {
		if byKey[r.key] == nil {
			keys = append(keys, r.key)
		}
		byKey[r.key] = append(byKey[r.key], r)
	}
	slices.Sort(keys)
	for _, key := range keys {
		var err error
		switch key[0] {
		case 'l':
			err = checkList(byKey[key])
		case 'r':
			err = checkRegister(byKey[key])
		case 'f':
			err = h.checkFading(byKey[key])
		}
		if err != nil {
			return fmt.Errorf("key %s: %w", key, err)
		}
	}
	return h.checkTogether()
}

// tokens splits a list; each token ends with ';'.
func tokens(list string) []string {
	all := strings.SplitAfter(list, ";")
	return all[:len(all)-1]
}

// checkList holds every append and read of a list against its last value.
func checkList(records []*record) error {
	last := records[len(records)-1]
	if last.verb != lists || last.outcome != applied {
		return fmt.Errorf("the list was not read at the end: %s", last)
	}
	ends := map[string]int{}
	at := 0
	for _, token := range tokens(last.value) {
		at += len(token)
		if ends[token] != 0 {
			return fmt.Errorf("%q was appended twice: %s", token, last)
		}
		ends[token] = at
	}
	for _, r := range records {
		if err := checkOnList(r, last.value, ends); err != nil {
			return err
		}
		for _, b := range records {
			if r != b && r.precedes(b) && r.outcome == applied && b.outcome != refused {
				if err := checkOrder(r, b, ends); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func checkOnList(r *record, last string, ends map[string]int) error {
	end, there := ends[r.arg]
	switch {
	case r.verb == lists && r.outcome == applied && !strings.HasPrefix(last, r.value):
		return fmt.Errorf("a read saw what is not there at the end: %s, at the end %s", r, brief(last))
	case r.verb == lists:
	case r.outcome == refused && there:
		return fmt.Errorf("said not to be applied, but it was: %s", r)
	case r.outcome == applied && !there:
		return fmt.Errorf("acknowledged and lost: %s, at the end %s", r, brief(last))
	case r.outcome == applied && end != r.number:
		return fmt.Errorf("acknowledged for another place than %d: %s", end, r)
	}
	return nil
}

// checkOrder holds two calls of a list against each other of which the first came before the second.
func checkOrder(a, b *record, ends map[string]int) error {
	reach := func(r *record) int { // how long the list is at least, or was
		if r.verb == lists {
			return len(r.value)
		}
		return ends[r.arg]
	}
	switch {
	case b.verb == lists && b.outcome == applied && reach(b) < reach(a):
		return fmt.Errorf("a read does not see what was there before it:\n%s\n%s", a, b)
	case b.verb == appends && ends[b.arg] != 0 && ends[b.arg] <= reach(a):
		return fmt.Errorf("a call sees what came after it:\n%s\n%s", a, b)
	}
	return nil
}

// checkFading: once its life is seen to be over, a key is gone for good; and it is over when it should.
func (h *history) checkFading(records []*record) error {
	set := records[0]
	for i, r := range records[1:] {
		if r.outcome != applied {
			continue
		}
		if !r.missing && (r.value != set.arg || set.outcome == refused) {
			return fmt.Errorf("a read of what was not written: %s\n%s", set, r)
		}
		for _, b := range records[1+i:] {
			gone := r.missing && (set.outcome == applied && set.precedes(r) || seen(records[1:], r))
			if gone && r.precedes(b) && b.outcome == applied && !b.missing {
				return fmt.Errorf("an expired key came back:\n%s\n%s\n%s", set, r, b)
			}
		}
		if !h.exact || set.outcome != applied || !set.precedes(r) {
			continue
		}
		if over := set.wallBegin + set.life.Milliseconds(); r.missing && r.wallEnd < over {
			return fmt.Errorf("expired at %d or before, must live until %d: %s\n%s", r.wallEnd, over, set, r)
		}
		if over := set.wallEnd + set.life.Milliseconds(); !r.missing && r.wallBegin > over {
			return fmt.Errorf("alive at %d, must end by %d: %s\n%s", r.wallBegin, over, set, r)
		}
	}
	return nil
}

// seen tells that the key was seen alive before r.
func seen(records []*record, r *record) bool {
	return slices.ContainsFunc(records, func(a *record) bool {
		return a.outcome == applied && !a.missing && a.precedes(r)
	})
}

// checkTogether: of what was to happen at one moment all has happened or nothing, and reads of two
// lists at one moment see the same of it.
func (h *history) checkTogether() error {
	final := map[string]map[string]bool{} // tokens by key
	groups := map[int][]*record{}
	for _, r := range h.records {
		if r.verb == lists && r.outcome == applied {
			final[r.key] = setOf(r.value) // the last one stays
		}
		if r.together != 0 {
			groups[r.together] = append(groups[r.together], r)
		}
	}
	var paired []*record // the first of each pair of appends
	for _, g := range groups {
		if g[0].verb == appends {
			paired = append(paired, g[0])
			if final[g[0].key][g[0].arg] != final[g[1].key][g[1].arg] {
				return fmt.Errorf("a transaction took effect by half:\n%s\n%s", g[0], g[1])
			}
		}
	}
	for _, g := range groups {
		if g[0].verb != lists || g[0].outcome != applied {
			continue
		}
		a, b := setOf(g[0].value), setOf(g[1].value)
		for _, p := range paired {
			other := groups[p.together][1]
			if p.key == g[1].key {
				p, other = other, p
			}
			if p.key == g[0].key && other.key == g[1].key && a[p.arg] != b[other.arg] {
				return fmt.Errorf("a transaction was seen by half:\n%s\n%s\n%s", p, g[0], g[1])
			}
		}
	}
	return nil
}

func setOf(list string) map[string]bool {
	set := map[string]bool{}
	for _, token := range tokens(list) {
		set[token] = true
	}
	return set
}

// checkRegister asks porcupine whether the calls of a register can be put in an order.
func checkRegister(records []*record) error {
	var calls []porcupine.Operation
	for _, r := range records {
		if r.outcome == refused || r.outcome == unknown && r.verb == gets {
			continue
		}
		end := int64(math.MaxInt64)
		if r.outcome == applied {
			end = int64(r.end)
		}
		calls = append(calls, porcupine.Operation{
			ClientId: r.submission*submissionMax + r.place, Input: r, Output: r, Call: int64(r.begin), Return: end,
		})
	}
	if porcupine.CheckOperationsTimeout(registerModel, calls, 10*time.Second) != porcupine.Illegal {
		return nil
	}
	var all strings.Builder
	for _, r := range records {
		fmt.Fprintln(&all, r)
	}
	return fmt.Errorf("the calls cannot be put in an order:\n%s", all.String())
}

// registerModel is a register with "" for a missing key.
var registerModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		r := input.(*record)
		swapped := 0
		switch {
		case r.verb == gets:
			return r.value == state || r.missing && state == "", state
		case r.verb == sets:
			return true, r.arg
		case r.old == "" || r.old == state:
			swapped, state = 1, any(r.arg)
		}
		return r.outcome == unknown || r.number == swapped, state
	},
}
