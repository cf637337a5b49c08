package command

import "fmt"

// Code is the closed set of ways in which a call can fail. Front doors translate it: resp by the
// prefix of the error line, grpcapi by a table of its own. Every failure is of one of three classes:
// refused (nothing happened), applied with an error, or unknown; Outcome tells which.
type Code uint8

// The codes. Comments name the RESP prefix and what the client may conclude.
const (
	OK             Code = iota // no error
	Invalid                    // ERR: malformed call: syntax, arity, range, unknown command
	WrongType                  // WRONGTYPE: the value is of another type
	NoKey                      // ERR: the command needs a key that does not exist
	NoNamespace                // NONAMESPACE: the namespace does not exist
	NamespaceTaken             // NAMESPACETAKEN: the name belongs to another credential
	NoAuth                     // NOAUTH: no credential yet, or it has expired
	WrongPass                  // WRONGPASS: the credential does not verify
	NoPerm                     // NOPERM: valid credential, not allowed
	NoProto                    // NOPROTO: HELLO asked for a protocol that does not exist
	ExecAbort                  // EXECABORT: a queued command was refused, the transaction is void
	TooLarge                   // ERR: over a size limit
	Quota                      // QUOTA: the credential has as many of something as it may have
	OutOfMemory                // OOM: the memory limit forbids growth
	DiskFull                   // DISKFULL: too little disk is left for writes that grow
	NotApplied                 // TRYAGAIN: certainly not applied, safe to send again
	Loading                    // LOADING: starting, certainly not applied, safe to send again
	Uncertain                  // UNCERTAIN: may or may not have been applied
	Precondition               // ERR: the state of the cluster forbids it; nothing happened
	NoQuorum                   // NOQUORUM: the voters that can be reached are no majority, as a Sentinel says it
	NoReplica                  // NOGOODSLAVE: nobody else could lead, as a Sentinel says it
	Unsupported                // ERR: the command exists elsewhere, not here
	Internal                   // ERR: a fault of ours
	codeCount
)

// Codes returns every code but OK, for tables that must be total.
func Codes() []Code {
	codes := make([]Code, 0, codeCount-1)
	for c := OK + 1; c < codeCount; c++ {
		codes = append(codes, c)
	}
	return codes
}

var codeNames = [codeCount]string{
	OK: "ok", Invalid: "invalid", WrongType: "wrong_type", NoKey: "no_key", NoNamespace: "no_namespace",
	NamespaceTaken: "namespace_taken", NoAuth: "no_auth", WrongPass: "wrong_pass", NoPerm: "no_perm",
	NoProto: "no_proto", ExecAbort: "exec_abort", TooLarge: "too_large", Quota: "quota",
	OutOfMemory: "out_of_memory", DiskFull: "disk_full", NotApplied: "not_applied", Loading: "loading",
	Uncertain: "uncertain", Precondition: "precondition", NoQuorum: "no_quorum", NoReplica: "no_replica",
	Unsupported: "unsupported", Internal: "internal",
}

// String returns the code's name in metrics.
func (c Code) String() string { return codeNames[c] }

// Prefix returns the first word of the RESP error line.
func (c Code) Prefix() string {
	switch c {
	case WrongType:
		return "WRONGTYPE"
	case NoNamespace:
		return "NONAMESPACE"
	case NamespaceTaken:
		return "NAMESPACETAKEN"
	case NoAuth:
		return "NOAUTH"
	case WrongPass:
		return "WRONGPASS"
	case NoPerm:
		return "NOPERM"
	case NoProto:
		return "NOPROTO"
	case ExecAbort:
		return "EXECABORT"
	case Quota:
		return "QUOTA"
	case OutOfMemory:
		return "OOM"
	case DiskFull:
		return "DISKFULL"
	case NotApplied:
		return "TRYAGAIN"
	case Loading:
		return "LOADING"
	case Uncertain:
		return "UNCERTAIN"
	case NoQuorum:
		return "NOQUORUM"
	case NoReplica:
		return "NOGOODSLAVE"
	default:
		return "ERR"
	}
}

// Error is the answer to a failed call. Text is the error line without prefix and without line
// breaks; errors of Redis keep Redis' own wording, because clients and people search for it.
type Error struct {
	Code Code
	Text string
}

// Error returns the line as a RESP client sees it.
func (e *Error) Error() string { return e.Code.Prefix() + " " + e.Text }

// Errorf makes an Error of a code with a formatted text.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// The errors that more than one command answers with.
var (
	ErrSyntax      = &Error{Invalid, "syntax error"}
	ErrNotInteger  = &Error{Invalid, "value is not an integer or out of range"}
	ErrNotFloat    = &Error{Invalid, "value is not a valid float"}
	ErrOverflow    = &Error{Invalid, "increment or decrement would overflow"}
	ErrNoSuchKey   = &Error{NoKey, "no such key"}
	ErrWrongType   = &Error{WrongType, "Operation against a key holding the wrong kind of value"}
	ErrEmptyKey    = &Error{Invalid, "key is empty: a key is 1 to 1024 bytes"}
	ErrLongKey     = &Error{TooLarge, "key is too long: a key is 1 to 1024 bytes"}
	ErrLargeValue  = &Error{TooLarge, "string exceeds maximum allowed size (16777216 bytes)"}
	ErrNoAuth      = &Error{NoAuth, "Authentication required."}
	ErrExpiredAuth = &Error{NoAuth, "Authentication required: the token of this connection has expired, AUTH again"}
	ErrOutOfMemory = &Error{OutOfMemory, "command not allowed when used memory > 'maxmemory'."}
	ErrDiskFull    = &Error{DiskFull, "disk is nearly full: writes that grow are refused, reads and deletes go on"}
	ErrExecAbort   = &Error{ExecAbort, "Transaction discarded because of previous errors."}
)
