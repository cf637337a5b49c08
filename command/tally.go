package command

import "sync/atomic"

// ErrorTally counts the errors that clients were answered with, by code. The zero value is ready, and a nil one
// counts nothing.
type ErrorTally struct{ counts [codeCount]atomic.Uint64 }

// Count returns how often a code was answered.
func (t *ErrorTally) Count(c Code) uint64 { return t.counts[c].Load() }

func (t *ErrorTally) count(c Code) {
	if t != nil {
		t.counts[c].Add(1)
	}
}
