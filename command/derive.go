package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// derived is what follows from a row and is never stated.
type derived struct {
	arity      int // as COMMAND INFO prints it: with the names; negative for "at least"
	keys       []KeySpec
	flags      []string // of COMMAND INFO
	categories []string // of COMMAND INFO, with their @
	steps      []step   // Args, compiled for the parser
	tokens     []string // every literal word in the grammar, upper case; Options counts them
}

// step is one node of a compiled grammar: a single argument, a block of steps, or a choice of tokens.
type step struct {
	kind     ArgKind
	optional bool
	multiple bool
	block    []step
	choices  []choice
	instead  []step // of a choice: what may stand in place of a token
	rest     int    // arguments that the following steps of the same list take at the least
}

// choice is one token that a step may take.
type choice struct {
	word   string
	token  int    // its place in derived.tokens
	rivals uint16 // tokens that exclude it
	values []step // what follows the word
}

// derive fills what follows from the row.
func (s *Spec) derive() {
	s.derived = derived{}
	s.steps = s.compile(s.Args)
	s.keys = keySpecs(s.Args, s.offset())
	least, exact := width(s.Args)
	s.arity = s.offset() + least
	if !exact || s.Sub != nil {
		s.arity = -s.arity
	}
	if s.Sub != nil && s.Conn == nil {
		s.arity = -2
	}
	if s.Arity != 0 {
		s.arity = s.Arity
	}
	s.flags = s.infoFlags()
	s.categories = s.infoCategories()
}

// offset is the index of the first argument after the names.
func (s *Spec) offset() int {
	if s.parent != nil {
		return 2
	}
	return 1
}

// width returns how many arguments a list takes at the least, and whether it takes no more.
func width(args []Arg) (least int, exact bool) {
	exact = true
	for i := range args {
		n, e := args[i].width()
		if args[i].Optional {
			n = 0
		}
		least += n
		exact = exact && e && !args[i].Optional && !args[i].Multiple
	}
	return least, exact
}

// width of one appearance of an argument.
func (a *Arg) width() (least int, exact bool) {
	least, exact = 1, true
	switch a.Kind {
	case TokenKind:
		return 1, true
	case BlockKind:
		least, exact = width(a.Args)
	case OneOfKind:
		for i := range a.Args {
			n, e := a.Args[i].width()
			if i == 0 {
				least = n
			}
			exact = exact && e && n == least && !a.Args[i].Multiple
			least = min(least, n)
		}
	}
	if a.Token != "" {
		least++
	}
	return least, exact
}

// compile turns a list of arguments into steps. Optional tokens that stand side by side become one
// step, because Redis takes them in any order.
func (s *Spec) compile(args []Arg) []step {
	steps := make([]step, 0, len(args))
	for i := 0; i < len(args); i++ {
		a := &args[i]
		least, _ := width(args[i+1:])
		next := step{kind: a.Kind, optional: a.Optional, multiple: a.Multiple, rest: least}
		switch {
		case a.led() && a.Optional:
			next.multiple = false // a choice of optional tokens repeats by itself
			for ; i < len(args) && args[i].led() && args[i].Optional; i++ {
				s.compileChoice(&next, &args[i])
			}
			i--
		case a.led():
			s.compileChoice(&next, a)
		case a.Kind == BlockKind:
			next.block = s.compile(a.Args)
		}
		steps = append(steps, next)
	}
	return steps
}

// led reports whether the argument begins with a token, or is a choice in which some do.
func (a *Arg) led() bool {
	if a.Token != "" || a.Kind == OneOfKind {
		return true
	}
	return a.Kind == BlockKind && len(a.Args) > 0 && a.Args[0].led() && !a.Args[0].Optional
}

// compileChoice adds the tokens that an argument may begin with to a step.
func (s *Spec) compileChoice(next *step, a *Arg) {
	if a.Kind != OneOfKind || a.Token != "" {
		next.choices = append(next.choices, s.compileToken(a))
		return
	}
	from := len(next.choices)
	var all uint16
	for i := range a.Args {
		if !a.Args[i].led() {
			next.instead = s.compile(a.Args[i : i+1])
			continue
		}
		c := s.compileToken(&a.Args[i])
		all |= 1 << c.token
		next.choices = append(next.choices, c)
	}
	for i := from; i < len(next.choices) && !a.Multiple; i++ {
		next.choices[i].rivals = all &^ (1 << next.choices[i].token)
	}
}

func (s *Spec) compileToken(a *Arg) choice {
	if a.Token == "" { // a block that begins with a token
		c := s.compileToken(&a.Args[0])
		least, _ := width(a.Args[1:])
		for i := range c.values {
			c.values[i].rest += least
		}
		c.values = append(c.values, s.compile(a.Args[1:])...)
		return c
	}
	c := choice{word: a.Token, token: len(s.tokens)}
	s.tokens = append(s.tokens, a.Token)
	switch a.Kind {
	case TokenKind:
	case BlockKind:
		c.values = s.compile(a.Args)
	default:
		value := *a
		value.Token, value.Optional = "", false
		c.values = s.compile([]Arg{value})
	}
	return c
}

