package engine

import (
	"errors"
	"sync"
	"sync/atomic"
)

var (
	// ErrNoNamespace means that no namespace has this id or number.
	ErrNoNamespace = errors.New("no such namespace")
	// ErrNotOwner means that the namespace belongs to another credential.
	ErrNotOwner = errors.New("namespace belongs to another credential")
	// ErrTooMany means that the credential has NamespacesMax named namespaces already.
	ErrTooMany = errors.New("credential has too many namespaces")
	// ErrNameTaken means that the name belongs to a namespace of another credential.
	ErrNameTaken = errors.New("namespace name is taken")
	// ErrName means that a namespace cannot have this name.
	ErrName = errors.New("invalid namespace name")
	// ErrNumbered means that a numbered database cannot be dropped, only cleared.
	ErrNumbered = errors.New("a numbered database cannot be dropped")
	// ErrCredential means that the credential is empty or longer than CredentialBytesMax.
	ErrCredential = errors.New("invalid credential")
)

// Bounds that hold for every state. Front doors check them and answer with an error; here they are
// invariants.
const (
	KeyBytesMax        = 1 << 10
	ValueBytesMax      = 16 << 20
	NameBytesMax       = 128
	CredentialBytesMax = 1 << 10
	NamespacesMax      = 10_000 // named namespaces of a credential
	NumberedMax        = 16     // numbered databases of a credential: 0 to NumberedMax-1
)

// Ref points to a namespace: by ID if that is not 0, else to the numbered database Number of the
// credential that asks. NoNamespace points to none.
type Ref struct {
	ID     uint64
	Number int16
}

// NoNamespace is the Ref of calls that need no namespace, such as those on the registry.
var NoNamespace = Ref{Number: -1}

// Info describes a namespace.
type Info struct {
	ID         uint64
	Credential string
	Name       string // of a numbered database its number
	Number     int16  // -1 for a named one
	Keys       int    // counts expired keys that are not yet reaped
	Expires    int    // those of Keys that have a deadline
	Bytes      int64  // keys and values, without any overhead
	Revision   uint64
}

// namespace is one flat keyspace with its counters.
type namespace struct {
	id         uint64
	credential string
	name       string
	number     int16 // -1: a named one

	// mu is held for reading while readers and the snapshot walker look, and for writing by the one
	// applier, from its first call on the namespace to the end or yield of the batch. It guards what follows.
	mu        sync.RWMutex
	keys      *keyspace
	revision  uint64 // grows by one with every atomic call that changed something
	deletions deletions
	dropped   bool
	captures  []*capture // of the snapshots that are open, and of some that were

	// Of the applier alone.
	held    bool  // the current batch holds mu
	changed bool  // by the call that commits now
	queued  int64 // earliest deadline under which State.deadlines holds this namespace, 0: not there

	published counters
}

// counters are the figures as of the last End or Yield. They are changed under State.mu and may be read
// without.
type counters struct {
	keys, expires, bytes atomic.Int64
	revision             atomic.Uint64
}

// info is exact on the apply goroutine; elsewhere live must be false.
func (n *namespace) info(live bool) Info {
	i := Info{ID: n.id, Credential: n.credential, Name: n.name, Number: n.number}
	if live {
		i.Keys, i.Expires, i.Bytes, i.Revision = n.keys.len(), n.keys.expiry.count, n.keys.bytes, n.revision
		return i
	}
	i.Keys, i.Bytes = int(n.published.keys.Load()), n.published.bytes.Load()
	i.Expires, i.Revision = int(n.published.expires.Load()), n.published.revision.Load()
	return i
}

// What a key and a namespace cost beside the bytes of keys and values, as memory limits count it. Measured: 59
// bytes for a key in the index and the tree, some 1.5 KB for an empty namespace. They are part of what the log
// means: all nodes must count alike.
const (
	keyOverhead       = 64
	namespaceOverhead = 1536
)

// size returns what the namespace adds to the figures of the state.
func (n *namespace) size() (keys, bytes int64) {
	if n.dropped {
		return 0, 0
	}
	return int64(n.keys.len()), n.keys.bytes
}

// release lets go of the items of a dropped namespace, unless a snapshot still needs them. Nodes of the
// registry's trees may keep a pointer to the namespace for long.
func (n *namespace) release(hashKey [16]byte) {
	n.handOver()
	n.keys = newKeyspace(hashKey, true)
}

// ValidName tells whether a named namespace may have the name: 1 to 128 bytes of [A-Za-z0-9._:-], but
// no number of a numbered database.
func ValidName(name string) bool {
	if name == "" || len(name) > NameBytesMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	_, numbered := Numbered(name)
	return !numbered
}

// Numbered returns the number of a numbered database that goes by the name: "0" to "15".
func Numbered(name string) (number int16, ok bool) {
	for number = range int16(NumberedMax) {
		if name == numberNames[number] {
			return number, true
		}
	}
	return 0, false
}

var numberNames = [NumberedMax]string{
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
}
