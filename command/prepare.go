package command

import (
	"bytes"
	"strings"

	"github.com/primatomic/primatomic/engine"
)

// Limits of a call's words beside those of the engine.
const (
	patternBytesMax = 4096 // a key is 1024 bytes; one of them may be spelled with escapes and classes
	quoteMax        = 128  // bytes of a client's own words that an error repeats
)

var errLongPattern = &Error{TooLarge, "pattern is too long: a pattern is at most 4096 bytes"}

// Prepare is the stateless half of the gate: it finds the row, holds the arguments against arity,
// grammar and limits, and fills Spec and Options. It depends on Args alone, so apply runs it again on
// what it finds in the log.
func (g *Registry) Prepare(c *Call) *Error {
	if err := g.Resolve(c); err != nil {
		return err
	}
	return c.Parse()
}

// Resolve is the first part of Prepare: row and arity. What it refuses, MULTI refuses to queue. It fills
// Spec even if the number of arguments is wrong.
func (g *Registry) Resolve(c *Call) *Error {
	c.Spec = nil
	if len(c.Args) == 0 {
		return unknownCommand(c.Args)
	}
	spec := g.Lookup(c.Args[0])
	if spec == nil {
		return unknownCommand(c.Args)
	}
	if spec.Sub != nil && len(c.Args) > 1 {
		sub := spec.Lookup(c.Args[1])
		if sub == nil {
			return Errorf(Invalid, "unknown subcommand '%s'. Try %s HELP.",
				clip(c.Args[1], quoteMax), strings.ToUpper(spec.Name))
		}
		spec = sub
	}
	c.Spec = spec
	if n := len(c.Args); spec.arity > 0 && n != spec.arity || n < -spec.arity {
		return spec.errArity()
	}
	return nil
}

// Parse is the second part of Prepare: grammar, limits, and the row's own Check.
func (c *Call) Parse() *Error {
	if err := parseOptions(c); err != nil {
		return err
	}
	if c.Spec.Check != nil {
		return c.Spec.Check(c)
	}
	return nil
}

// Lookup finds the row of a subcommand, in any case, or nil.
func (s *Spec) Lookup(name []byte) *Spec {
	for _, sub := range s.Sub {
		if foldEqual(name, sub.Name) {
			return sub
		}
	}
	return nil
}

// checkSize holds one argument against the limits of its kind.
func checkSize(kind ArgKind, arg []byte) *Error {
	switch {
	case kind == KeyKind && len(arg) == 0:
		return ErrEmptyKey
	case kind == KeyKind && len(arg) > engine.KeyBytesMax:
		return ErrLongKey
	case kind == PatternKind && len(arg) > patternBytesMax:
		return errLongPattern
	case len(arg) > engine.ValueBytesMax:
		return ErrLargeValue
	}
	return nil
}

func (s *Spec) errArity() *Error {
	return Errorf(Invalid, "wrong number of arguments for '%s' command", s.FullName())
}

// unknownCommand repeats what was asked for within bounds, in Redis' words.
func unknownCommand(args [][]byte) *Error {
	var name []byte
	if len(args) > 0 {
		name = args[0]
		args = args[1:]
	}
	var quoted strings.Builder
	for _, arg := range args {
		if quoted.Len() >= quoteMax {
			break
		}
		quoted.WriteByte('\'')
		quoted.Write(clip(arg, quoteMax-quoted.Len()+1))
		quoted.WriteString("' ")
	}
	return Errorf(Invalid, "unknown command '%s', with args beginning with: %s",
		clip(name, quoteMax), quoted.String())
}

// clip returns what an error repeats of a client's word: at most n bytes, and none from a zero byte on.
func clip(b []byte, n int) []byte {
	b = b[:min(len(b), n)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
