package grpcapi

import (
	"sync"

	"github.com/primatomic/primatomic/command"
)

// rememberedMax bounds the namespaces remembered, at some 100 bytes each.
const rememberedMax = 16 << 10

// ownedName is a namespace's name as a credential says it.
type ownedName struct{ credential, namespace string }

// remembered saves calls the look at the directory of namespaces: what a name stood for when its owner
// selected it. Whether the caller's token covers the name is asked anew for every call.
type remembered struct {
	mu    sync.RWMutex
	names map[ownedName]command.Selected // guarded by mu; at most rememberedMax
}

func newRemembered() *remembered {
	return &remembered{names: make(map[ownedName]command.Selected)}
}

func (r *remembered) get(n ownedName) (command.Selected, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	selected, known := r.names[n]
	return selected, known
}

// put remembers a name; when full, any other makes room.
func (r *remembered) put(n ownedName, selected command.Selected) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= rememberedMax {
		for other := range r.names {
			delete(r.names, other)
			break
		}
	}
	r.names[n] = selected
}

func (r *remembered) forget(n ownedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.names, n)
}
