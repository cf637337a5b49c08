package sim

import (
	"bytes"
	"fmt"

	"github.com/primatomic/primatomic/raft"
)

// ledger is what nodes have handed to their state machines, by place in the log. Whoever applies a place first says
// what it is, and nobody ever applies anything else there: State Machine Safety, in Raft's words.
type ledger struct {
	entries map[raft.Index]posting
	broken  error // the first contradiction
}

// posting is one entry as a state machine gets it.
type posting struct {
	kind string
	term raft.Term // 0 if a state machine is not told
	data []byte
}

const (
	payload       = "payload"
	charter       = "charter"
	configuration = "configuration"
)

func newLedger() *ledger { return &ledger{entries: map[raft.Index]posting{}} }

// enter holds what a node applies at a place against what was applied there before.
func (l *ledger) enter(node uint64, at raft.Index, p posting) {
	first, there := l.entries[at]
	switch {
	case !there:
		l.entries[at] = p
	case first.kind != p.kind || first.term != p.term || !bytes.Equal(first.data, p.data):
		l.breaks("node %d applies at %d a %s of term %d, %x, where there was a %s of term %d, %x", node, at,
			p.kind, p.term, digestOf(p.data), first.kind, first.term, digestOf(first.data))
	}
}

func (l *ledger) breaks(format string, args ...any) {
	if l.broken == nil {
		l.broken = fmt.Errorf(format, args...)
	}
}

// holds checks that a state as of a place is one that somebody may have made.
func (l *ledger) holds(node uint64, at raft.Index, term raft.Term) {
	if p, there := l.entries[at]; there && p.term != 0 && p.term != term {
		l.breaks("node %d has a state as of %d in term %d, applied was one of term %d", node, at, term, p.term)
	}
}

// bookkeeper stands between the raft host and the state machine of one process, and enters all that passes in the
// ledger.
type bookkeeper struct {
	raft.StateMachine
	ledger *ledger
	node   uint64
	next   raft.Index // nothing is left out and nothing comes twice
}

// keep puts a bookkeeper before a state machine whose state is as of a place.
func (l *ledger) keep(m raft.StateMachine, node uint64, at raft.Index, term raft.Term) raft.StateMachine {
	l.holds(node, at, term)
	return &bookkeeper{m, l, node, at + 1}
}

func (b *bookkeeper) pass(at raft.Index, p posting) {
	if at != b.next {
		b.ledger.breaks("node %d applies %d where %d is next", b.node, at, b.next)
	}
	b.ledger.enter(b.node, at, p)
	b.next = at + 1
}

// Apply is that of raft.StateMachine.
func (b *bookkeeper) Apply(tag raft.Term, entries []raft.Entry) {
	for _, e := range entries {
		b.pass(e.Index, posting{payload, e.Term, e.Data})
	}
	b.StateMachine.Apply(tag, entries)
}

// SetCharter is that of raft.StateMachine.
func (b *bookkeeper) SetCharter(tag raft.Term, at raft.Entry, c raft.Charter) {
	b.pass(at.Index, posting{charter, at.Term, fmt.Append(nil, c)})
	b.StateMachine.SetCharter(tag, at, c)
}

// SetConfState is that of raft.StateMachine.
func (b *bookkeeper) SetConfState(at raft.Index, confState []byte, c raft.Charter) {
	b.pass(at, posting{configuration, 0, fmt.Append(nil, confState, c)})
	b.StateMachine.SetConfState(at, confState, c)
}

// Install is that of raft.StateMachine.
func (b *bookkeeper) Install(tag raft.Term, c *raft.Checkpoint) (raft.Charter, error) {
	if c.Index < b.next {
		b.ledger.breaks("node %d goes back from %d to a checkpoint as of %d", b.node, b.next-1, c.Index)
	}
	b.ledger.holds(b.node, c.Index, c.Term)
	b.next = c.Index + 1
	return b.StateMachine.Install(tag, c)
}
