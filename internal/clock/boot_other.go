//go:build !linux

package clock

import "time"

var processStart = time.Now()

// bootTime counts from the start of the process by the monotonic clock, which may stop in suspend.
func bootTime() time.Duration { return time.Since(processStart) }
