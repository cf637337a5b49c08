package command

import (
	"bytes"
	"context"
	"strings"
)

func commandContainer() *Spec {
	row := func(name string, conn connFunc, summary string, args ...Arg) *Spec {
		return &Spec{
			Name: name, Conn: conn, Family: Server, Since: "0.1.0", Cost: "O(N) in commands",
			Summary: summary, Args: args,
		}
	}
	names := Opt(Many(Str("command-name")))
	line := []Arg{Str("command"), Opt(Many(Str("arg")))}
	docs := row("docs", commandDocs, "Describes commands, for people.", names)
	info := row("info", commandInfo, "Describes commands, for clients.", names)
	docs.Check, info.Check = checkNames, checkNames
	return &Spec{
		Name: "command", Conn: commandAll, Family: Server, Since: "0.1.0", Cost: "O(N) in commands",
		Summary: "Describes all commands, for clients.",
		Sub: []*Spec{
			row("count", commandCount, "Answers how many commands there are."),
			docs,
			row("getkeys", commandGetKeys, "Answers which arguments of a command line are keys.", line...),
			row("getkeysandflags", commandGetKeysAndFlags,
				"Answers which arguments of a command line are keys, and what is done to them.", line...),
			info,
			row("list", commandList, "Lists the names of commands.",
				Opt(Tok("FILTERBY", OneOf("filterby",
					Tok("MODULE", Str("module-name")),
					Tok("ACLCAT", Str("category")),
					Tok("PATTERN", Pattern("pattern")))))),
			helpRow(Server),
		},
	}
}

// namesMax bounds how many names one call may ask about: each may be answered with kilobytes.
const namesMax = 1000

func checkNames(c *Call) *Error {
	if len(c.Args) > namesMax+2 {
		return Errorf(TooLarge, "too many names: at most %d are answered at once", namesMax)
	}
	return nil
}

// known returns the rows that COMMAND tells of: those that do more than answer an error.
func known(rows []*Spec) []*Spec {
	kept := make([]*Spec, 0, len(rows))
	for _, spec := range rows {
		if spec.Unsupported == "" {
			kept = append(kept, spec)
		}
	}
	return kept
}

// supported returns the rows that COMMAND tells of, each container before its subcommands.
func (g *Registry) supported() []*Spec {
	var all []*Spec
	for _, spec := range known(g.rows) {
		all = append(append(all, spec), known(spec.Sub)...)
	}
	return all
}

// named finds the row of "get" or "client|list", in any case; nil if COMMAND does not tell of it.
func (g *Registry) named(name []byte) *Spec {
	container, sub, nested := bytes.Cut(name, []byte("|"))
	spec := g.Lookup(container)
	if spec != nil && nested {
		spec = spec.Lookup(sub)
	}
	if spec == nil || spec.Unsupported != "" {
		return nil
	}
	return spec
}

func commandCount(_ context.Context, s *Session, _ *Call, r *Reply) {
	r.Int(int64(len(known(s.Host.Node().Registry().rows))))
}

func commandAll(_ context.Context, s *Session, _ *Call, r *Reply) {
	rows := known(s.Host.Node().Registry().rows)
	r.Array(len(rows))
	for _, spec := range rows {
		spec.appendInfo(r)
	}
}

// commandInfo is COMMAND INFO: null for a name that does not exist.
func commandInfo(ctx context.Context, s *Session, c *Call, r *Reply) {
	if len(c.Args) == 2 {
		commandAll(ctx, s, c, r)
		return
	}
	r.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if spec := s.Host.Node().Registry().named(name); spec != nil {
			spec.appendInfo(r)
		} else {
			r.Null()
		}
	}
}

func (s *Spec) appendInfo(r *Reply) {
	first, last, step := s.legacyRange()
	r.Array(10)
	r.BulkString(s.FullName())
	r.Int(int64(s.arity))
	appendFlags(r, s.flags)
	r.Int(int64(first))
	r.Int(int64(last))
	r.Int(int64(step))
	appendFlags(r, s.categories)
	r.Set(0) // tips
	r.Set(len(s.keys))
	for i := range s.keys {
		s.keys[i].appendSpec(r)
	}
	subs := known(s.Sub)
	if len(subs) == 0 {
		r.Set(0)
		return
	}
	r.Array(len(subs))
	for _, sub := range subs {
		sub.appendInfo(r)
	}
}

// appendSpec appends a key specification
// (https://redis.io/docs/latest/develop/reference/key-specs/).
func (k KeySpec) appendSpec(r *Reply) {
	r.Map(3)
	r.BulkString("flags")
	appendFlags(r, k.Access.words())
	r.BulkString("begin_search")
	r.Map(2)
	r.BulkString("type")
	r.BulkString("index")
	r.BulkString("spec")
	r.Map(1)
	r.BulkString("index")
	r.Int(int64(k.Begin))
	r.BulkString("find_keys")
	r.Map(2)
	r.BulkString("type")
	r.BulkString("range")
	r.BulkString("spec")
	r.Map(3)
	r.BulkString("lastkey")
	r.Int(int64(k.Last))
	r.BulkString("keystep")
	r.Int(int64(k.Step))
	r.BulkString("limit")
	r.Int(0)
}

// words are the flags of a key specification.
func (a Access) words() []string {
	switch a {
	case Reads:
		return []string{"RO", "access"}
	case Updates:
		return []string{"RW", "update"}
	case Swaps:
		return []string{"RW", "access", "update"}
	case Replaces:
		return []string{"OW", "update"}
	case Removes:
		return []string{"RM", "delete"}
	case Takes:
		return []string{"RW", "access", "delete"}
	case Inserts:
		return []string{"OW", "insert"}
	case Extends:
		return []string{"RW", "insert"}
	}
	return []string{"RO"}
}

