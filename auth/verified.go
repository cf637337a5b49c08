package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// verifiedMax bounds the tokens remembered; with principals of ordinary size that is about 1 MiB.
const verifiedMax = 4096

type tokenHash [sha256.Size]byte

// verified remembers tokens whose signature and claims were found good, so that a caller who shows
// the same token with every call pays for a hash and not for a signature. Refused tokens are not
// remembered: a sender of garbage must not push out the good ones.
type verified struct {
	mu         sync.Mutex
	principals map[tokenHash]*Principal // guarded by mu; at most verifiedMax
}

func newVerified() *verified {
	return &verified{principals: make(map[tokenHash]*Principal)}
}

// get returns nil for a token that is not remembered. The principal may have expired.
func (v *verified) get(h tokenHash) *Principal {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.principals[h]
}

// put remembers p. When full, a token picked at random makes room, an expired one if the pick meets it.
func (v *verified) put(h tokenHash, p *Principal, now time.Time) {
	const looks = 8
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.principals) >= verifiedMax {
		var victim tokenHash
		n := 0
		for old, q := range v.principals {
			victim = old
			if n++; n == looks || q.Expired(now) {
				break
			}
		}
		delete(v.principals, victim)
	}
	v.principals[h] = p
}
