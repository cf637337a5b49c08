package raft

import (
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// Actor is one of the sequential parts of a host. In production the host runs each in a
// goroutine; a simulator that has not called Host.Start calls Turn itself.
type Actor interface {
	// Turn does a bounded amount of what is there to do and reports whether it did anything.
	Turn() bool
	// WakeAt returns the instant of the boot clock at which Turn has something to do even if
	// nobody sends anything.
	WakeAt() (time.Duration, bool)

	signalled() <-chan struct{}
}

// signal wakes a sleeping actor; one mark is kept.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// run drives an actor until the host stops.
func (h *Host) run(a Actor) {
	defer h.running.Done()
	timer := h.clock.NewTimer(0)
	defer timer.Stop()
	for {
		for a.Turn() {
			if h.stopped() {
				return
			}
		}
		if !h.sleep(a, timer) {
			return
		}
	}
}

// sleep waits until the actor is signalled or wants to wake; false means that the host stops.
func (h *Host) sleep(a Actor, timer clock.Timer) bool {
	timer.Stop()
	if at, ok := a.WakeAt(); ok {
		timer.Reset(max(0, at-h.clock.Boot()))
	}
	select {
	case <-a.signalled():
		return true
	case <-timer.C():
		return true
	case <-h.stop:
		return false
	}
}