// infoFlags are the flags of COMMAND INFO that mean something here.
func (s *Spec) infoFlags() []string {
	var flags []string
	add := func(when bool, flag string) {
		if when {
			flags = append(flags, flag)
		}
	}
	conn := s.Class() == Conn
	add(s.Class() == Write, "write")
	add(s.Class() == Read, "readonly")
	add(s.Flags.Has(DenyGrowth), "denyoom")
	add(s.Flags.Has(Admin), "admin")
	add(conn && s.Flags&(Admin|BeforeAuth|MultiNow) != 0, "noscript")
	add(conn, "loading")
	add(conn, "stale")
	add(s.Flags.Has(Fast), "fast")
	add(s.Flags.Has(BeforeAuth), "no_auth")
	add(s.Flags.Has(NoMulti), "no_multi")
	return flags
}

// infoCategories are the ACL categories of COMMAND INFO.
func (s *Spec) infoCategories() []string {
	var categories []string
	add := func(when bool, category string) {
		if when {
			categories = append(categories, category)
		}
	}
	moves := s.Class() == Write || s.Class() == Read
	add(s.Family == Generic || s.Family == Server && moves, "@keyspace")
	add(s.Class() == Read, "@read")
	add(s.Class() == Write, "@write")
	add(s.Family == Strings, "@string")
	add(s.Flags.Has(Admin), "@admin")
	add(s.Flags.Has(Fast), "@fast")
	add(!s.Flags.Has(Fast), "@slow")
	add(s.Flags&(Admin|Dangerous) != 0, "@dangerous")
	add(s.Family == Connection, "@connection")
	add(s.Family == PubSub, "@pubsub")
	add(s.Family == Transactions, "@transaction")
	add(s.Family == Namespaces, "@namespace")
	return categories
}

// check reports how the row contradicts itself.
func (s *Spec) check() error {
	problems := slices.Concat(s.checkTexts(), s.checkClass(), s.checkGrammar())
	if len(problems) > 0 {
		return fmt.Errorf("command: row %q: %s", s.FullName(), strings.Join(problems, "; "))
	}
	var all []error
	names := map[string]bool{}
	for _, sub := range s.Sub {
		if names[sub.Name] {
			all = append(all, fmt.Errorf("command: two rows are named %q", sub.FullName()))
		}
		names[sub.Name] = true
		if sub.Sub != nil {
			all = append(all, fmt.Errorf("command: row %q: a subcommand holds subcommands", sub.FullName()))
			continue
		}
		all = append(all, sub.check())
	}
	return errors.Join(all...)
}

func (s *Spec) checkTexts() (problems []string) {
	if s.Name == "" || s.Name != strings.ToLower(s.Name) || len(s.Name) > nameMax {
		problems = append(problems, "the name is empty, too long or not lower case")
	}
	switch s.Family {
	case Strings, Generic, Connection, Server, Transactions, Namespaces, Clusters, Sentinels, PubSub:
	default:
		problems = append(problems, "no family")
	}
	text := strings.TrimSuffix(s.Summary, ".")
	if text == "" || text == s.Summary || strings.Contains(text, ". ") {
		problems = append(problems, "the summary is not one sentence")
	}
	if s.Since == "" || s.Cost == "" && s.Class() != 0 {
		problems = append(problems, "no version or no cost")
	}
	return problems
}

func (s *Spec) checkClass() (problems []string) {
	functions := 0
	for _, set := range []bool{s.Read != nil, s.Write != nil, s.Conn != nil} {
		if set {
			functions++
		}
	}
	state := s.Class() == Read || s.Class() == Write
	switch {
	case s.Sub != nil && (state || s.Args != nil):
		problems = append(problems, "a container reads, writes or has arguments of its own")
	case s.Sub == nil && functions != 1:
		problems = append(problems, "not exactly one function")
	case state && (len(s.keys) == 0) != s.Flags.Has(NoKeys):
		problems = append(problems, "a read or write names keys or is NoKeys")
	case s.Class() != Write && s.Flags.Has(DenyGrowth):
		problems = append(problems, "only a write makes the state grow")
	case s.Class() != Conn && s.Flags.Has(BeforeAuth):
		problems = append(problems, "a read or write needs a credential")
	case s.Flags.Has(MultiNow | NoMulti):
		problems = append(problems, "carried out inside MULTI and refused there")
	}
	return problems
}

func (s *Spec) checkGrammar() (problems []string) {
	if len(s.tokens) > tokensMax {
		problems = append(problems, "too many tokens")
	}
	for i, token := range s.tokens {
		if token != strings.ToUpper(token) {
			problems = append(problems, "a token is not in upper case")
		}
		if slices.Contains(s.tokens[:i], token) {
			problems = append(problems, "two tokens are the same: "+token)
		}
	}
	if n := countKeys(s.Args); n != len(s.keys) {
		problems = append(problems, "a key stands at no fixed place")
	}
	if s.Arity != 0 {
		stated := s.Arity
		bare := Spec{Name: s.Name, Args: s.Args, Sub: s.Sub, Conn: s.Conn, parent: s.parent}
		if bare.derive(); bare.arity == stated {
			problems = append(problems, "the stated arity is what is derived")
		}
	}
	return problems
}
