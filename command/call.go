package command

import "github.com/primatomic/primatomic/engine"

// Call is one command line on its way. A front door fills Args; the gate of the executor fills the
// rest. The argument bytes belong to the front door and are valid until the executor has answered.
type Call struct {
	Args [][]byte // Args[0] is the name as it was sent; of a container Args[1] names the subcommand

	Spec       *Spec
	Credential string     // in whose name
	Namespace  engine.Ref // in which namespace
	Only       []string   // names that the caller's token is restricted to, nil if it is not; not logged
	Client     Client     // of a client that numbers its calls; the zero value of all others
	Options    Options    // what the grammar found behind the leading arguments

	// Of EXEC: the queued calls in order, and what WATCH saw. A queued call of class Conn is carried
	// out before the transaction is proposed; its place in Sub has a nil Spec and its answer stands
	// in Answers, which is not part of the log.
	Sub     []Call
	Watched []Watch
	Answers [][]byte

	// Of a queued call while its transaction is carried out: the steps that are left to all of its calls. Not
	// part of the log.
	Steps *int
}

// Client names a call for its client: a session that the client has registered and the call's number in it,
// so that a call sent twice can be told from two calls (Raft thesis, section 6.3). It has its place in the
// log; no front door sets it yet.
type Client struct {
	Session  uint64
	Sequence uint64
}

// Watch is what a connection saw of a key when it watched it.
type Watch struct {
	Namespace engine.Ref
	Key       []byte
	Revision  uint64 // of the namespace at that moment
	Alive     bool   // the key existed
}

// Class returns how the call is to be carried out. It is the row's class, but for an EXEC of reads of
// one namespace and no watches, which is one read.
func (c *Call) Class() Class {
	if c.Sub == nil || len(c.Watched) > 0 {
		return c.Spec.Class()
	}
	for i := range c.Sub {
		sub := &c.Sub[i]
		if sub.Spec == nil {
			continue
		}
		if sub.Spec.Class() != Read || sub.Namespace != c.Namespace {
			return Write
		}
	}
	return Read
}

// Arg returns argument i; the name is argument 0.
func (c *Call) Arg(i int) []byte { return c.Args[i] }

// AnswersValue reports whether a write answers with a whole value, which may be large. Parse must have
// accepted the call.
func (c *Call) AnswersValue() bool {
	return c.Spec.Flags.Has(AnswersValue) || c.Options.Has("GET")
}
