package command

// Arg is a node of a command's grammar. Rows are written with the constructors below; options.go
// parses by the same nodes that COMMAND DOCS prints, so grammar and parser cannot drift.
type Arg struct {
	Name     string
	Kind     ArgKind
	Token    string // the literal word before the value, upper case; "" for none
	Access   Access // of a key
	Optional bool
	Multiple bool  // one or more times
	Args     []Arg // of OneOf and Block
}

// ArgKind is the type of an argument, with the names that COMMAND DOCS uses.
type ArgKind string

// The kinds.
const (
	KeyKind      ArgKind = "key"
	StringKind   ArgKind = "string"
	IntegerKind  ArgKind = "integer"
	DoubleKind   ArgKind = "double"
	PatternKind  ArgKind = "pattern"
	UnixTimeKind ArgKind = "unix-time"
	TokenKind    ArgKind = "pure-token"
	OneOfKind    ArgKind = "oneof"
	BlockKind    ArgKind = "block"
)

// Access is what a command does to a key, as key specifications name it (RO, RW, OW, RM and the
// logical flags).
type Access uint8

// The ways.
const (
	Reads    Access = iota + 1 // RO ACCESS
	Inspects                   // RO: only metadata, as TTL and EXISTS
	Updates                    // RW UPDATE
	Swaps                      // RW ACCESS UPDATE: answers with what was there
	Replaces                   // OW UPDATE
	Removes                    // RM DELETE
	Takes                      // RW ACCESS DELETE: answers with or moves what was there, and removes it
	Inserts                    // OW INSERT: only where there is nothing
	Extends                    // RW INSERT: adds to what is there
)

// Key is an argument that names a key.
func Key(name string, access Access) Arg { return Arg{Name: name, Kind: KeyKind, Access: access} }

// Str is an argument of any bytes.
func Str(name string) Arg { return Arg{Name: name, Kind: StringKind} }

// Int is an argument that is a signed 64-bit integer.
func Int(name string) Arg { return Arg{Name: name, Kind: IntegerKind} }

// Double is an argument that is a floating-point number.
func Double(name string) Arg { return Arg{Name: name, Kind: DoubleKind} }

// UnixTime is an argument that is a time since the epoch.
func UnixTime(name string) Arg { return Arg{Name: name, Kind: UnixTimeKind} }

// Pattern is a glob.
func Pattern(name string) Arg { return Arg{Name: name, Kind: PatternKind} }

// Tok is a literal word, alone or before its value: Tok("NX"), Tok("EX", Int("seconds")).
func Tok(token string, value ...Arg) Arg {
	switch len(value) {
	case 0:
		return Arg{Name: token, Kind: TokenKind, Token: token}
	case 1:
		arg := value[0]
		arg.Token = token
		return arg
	default:
		return Arg{Name: token, Kind: BlockKind, Token: token, Args: value}
	}
}

// OneOf is a choice: at most one of its arguments may be given.
func OneOf(name string, args ...Arg) Arg { return Arg{Name: name, Kind: OneOfKind, Args: args} }

// Block is a run of arguments that come together.
func Block(name string, args ...Arg) Arg { return Arg{Name: name, Kind: BlockKind, Args: args} }

// Opt makes an argument optional.
func Opt(arg Arg) Arg {
	arg.Optional = true
	return arg
}

// Many lets an argument come one or more times.
func Many(arg Arg) Arg {
	arg.Multiple = true
	return arg
}
