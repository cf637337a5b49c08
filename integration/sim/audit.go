package sim

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/store"
)

// audit replays what was committed through the model and holds everything that clients were told against that: every
// write has the answer of its place in the log, every read that of a place between those of the writes and reads that
// were over before it and those of the writes that came after it. So all calls took effect one after the other, each
// between its sending and its answer, on the state as a whole: strict serializability.
type audit struct {
	calls   []*call // in the order of their sending; those of a connection in the order of their numbers
	exact   bool    // the wall clock of all nodes is true
	entries int
	states  []*state
	made    map[*call]int  // by calls in the log: states[i] is what the call has made of states[i-1]
	aborted map[*call]bool // transactions in the log that did nothing: a watched key had changed, or memory was short
	placed  map[*call]int  // reads, by the state that they saw
	bounds  bounds
}

// auditAll audits a run. Every place of the log that was ever applied is in the ledger.
func auditAll(l *ledger, calls []*call, exact bool) (*audit, error) {
	a := &audit{calls: calls, exact: exact}
	if l.broken != nil {
		return a, l.broken
	}
	entries, err := l.payloads()
	if err != nil {
		return a, err
	}
	return a, a.run(entries)
}

// payloads returns what the ledger holds for the state machine, in order. The places are without a gap.
func (l *ledger) payloads() ([]store.Entry, error) {
	places := make([]raft.Index, 0, len(l.entries))
	for at := range l.entries {
		places = append(places, at)
	}
	slices.Sort(places)
	var entries []store.Entry
	for i, at := range places {
		if i > 0 && at != places[i-1]+1 {
			return nil, fmt.Errorf("nobody has applied anything between %d and %d", places[i-1], at)
		}
		if p := l.entries[at]; p.kind == payload && len(p.data) > 0 {
			e, err := store.ReadEntry(p.data)
			if err != nil {
				return nil, fmt.Errorf("entry %d: %w", at, err)
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func (a *audit) run(entries []store.Entry) error {
	a.made, a.placed, a.aborted = map[*call]int{}, map[*call]int{}, map[*call]bool{}
	a.states = []*state{{spaces: map[engine.Ref]*space{}, names: map[string]engine.Ref{}}}
	sent := map[command.Client]*call{}
	for _, c := range a.calls {
		sent[c.client] = c
	}
	a.entries = len(entries)
	for _, e := range entries {
		if err := a.replay(&e, sent); err != nil {
			return err
		}
	}
	for _, check := range []func() error{a.checkWrites, a.placeReads, a.checkWatches, a.checkScans} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// now is the latest state.
func (a *audit) now() *state { return a.states[len(a.states)-1] }

// replay applies one entry to the model, and compares the answers.
func (a *audit) replay(e *store.Entry, sent map[command.Client]*call) error {
	if e.LogTime < a.now().time {
		return fmt.Errorf("log time goes back from %d to %d", a.now().time, e.LogTime)
	}
	// Each step is a state of its own: a reader may come between any two.
	a.states = append(a.states, a.now().later(e.LogTime))
	a.states = append(a.states, a.now().reaped(e.Reap))
	for i := range e.Calls {
		l := &e.Calls[i]
		c := sent[l.Client]
		if c == nil {
			return fmt.Errorf("the log has a call that nobody sent: %.200q", wordsOf(l.Args))
		}
		if a.made[c] != 0 {
			return fmt.Errorf("it is in the log twice: %s", c)
		}
		if err := c.logged(&l.Call); err != nil {
			return fmt.Errorf("%w: %s", err, c)
		}
		if c.way() != inLog {
			return fmt.Errorf("it has no place in the log, and is there: %s", c)
		}
		next, want := a.now().after(l, e.MemoryMax)
		a.states = append(a.states, next)
		a.made[c], a.aborted[c] = len(a.states)-1, want.kind != '*' || want.null
		if err := c.told(want); err != nil {
			return err
		}
	}
	return nil
}

// told holds what the client of a call in the log was told against what it should have been.
func (c *call) told(want answer) error {
	for i, q := range c.queued {
		if q.local() && i < len(want.parts) {
			want.parts[i] = q.ownAnswer()
		}
	}
	switch outcome := c.outcome(); {
	case outcome == refused:
		return fmt.Errorf("said not to be applied, and is in the log: %s", c)
	case outcome == applied && !c.answer.equal(want):
		return fmt.Errorf("the answer at its place in the log is %s: %s", brief(want.String()), c)
	}
	return nil
}

// checkWrites checks that every acknowledged write is in the log, and that the log's order is one in which nothing
// stands before what was answered before it was sent, or before what its connection has sent earlier.
func (a *audit) checkWrites() error {
	var logged []*call
	for _, c := range a.calls {
		switch {
		case a.made[c] != 0:
			logged = append(logged, c)
		case c.way() == inLog && c.outcome() == applied:
			return fmt.Errorf("acknowledged, and not in the log: %s", c)
		}
	}
	slices.SortFunc(logged, func(x, y *call) int { return cmp.Compare(a.made[x], a.made[y]) })
	var latest *call // sent
	last := map[uint64]*call{}
	for _, c := range logged {
		if latest != nil && c.end < latest.begin {
			return fmt.Errorf("answered before the other was sent, and behind it in the log:\n%s\n%s", c, latest)
		}
		if latest == nil || c.begin > latest.begin {
			latest = c
		}
		if before := last[c.client.Session]; before != nil && before.client.Sequence > c.client.Sequence {
			return fmt.Errorf("a connection's calls changed places in the log:\n%s\n%s", c, before)
		}
		last[c.client.Session] = c
	}
	return nil
}
