package command

import (
	"context"

	"github.com/primatomic/primatomic/engine"
)

// Spec is one row of the table: all that is stated about a command, once. Exactly one of Read, Write,
// Conn and Sub is set, and it decides the class; a container that also answers without a subcommand,
// as COMMAND does, has Sub and Conn.
type Spec struct {
	Name    string // lower case, without the container's name
	Args    []Arg  // what follows the name; arity, keys and documentation are derived from it
	Flags   Flags
	Family  Family
	Since   string // version of this store that brought it
	Cost    string // complexity, as in "O(1)"
	Summary string // one sentence

	// Read answers from one namespace and changes nothing. It sees one instant, but for a walk over many keys.
	Read func(v *engine.View, c *Call, r *Reply)
	// Write changes the state. It runs on every node at the same place of the log and must be a pure
	// function of the state, the call and the entry's time and seed. It either changes nothing and
	// appends an error, or succeeds.
	Write func(tx *engine.Tx, c *Call, r *Reply)
	// Conn concerns the connection or the process that serves it, and never enters the log.
	Conn func(ctx context.Context, s *Session, c *Call, r *Reply)
	// Sub holds the rows of a container such as CLIENT.
	Sub []*Spec

	// Arity overrides the derived arity (Redis' form: negative for "at least") where the grammar
	// cannot say what Redis does. 0 means derived.
	Arity int
	// Check refuses a call whose arguments contradict each other, after the grammar has accepted it
	// and before it is routed. It may be nil.
	Check func(c *Call) *Error
	// Reaches names the namespaces that a call touches beside the selected one, as COPY ... DB does. A
	// token that is restricted to certain namespaces must cover them. It may be nil.
	Reaches func(c *Call) []string
	// Stray is the error text for words that the grammar does not hold, where Redis says something
	// else than "syntax error"; %s in it is the word.
	Stray string
	// Unsupported tells why the command only answers an error here; "" for all others. Such a row is
	// left out of COMMAND and HELP, so that clients which look for a command do not find it.
	Unsupported string

	parent  *Spec // of a subcommand; set by the registry
	ordinal int   // set by the registry; 0 of a row that is in none
	derived
}

// Class is how a command is carried out.
type Class uint8

// The classes.
const (
	Read  Class = iota + 1 // under a read lock, at a linearizable read point
	Write                  // through the log
	Conn                   // on the connection that asked
)

// Class returns the class of the row. A container has the class of none of its subcommands: 0.
func (s *Spec) Class() Class {
	switch {
	case s.Read != nil:
		return Read
	case s.Write != nil:
		return Write
	case s.Conn != nil:
		return Conn
	}
	return 0
}

// FullName returns the name as COMMAND LIST prints it: "set", or "client|list".
func (s *Spec) FullName() string {
	if s.parent != nil {
		return s.parent.Name + "|" + s.Name
	}
	return s.Name
}

// Ordinal numbers the rows of a registry, subcommands included, from 1 on; it is below Registry.Ordinals. It
// means nothing beyond this process.
func (s *Spec) Ordinal() int { return s.ordinal }

// Flags say what the gate and COMMAND INFO need to know of a command beyond its class.
type Flags uint16

// The flags.
const (
	Fast            Flags = 1 << iota // O(1) or O(log n): may run where others wait for it
	DenyGrowth                        // may make the state grow: refused when memory or disk is short
	Admin                             // needs the admin scope
	BeforeAuth                        // allowed before a credential is given
	NoMulti                           // refused inside MULTI
	MultiNow                          // carried out at once inside MULTI: EXEC, DISCARD, WATCH, ...
	Barrier                           // waits until all earlier calls of its connection have been answered
	AnyNamespace                      // concerns no namespace: the selected one may be missing
	NoKeys                            // a read or write that names no key
	AnswersValue                      // a write that answers with a whole value
	WhileSubscribed                   // allowed to a RESP2 client that listens to channels
	Dangerous                         // in the ACL category @dangerous without being Admin
)

// Has reports whether all of the given flags are set.
func (f Flags) Has(flags Flags) bool { return f&flags == flags }

// Family groups commands as Redis' documentation does; it is the group of COMMAND DOCS.
type Family string

// The families.
const (
	Strings      Family = "string"
	Generic      Family = "generic"
	Connection   Family = "connection"
	Server       Family = "server"
	Transactions Family = "transactions"
	Namespaces   Family = "namespaces"
	Clusters     Family = "cluster"
	Sentinels    Family = "sentinel"
	PubSub       Family = "pubsub"
)
