package auth

import (
	"context"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
)

// reloadInterval is how often the key files are looked at. They are small: reading them is cheaper
// than trusting a file system's notion of change.
const reloadInterval = 2 * time.Second

// Watch reloads the keys whenever the files have changed, until ctx ends. The caller owns the
// goroutine it runs in. A bad file is logged once, not at every look.
func (j *JWT) Watch(ctx context.Context, c clock.Clock) {
	complaint := ""
	for {
		timer := c.NewTimer(reloadInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
		changed, err := j.Reload()
		switch {
		case err != nil && err.Error() != complaint:
			complaint = err.Error()
			j.log.Error("token keys not reloaded, the old ones stay in force", "err", err)
		case err == nil && (changed || complaint != ""):
			complaint = ""
			j.log.Info("token keys reloaded", "keys", len(j.current.Load().keys))
		}
	}
}
