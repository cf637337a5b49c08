package cluster

import (
	"sync"
	"time"
)

// complaints keeps what goes wrong again and again to a line a minute in the log.
type complaints struct {
	mu   sync.Mutex
	said map[string]time.Duration // boot clock; guarded by mu
}

// complaintsMax bounds what is remembered.
const complaintsMax = 64

// news reports whether a complaint is to be logged.
func (c *complaints) news(now time.Duration, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, said := c.said[text]; said && now-at < time.Minute {
		return false
	}
	if c.said == nil || len(c.said) >= complaintsMax {
		c.said = map[string]time.Duration{}
	}
	c.said[text] = now
	return true
}
