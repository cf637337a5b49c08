package command

import (
	"context"
	"sync"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// Session is what a connection has said about itself, and what it has been given. It is used by the
// connection's own goroutine; what other connections may look at is guarded by mu.
type Session struct {
	ID   uint64
	Host Host
	// Peer and Local are the addresses of the connection, as CLIENT LIST prints them.
	Peer, Local string
	Created     time.Time

	Principal *auth.Principal // nil: not authenticated
	Namespace Selected
	Proto     int // 2 or 3

	Multi Multi

	mu    sync.Mutex
	shown Shown

	// Mute is how CLIENT REPLY was set.
	Mute Mute
	// Closing is set by QUIT: the connection ends after this answer.
	Closing bool
}

// Selected is the namespace that a session works in.
type Selected struct {
	Name string // "0".."15" of numbered databases
	Ref  engine.Ref
}

// Multi is the state of a transaction under construction.
type Multi struct {
	Active  bool
	Broken  bool // a queued command was refused: EXEC will answer EXECABORT
	Queue   []Call
	Watched []Watch
	bytes   int // held by Queue
}

// Mute is what CLIENT REPLY asked for.
type Mute uint8

// The ways.
const (
	MuteOff  Mute = iota // answer everything
	MuteOn               // answer nothing
	MuteNext             // CLIENT REPLY SKIP: not the next command
)

// Shown is what CLIENT INFO and CLIENT LIST tell of a connection, apart from its addresses.
type Shown struct {
	Name, LibName, LibVer string
	Credential, Namespace string
	LastCommand           string
	LastAt                time.Time
	Multi                 int // queued commands, -1 outside of MULTI
	Watching              int
	NoEvict, NoTouch      bool
	Proto                 int
}

// Host is the process that serves a session, as its commands of class Conn see it.
type Host interface {
	Now() time.Time
	// Authenticate verifies a token.
	Authenticate(token string) (*auth.Principal, *Error)
	// FindNamespace looks a named namespace up, linearizably. NoNamespace if there is none.
	FindNamespace(ctx context.Context, name string) (engine.Info, *Error)
	// Watch returns what a WATCH of a key sees at this moment.
	Watch(credential string, ref engine.Ref, key []byte) (Watch, *Error)
	// Node answers what is asked of the process as a whole.
	Node() Node
}

// Node is the part of a Host that concerns the process as a whole.
type Node interface {
	Registry() *Registry
	// Info returns the sections of INFO, in order; each a list of fields.
	Info(s *Session) []InfoSection
	// Config returns the parameters that CONFIG GET may show, by Redis' names.
	Config() map[string]string
	// Clients returns the sessions that are connected now, in order of their ids.
	Clients() []*Session
	// Kill ends a session's connection; false if there is no such session.
	Kill(id uint64) bool
}

// InfoSection is one section of INFO.
type InfoSection struct {
	Name   string // "Server"
	Fields []InfoField
}

// InfoField is one line of INFO.
type InfoField struct{ Name, Value string }