func appendFlags(r *Reply, flags []string) {
	r.Set(len(flags))
	for _, flag := range flags {
		r.Status(flag)
	}
}

// commandList is COMMAND LIST, subcommands included.
func commandList(_ context.Context, s *Session, c *Call, r *Reply) {
	category, pattern := c.Value("ACLCAT"), newGlob(bytes.ToLower(c.Value("PATTERN")))
	var names []string
	for _, spec := range s.Host.Node().Registry().supported() {
		switch name := spec.FullName(); {
		case c.Options.Has("MODULE"):
		case category != nil && !spec.in(category):
		case c.Options.Has("PATTERN") && !pattern.match([]byte(name)):
		default:
			names = append(names, name)
		}
	}
	appendStrings(r, names)
}

// in reports whether the row is in an ACL category, which is named without its @.
func (s *Spec) in(category []byte) bool {
	for _, own := range s.categories {
		if foldEqual(category, own[1:]) {
			return true
		}
	}
	return false
}

func commandGetKeys(_ context.Context, s *Session, c *Call, r *Reply) {
	line, err := s.keyed(c)
	if err != nil {
		r.Error(err)
		return
	}
	mark, n := r.BeginArray(), 0
	line.Keys(func(key []byte, _ Access) bool {
		r.Bulk(key)
		n++
		return true
	})
	r.EndArray(mark, n)
}

func commandGetKeysAndFlags(_ context.Context, s *Session, c *Call, r *Reply) {
	line, err := s.keyed(c)
	if err != nil {
		r.Error(err)
		return
	}
	mark, n := r.BeginArray(), 0
	line.Keys(func(key []byte, access Access) bool {
		r.Array(2)
		r.Bulk(key)
		appendFlags(r, access.words())
		n++
		return true
	})
	r.EndArray(mark, n)
}

// keyed resolves the command line that GETKEYS asks about.
func (s *Session) keyed(c *Call) (Call, *Error) {
	line := Call{Args: c.Args[2:]}
	switch err := s.Host.Node().Registry().Resolve(&line); {
	case line.Spec == nil:
		return line, &Error{Invalid, "Invalid command specified"}
	case err != nil:
		return line, &Error{Invalid, "Invalid number of arguments specified for command"}
	case len(line.Spec.keys) == 0:
		return line, &Error{Invalid, "The command has no key arguments"}
	}
	return line, nil
}

// commandDocs is COMMAND DOCS: names that do not exist are left out.
func commandDocs(_ context.Context, s *Session, c *Call, r *Reply) {
	g := s.Host.Node().Registry()
	if len(c.Args) == 2 {
		appendDocs(r, known(g.rows))
		return
	}
	var rows []*Spec
	for _, name := range c.Args[2:] {
		if spec := g.named(name); spec != nil {
			rows = append(rows, spec)
		}
	}
	appendDocs(r, rows)
}

func appendDocs(r *Reply, rows []*Spec) {
	r.Map(len(rows))
	for _, spec := range rows {
		r.BulkString(spec.FullName())
		spec.appendDoc(r)
	}
}

func (s *Spec) appendDoc(r *Reply) {
	subs := known(s.Sub)
	cost := s.Cost
	if cost == "" {
		cost = "Depends on subcommand."
	}
	fields := 4
	for _, more := range []bool{len(s.Args) > 0, len(subs) > 0} {
		if more {
			fields++
		}
	}
	r.Map(fields)
	for _, field := range [][2]string{
		{"summary", strings.TrimSuffix(s.Summary, ".")},
		{"since", s.Since}, {"group", string(s.Family)}, {"complexity", cost},
	} {
		r.BulkString(field[0])
		r.BulkString(field[1])
	}
	if len(s.Args) > 0 {
		keys := 0
		r.BulkString("arguments")
		appendArgs(r, s.Args, &keys)
	}
	if len(subs) > 0 {
		r.BulkString("subcommands")
		appendDocs(r, subs)
	}
}

func appendArgs(r *Reply, args []Arg, keys *int) {
	r.Array(len(args))
	for i := range args {
		args[i].appendDoc(r, keys)
	}
}

// appendDoc appends one argument. keys counts the keys before it, which is the index of its key
// specification.
func (a *Arg) appendDoc(r *Reply, keys *int) {
	var flags []string
	if a.Optional {
		flags = append(flags, "optional")
	}
	if a.Multiple {
		flags = append(flags, "multiple")
	}
	fields := 2
	for _, more := range []bool{a.Kind == KeyKind, a.Token != "", len(flags) > 0, len(a.Args) > 0} {
		if more {
			fields++
		}
	}
	r.Map(fields)
	r.BulkString("name")
	r.BulkString(strings.ToLower(a.Name))
	r.BulkString("type")
	r.BulkString(string(a.Kind))
	if a.Kind == KeyKind {
		r.BulkString("key_spec_index")
		r.Int(int64(*keys))
		*keys++
	}
	if a.Token != "" {
		r.BulkString("token")
		r.BulkString(a.Token)
	}
	if len(flags) > 0 {
		r.BulkString("flags")
		appendFlags(r, flags)
	}
	if len(a.Args) > 0 {
		r.BulkString("arguments")
		appendArgs(r, a.Args, keys)
	}
}
