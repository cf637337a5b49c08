package sim

import (
	"strings"
	"testing"

	"github.com/primatomic/primatomic/raft"
)

// idle is a state machine of which only the bookkeeper's part is looked at.
type idle struct{ raft.StateMachine }

func (idle) Apply(raft.Term, []raft.Entry)                                 {}
func (idle) SetCharter(raft.Term, raft.Entry, raft.Charter)                {}
func (idle) SetConfState(raft.Index, []byte, raft.Charter)                 {}
func (idle) Install(raft.Term, *raft.Checkpoint) (c raft.Charter, _ error) { return c, nil }

// TestLedger: whoever contradicts what was applied at a place is found.
func TestLedger(t *testing.T) {
	entry := func(term raft.Term, at raft.Index, data string) raft.Entry {
		return raft.Entry{Term: term, Index: at, Data: []byte(data)}
	}
	for _, test := range []struct {
		name, wrong string
		does        func(l *ledger, m raft.StateMachine) // after another node has applied a, b and c at 1, 2 and 3
	}{
		{"the same", "", func(_ *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c"), entry(2, 4, "d")})
		}},
		{"other bytes", "applies at 2 a payload", func(_ *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(1, 1, "a"), entry(1, 2, "x")})
		}},
		{"another term", "applies at 1 a payload of term 2", func(_ *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(2, 1, "a")})
		}},
		{"another kind", "applies at 1 a charter", func(_ *ledger, m raft.StateMachine) {
			m.SetCharter(1, entry(1, 1, ""), raft.Charter{})
		}},
		{"left out", "applies 2 where 1 is next", func(_ *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(1, 2, "b")})
		}},
		{"twice", "applies 1 where 2 is next", func(_ *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(1, 1, "a"), entry(1, 1, "a")})
		}},
		{"another configuration", "a configuration of term 0", func(l *ledger, m raft.StateMachine) {
			m.Apply(1, []raft.Entry{entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c")})
			m.SetConfState(4, []byte{1}, raft.Charter{})
			l.keep(idle{}, 3, 3, 2).SetConfState(4, []byte{2}, raft.Charter{})
		}},
		{"a checkpoint", "", func(_ *ledger, m raft.StateMachine) {
			_, _ = m.Install(2, &raft.Checkpoint{Index: 3, Term: 2})
			m.Apply(2, []raft.Entry{entry(2, 4, "d")})
		}},
		{"a checkpoint of something else", "a state as of 3 in term 1", func(_ *ledger, m raft.StateMachine) {
			_, _ = m.Install(2, &raft.Checkpoint{Index: 3, Term: 1})
		}},
		{"a checkpoint of long ago", "goes back from 3", func(l *ledger, _ raft.StateMachine) {
			_, _ = l.keep(idle{}, 2, 3, 2).Install(2, &raft.Checkpoint{Index: 1, Term: 1})
		}},
		{"a state of something else", "a state as of 3 in term 3", func(l *ledger, _ raft.StateMachine) {
			l.keep(idle{}, 2, 3, 3)
		}},
	} {
		l := newLedger()
		l.keep(idle{}, 1, 0, 0).Apply(1, []raft.Entry{entry(1, 1, "a"), entry(1, 2, "b"), entry(2, 3, "c")})
		test.does(l, l.keep(idle{}, 2, 0, 0))
		switch {
		case test.wrong == "" && l.broken != nil:
			t.Errorf("%s: %v", test.name, l.broken)
		case test.wrong != "" && (l.broken == nil || !strings.Contains(l.broken.Error(), test.wrong)):
			t.Errorf("%s: found %v, want %q", test.name, l.broken, test.wrong)
		}
	}
}
