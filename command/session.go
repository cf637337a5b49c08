package command

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// Session is what a connection has said about itself, and what it has been given. It is used by one
// goroutine at a time, the connection's own or the executor's while Do runs; what other connections
// may look at is guarded by mu or atomic.
type Session struct {
	ID   uint64
	Host Host
	// Peer and Local are the addresses of the connection, as CLIENT LIST prints them.
	Peer, Local string
	Created     time.Time

	Principal *auth.Principal // nil: not authenticated
	Namespace Selected
	Proto     int // 2 or 3

	// Stale lets reads be answered from whatever this node's memory holds, without asking the leader: it may be
	// older, or newer, than what other reads see.
	Stale bool

	Multi Multi
	// Transactions bounds what all sessions of a front door keep for transactions; nil: nothing does.
	Transactions *Budget

	// Mute is how CLIENT REPLY was set; see TakeMute.
	Mute Mute
	// Closing is set by QUIT: the connection ends after this answer.
	Closing bool

	executing bool      // a transaction's calls of class Conn are being carried out
	before    *standing // what they found, if they changed it and SettleExec was not called yet

	mu      sync.Mutex
	shown   Shown         // guarded by mu
	listens subscriptions // guarded by mu; its slices are never written to

	subscribed atomic.Bool // listens holds something

	lastSpec   atomic.Pointer[Spec] // the last call that was admitted; nil before the first
	lastMillis atomic.Int64         // when, Unix time in ms
}

// NewSession returns the session of a fresh connection: RESP2, database 0, and whatever principal the
// host gives to those who show no token (one, if authentication is off).
func NewSession(id uint64, host Host, peer, local string) *Session {
	s := &Session{ID: id, Host: host, Peer: peer, Local: local, Created: host.Now()}
	s.lastMillis.Store(s.Created.UnixMilli())
	s.begin()
	return s
}

// begin puts the session into the state of a fresh connection.
func (s *Session) begin() {
	s.Principal = nil
	if p, err := s.Host.Authenticate("", s.Host.Now()); err == nil {
		s.Principal = p
	}
	s.Namespace, s.Proto = numbered(0), 2
	s.Stale = false
	s.setListens(subscriptions{})
	s.Close()
	s.Multi = Multi{}
	if s.Mute != MuteThis { // a RESET behind CLIENT REPLY SKIP is not answered
		s.Mute = MuteOff
	}
	s.mu.Lock()
	s.shown = Shown{LibName: s.shown.LibName, LibVer: s.shown.LibVer}
	s.mu.Unlock()
	s.publish()
}

// Mute is what CLIENT REPLY asked for.
type Mute uint8

// The ways.
const (
	MuteOff  Mute = iota // answer everything
	MuteOn               // answer nothing
	MuteNext             // CLIENT REPLY SKIP: not the next command
	MuteThis             // that command, while it is carried out
)

// Shown is what CLIENT INFO and CLIENT LIST tell of a connection, apart from its addresses.
type Shown struct {
	Name, LibName, LibVer string
	Credential, Namespace string
	LastCommand           string
	LastAt                time.Time
	Multi                 int // queued commands, -1 outside of MULTI
	Watching              int
	Channels, Patterns    int // listened to
	NoEvict, NoTouch      bool
	Stale                 bool
	Proto                 int
}

// Shown returns what the connection looks like now. Any goroutine may call it.
func (s *Session) Shown() Shown {
	s.mu.Lock()
	shown := s.shown
	shown.Channels, shown.Patterns = len(s.listens.channels), len(s.listens.patterns)
	s.mu.Unlock()
	shown.LastAt = time.UnixMilli(s.lastMillis.Load())
	if spec := s.lastSpec.Load(); spec != nil {
		shown.LastCommand = spec.FullName()
	}
	return shown
}

// Note remembers that a call was admitted, for CLIENT LIST. The executor calls it with a time that it
// read once for a whole batch.
func (s *Session) Note(spec *Spec, now time.Time) {
	s.lastSpec.Store(spec)
	s.lastMillis.Store(now.UnixMilli())
}

// publish copies what others may see. It follows every change of the fields it copies.
func (s *Session) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown.Credential = s.credential()
	s.shown.Namespace = s.Namespace.Name
	s.shown.Proto, s.shown.Stale = s.Proto, s.Stale
	s.shown.Watching = len(s.Multi.Watched)
	s.shown.Multi = -1
	if s.Multi.Active {
		s.shown.Multi = len(s.Multi.Queue)
	}
}

// describe changes what the client has said of itself.
func (s *Session) describe(change func(*Shown)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.shown)
}

// credential returns the credential in whose name the session works, "" if it has none yet.
func (s *Session) credential() string {
	if s.Principal == nil {
		return ""
	}
	return s.Principal.Credential
}

// TakeMute returns how the answer of the next call is to be treated. Unless it is MuteOff the front
// door gives the executor that one call alone, and asks Silences afterwards.
func (s *Session) TakeMute() Mute {
	if s.Mute == MuteNext {
		s.Mute = MuteThis
	}
	return s.Mute
}

// Silences reports whether the front door is to drop the answer of a call before which TakeMute
// returned mute. The answer to CLIENT REPLY ON is sent, and that to the RESET that ends CLIENT REPLY OFF.
func (s *Session) Silences(mute Mute) bool {
	silent := mute != MuteOff && s.Mute != MuteOff
	if s.Mute == MuteThis {
		s.Mute = MuteOff
	}
	return silent
}

// Halts reports whether the executor must return after the call that it has just carried out, because
// what follows is the front door's to decide: the connection closes, or answers are dropped.
func (s *Session) Halts() bool { return s.Closing || s.Mute != MuteOff }

// Host is the process that serves a session, as its commands of class Conn see it.
type Host interface {
	// Authenticator verifies tokens. Without authentication it vouches for the empty token too.
	auth.Authenticator
	Now() time.Time
	// FindNamespace looks a named namespace up, linearizably. NoNamespace if there is none.
	FindNamespace(ctx context.Context, name string) (engine.Info, *Error)
	// Watch returns what a WATCH of a key sees at this moment. The key is the caller's.
	Watch(credential string, ref engine.Ref, key []byte) (Watch, *Error)
	// Node answers what is asked of the process as a whole.
	Node() Node
}

// Node is the part of a Host that concerns the process as a whole.
type Node interface {
	Registry() *Registry
	// Cluster returns the cluster that the node belongs to.
	Cluster() Cluster
	// Info returns the sections of INFO, in order; each a list of fields.
	Info(s *Session) []InfoSection
	// Config returns the parameters that CONFIG GET may show, by Redis' names.
	Config() map[string]string
	// Clients returns the sessions that are connected now, in order of their ids.
	Clients() []*Session
	// Kill ends a session's connection; false if there is no such session.
	Kill(id uint64) bool
}
