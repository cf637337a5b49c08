package sim

import (
	"bytes"

	"github.com/primatomic/primatomic/raft"
)

// plant is a bug that is put in on purpose.
type plant string

const (
	noPlant        plant = ""
	syncsNothing   plant = "the log says that it is durable when it is not"
	appliesTwice   plant = "an entry is applied twice"
	skipsInReplay  plant = "an entry is skipped after a restart"
	callsItRefused plant = "a call whose outcome is unknown is said not to be applied"
	forwardsTwice  plant = "what a node forwards to the leader arrives twice"
	readsStale     plant = "reads ask nobody"
	reusesOrigins  plant = "a process begins with the sequences of the one before"
	forgets        plant = "a node comes back under its id with an empty disk"
)

// plants are all of them.
var plants = []plant{
	syncsNothing, appliesTwice, skipsInReplay, callsItRefused, forwardsTwice, readsStale, reusesOrigins, forgets,
}

// log puts the plant under the raft host.
func (p plant) log(l raft.Log) raft.Log {
	if p == syncsNothing {
		return unsynced{l}
	}
	return l
}

// unsynced never syncs, but for what it takes to start.
type unsynced struct{ raft.Log }

func (unsynced) Sync() error { return nil }
func (unsynced) Seal() error { return nil }

// machine puts the plant over the state machine.
func (p plant) machine(m raft.StateMachine, process uint64) raft.StateMachine {
	switch {
	case p == appliesTwice, p == skipsInReplay && process > 1:
		return &wrong{StateMachine: m, twice: p == appliesTwice}
	}
	return m
}

// wrong applies its sixth entry with calls in it twice, or not at all.
type wrong struct {
	raft.StateMachine
	twice bool
	seen  int
}

func (w *wrong) Apply(tag raft.Term, entries []raft.Entry) {
	for i := range entries {
		one := entries[i : i+1 : i+1]
		if len(one[0].Data) > 40 {
			w.seen++
		}
		if w.seen == 6 {
			w.seen++
			if w.twice {
				w.StateMachine.Apply(tag, one)
			} else {
				one = []raft.Entry{{Term: one[0].Term, Index: one[0].Index}}
			}
		}
		w.StateMachine.Apply(tag, one)
	}
}

// answer puts the plant between the store and a client.
func (p plant) answer(b []byte) []byte {
	if p == callsItRefused {
		return bytes.ReplaceAll(b, []byte("-UNCERTAIN"), []byte("-TRYAGAIN"))
	}
	return b
}
