package store

import "github.com/primatomic/primatomic/command"

// Entry is what an entry of the log asks for, for those who look into a log without applying it.
type Entry struct {
	LogTime   int64 // ms since the epoch
	Reap      int   // how many expired keys are removed before the calls, at most
	MemoryMax int64 // bytes from which on calls that grow are refused, 0 for no limit
	Calls     []LoggedCall
}

// LoggedCall is a call as it stands in the log: with its arguments, in whose name it is carried out, and the name
// that it has for ever. Queued calls that were answered on the connection have no arguments.
type LoggedCall struct {
	Node, Process, Sequence uint64 // where it came from
	command.Call
}

// ReadEntry takes a payload of the log apart. What it returns aliases data.
func ReadEntry(data []byte) (Entry, error) {
	var o opened
	if err := o.open(data); err != nil {
		return Entry{}, err
	}
	e := Entry{LogTime: o.LogTime, Reap: o.Reap, MemoryMax: o.MemoryMax}
	for o.more() {
		o.args = nil // the next call must not overwrite those of this one
		if err := o.next(); err != nil {
			return Entry{}, err
		}
		e.Calls = append(e.Calls, LoggedCall{o.origin.Node, o.origin.Process, o.origin.Sequence, o.call})
	}
	return e, nil
}
