// Package clock is where the system learns what time it is.
//
// Its nouns: a Clock tells wall time and boot time and makes a Timer; System is the machine's clock;
// Fake is a clock that moves only when a test says so.
//
// Caveats: wall time may jump either way. Boot time never goes back and, where the platform has
// CLOCK_BOOTTIME, also runs while the machine is suspended; on others it is Go's monotonic clock, which
// does not. Boot times of two processes are not comparable.
package clock
