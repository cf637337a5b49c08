package command

import "strings"

// tokensMax bounds the literal words in the grammar of one row; Registry refuses a row with more.
const tokensMax = 16

// Options is what the grammar found behind a call's leading arguments: which literal words were
// given, and where. It holds no memory of the call and may be copied with it.
type Options struct {
	row   *derived
	given uint16            // a bit per token of the row
	after [tokensMax]uint32 // index of the argument after each given token
}

// Any reports whether any literal word was given.
func (o *Options) Any() bool { return o.given != 0 }

// Has reports whether a token of the row's grammar, in upper case, was given.
func (o *Options) Has(token string) bool { return o.At(token) > 0 }

// At returns the index of the argument after a token, or 0 if the token was not given. A token given
// more than once counts where it stood last, as in Redis.
func (o *Options) At(token string) int {
	if o.given == 0 {
		return 0
	}
	for i := range o.row.tokens {
		if o.row.tokens[i] == token && o.given&(1<<i) != 0 {
			return int(o.after[i])
		}
	}
	return 0
}

// Value returns the argument after a token, or nil if the token was not given.
func (c *Call) Value(token string) []byte {
	if at := c.Options.At(token); at > 0 {
		return c.Args[at]
	}
	return nil
}

// parser walks a call's arguments along the steps of its row.
type parser struct {
	call *Call
	at   int    // next argument
	word []byte // the token whose values are being read
}

// parseOptions holds the call against its row's grammar, and keys and values against their limits.
func parseOptions(c *Call) *Error {
	c.Options = Options{row: &c.Spec.derived}
	p := parser{call: c, at: c.Spec.offset()}
	if err := p.run(c.Spec.steps, 0); err != nil {
		return err
	}
	if p.left() > 0 {
		return c.Spec.malformed(c.Args[p.at])
	}
	return nil
}

func (p *parser) left() int { return len(p.call.Args) - p.at }

// run takes arguments for each step in turn. The last after arguments of the call belong to whatever
// follows these steps.
func (p *parser) run(steps []step, after int) *Error {
	for i := range steps {
		s := &steps[i]
		rest := s.rest + after
		if s.optional && p.left() <= rest {
			continue
		}
		for {
			if err := p.take(s, rest); err != nil {
				return err
			}
			if !s.multiple || p.left() <= rest {
				break
			}
		}
	}
	return nil
}

func (p *parser) take(s *step, rest int) *Error {
	switch {
	case s.choices != nil:
		return p.choose(s, rest)
	case s.block != nil:
		return p.run(s.block, rest)
	case p.left() == 0:
		return p.call.Spec.malformed(p.word)
	}
	arg := p.call.Args[p.at]
	p.at++
	return checkSize(s.kind, arg)
}

// choose takes the tokens of a step: exactly one if the step is required, else any number in any
// order, up to the first argument that is none of them.
func (p *parser) choose(s *step, rest int) *Error {
	for p.left() > rest {
		word := p.call.Args[p.at]
		choice := s.find(word)
		switch {
		case choice == nil && s.instead != nil:
			return p.run(s.instead, rest)
		case choice == nil && s.optional:
			return nil
		case choice == nil:
			return p.call.Spec.malformed(word)
		}
		o := &p.call.Options
		if o.given&choice.rivals != 0 {
			return p.call.Spec.malformed(word)
		}
		p.at++
		p.word = word
		o.given |= 1 << choice.token
		o.after[choice.token] = uint32(p.at)
		if err := p.run(choice.values, rest); err != nil {
			return err
		}
		if !s.optional {
			return nil
		}
	}
	if !s.optional {
		return p.call.Spec.malformed(p.word)
	}
	return nil
}

// find returns the choice that a word names in any case, or nil.
func (s *step) find(word []byte) *choice {
	for i := range s.choices {
		if foldEqual(word, s.choices[i].word) {
			return &s.choices[i]
		}
	}
	return nil
}

// malformed is the answer to arguments that the grammar does not hold, of which word is the first or
// the token whose value is missing. A grammar without tokens can only have the wrong number.
func (s *Spec) malformed(word []byte) *Error {
	switch {
	case s.Stray != "":
		return &Error{Invalid, strings.ReplaceAll(s.Stray, "%s", string(clip(word, quoteMax)))}
	case len(s.tokens) == 0:
		return s.errArity()
	}
	return ErrSyntax
}

// foldEqual reports whether two words differ in the case of ASCII letters only.
func foldEqual(word []byte, name string) bool {
	if len(word) != len(name) {
		return false
	}
	for i, b := range word {
		if lower(b) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}
