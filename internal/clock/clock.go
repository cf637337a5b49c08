package clock

import "time"

// Clock tells the time and makes timers. All methods are safe for concurrent use.
type Clock interface {
	// Now is the wall clock. It may jump.
	Now() time.Time
	// Boot is the time since some fixed moment before the process started. It never goes back and
	// counts suspended time where the platform can tell.
	Boot() time.Duration
	// NewTimer makes a timer that fires once, d from now. A d of zero or less fires at once.
	NewTimer(d time.Duration) Timer
}

// Timer fires once after its duration, unless it is stopped or reset before.
type Timer interface {
	// C delivers the wall time at which the timer fired.
	C() <-chan time.Time
	// Stop keeps the timer from firing and reports whether it was still running. No stale value is
	// received from C after Stop returns.
	Stop() bool
	// Reset starts the timer anew and reports whether it was still running.
	Reset(d time.Duration) bool
}
