package sim

import (
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// leisure is a clock on which nothing takes no time at all: what goes on in the background rests between its steps, and
// with a rest of nothing it would be up to the scheduler of goroutines how far it has got.
type leisure struct{ *clock.Fake }

// NewTimer makes a timer that does not fire before time passes.
func (l leisure) NewTimer(d time.Duration) clock.Timer {
	return l.Fake.NewTimer(max(d, 1))
}
