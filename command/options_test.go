package command

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// greeting is a grammar with everything in it that the parser knows.
func greeting() *Spec {
	s := &Spec{Name: "hello", Args: []Arg{
		Opt(Block("arguments", Int("protover"),
			Opt(Tok("AUTH", Str("username"), Str("password"))), Opt(Tok("SETNAME", Str("name"))))),
	}}
	s.derive()
	return s
}

func TestParser(t *testing.T) {
	grammar := func(args ...Arg) *Spec {
		s := &Spec{Name: "row", Args: args}
		s.derive()
		return s
	}
	condition := Opt(OneOf("condition", Tok("NX"), Tok("XX")))
	for _, test := range []struct {
		name string
		spec *Spec
		line string
		want string // tokens with the index behind them, or the error
	}{
		{"bare", greeting(), "hello", ""},
		{"one word", greeting(), "hello 3", ""},
		{"any order", greeting(), "hello 3 setname n auth u p", "AUTH=5 SETNAME=3"},
		{"token without value", greeting(), "hello 3 AUTH u", "ERR syntax error"},
		{"stray word", greeting(), "hello 3 foo", "ERR syntax error"},
		{"one of two", grammar(condition), "row xx", "XX=2"},
		{"both of two", grammar(condition), "row xx nx", "ERR syntax error"},
		{"last counts", grammar(Opt(Tok("EX", Int("s")))), "row EX 1 EX 2", "EX=4"},
		{"required choice", grammar(OneOf("x", Tok("ON"), Tok("OFF"))), "row off", "OFF=2"},
		{"required choice missing", grammar(OneOf("x", Tok("ON"), Tok("OFF"))), "row", "ERR syntax error"},
		{"required choice wrong", grammar(OneOf("x", Tok("ON"), Tok("OFF"))), "row maybe", "ERR syntax error"},
		{"required choice twice", grammar(OneOf("x", Tok("ON"), Tok("OFF"))), "row on on", "ERR syntax error"},
		{"choice or word", grammar(OneOf("x", Tok("ALL"), Str("id"))), "row 7", ""},
		{"repeated choice", grammar(Many(OneOf("x", Tok("ID", Int("id")), Tok("ADDR", Str("a"))))),
			"row id 1 addr x id 2", "ADDR=4 ID=6"},
		{"values to the end", grammar(Opt(Tok("ID", Many(Int("id")))), Opt(Tok("T"))), "row id 1 2 3", "ID=2"},
		{"choice behind a token", grammar(Opt(Tok("TYPE", OneOf("type", Tok("NORMAL"), Tok("PUBSUB"))))),
			"row type pubsub", "PUBSUB=3 TYPE=2"},
		{"wrong choice behind a token", grammar(Opt(Tok("TYPE", OneOf("type", Tok("NORMAL"))))),
			"row type x", "ERR syntax error"},
		{"block led by a token", grammar(Opt(Block("limit", Tok("LIMIT", Int("offset")), Int("count")))),
			"row limit 1 2", "LIMIT=2"},
		{"block led by a token, short", grammar(Opt(Block("limit", Tok("LIMIT", Int("offset")), Int("count")))),
			"row limit 1", "ERR syntax error"},
		{"optional first", grammar(Opt(Str("user")), Str("password")), "row p", ""},
		{"optional first given", grammar(Opt(Str("user")), Str("password")), "row u p", ""},
		{"too many words", grammar(Opt(Str("user")), Str("password")), "row u p x",
			"ERR wrong number of arguments for 'row' command"},
		{"keys then number", grammar(Many(Key("key", Reads)), Double("timeout")), "row a b c 0", ""},
		{"half a pair", grammar(Many(Block("data", Str("k"), Str("v")))), "row a 1 b",
			"ERR wrong number of arguments for 'row' command"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Call{Spec: test.spec, Args: line(strings.Fields(test.line)...)}
			var got []string
			if err := c.Parse(); err != nil {
				got = []string{err.Error()}
			} else {
				for _, token := range test.spec.tokens {
					if c.Options.Has(token) {
						got = append(got, token+"="+strconv.Itoa(c.Options.At(token)))
					}
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s: got %q, want %q", test.line, got, test.want)
			}
		})
	}
}

func TestOptionsAfterCopy(t *testing.T) {
	registry := NewRegistry()
	c := Call{Args: line("set", "k", "v", "px", "100")}
	if err := registry.Prepare(&c); err != nil {
		t.Fatal(err)
	}
	queued := c
	queued.Args = line("set", "k", "v", "px", "100")
	clear(c.Args)
	if !queued.Options.Has("PX") || string(queued.Value("PX")) != "100" || queued.Value("EX") != nil {
		t.Error("options do not outlive the arguments they were parsed from")
	}
	if queued.Options.Has("NO SUCH TOKEN") || (&Options{}).Has("PX") {
		t.Error("tokens that are not there were given")
	}
}

func TestLimits(t *testing.T) {
	registry := NewRegistry()
	large := make([]byte, 16<<20)
	for name, test := range map[string]struct {
		args [][]byte
		want *Error
	}{
		"largest value":     {[][]byte{[]byte("set"), []byte("k"), large}, nil},
		"too large a value": {[][]byte{[]byte("set"), []byte("k"), append(large, 0)}, ErrLargeValue},
		"too large behind IFEQ": {
			[][]byte{[]byte("set"), []byte("k"), {}, []byte("IFEQ"), append(large, 0)}, ErrLargeValue,
		},
		"second key empty": {line("rename", "a", ""), ErrEmptyKey},
		"key in pairs":     {line("mset", "a", "1", strings.Repeat("k", 1025), "2"), ErrLongKey},
		"last of many":     {line("del", "a", "b", ""), ErrEmptyKey},
		"no command":       {nil, Errorf(Invalid, "unknown command '', with args beginning with: ")},
	} {
		t.Run(name, func(t *testing.T) {
			err := registry.Prepare(&Call{Args: test.args})
			if (err == nil) != (test.want == nil) || err != nil && *err != *test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestPrepareDoesNotAllocate guards the hot path.
func TestPrepareDoesNotAllocate(t *testing.T) {
	registry := NewRegistry()
	for _, text := range []string{"get k", "set k v", "SET k v PX 100 NX", "mset a 1 b 2", "client list"} {
		c := Call{Args: line(strings.Fields(text)...)}
		if n := testing.AllocsPerRun(100, func() {
			if err := registry.Prepare(&c); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

// drawLine draws words that a grammar holds.
func drawLine(t *rapid.T, args []Arg) [][]byte {
	var words [][]byte
	left := false // an optional word was left out: what is optional behind it would be taken for it
	for i := 0; i < len(args); i++ {
		from := i
		for i < len(args) && args[i].led() && args[i].Optional {
			i++
		}
		if i > from { // optional tokens come in any order
			for _, a := range rapid.Permutation(args[from:i]).Draw(t, "order") {
				if !left && rapid.Bool().Draw(t, a.Name) {
					words = append(words, drawArg(t, a)...)
				}
			}
			i--
			continue
		}
		a := args[i]
		times := 1
		if a.Multiple {
			times = rapid.IntRange(1, 3).Draw(t, "times")
		}
		if a.Optional && (left || rapid.Bool().Draw(t, "without "+a.Name)) {
			left = true
			continue
		}
		for range times {
			words = append(words, drawArg(t, a)...)
		}
	}
	return words
}

func drawArg(t *rapid.T, a Arg) [][]byte {
	var words [][]byte
	if a.Token != "" {
		words = append(words, drawCase(t, a.Token))
	}
	switch a.Kind {
	case TokenKind:
		return words
	case BlockKind:
		return append(words, drawLine(t, a.Args)...)
	case OneOfKind:
		return append(words, drawArg(t, rapid.SampledFrom(a.Args).Draw(t, a.Name))...)
	case IntegerKind, UnixTimeKind:
		return append(words, strconv.AppendInt(nil, rapid.Int64().Draw(t, a.Name), 10))
	case DoubleKind:
		f := rapid.Float64Range(-math.MaxFloat32, math.MaxFloat32).Draw(t, a.Name)
		return append(words, strconv.AppendFloat(nil, f, 'g', -1, 64))
	}
	return append(words, rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, a.Name))
}

func drawCase(t *rapid.T, word string) []byte {
	if rapid.Bool().Draw(t, "lower") {
		return bytes.ToLower([]byte(word))
	}
	return []byte(word)
}

// everyRow returns all rows that have a grammar, subcommands included.
func everyRow(registry *Registry) []*Spec {
	var specs []*Spec
	for _, spec := range registry.Rows() {
		specs = append(specs, spec.Sub...)
		if spec.Sub == nil {
			specs = append(specs, spec)
		}
	}
	return specs
}

// TestGrammar draws lines from the rows: they must be accepted, spoiled ones must not panic.
func TestGrammar(t *testing.T) {
	registry := NewRegistry()
	rows := everyRow(registry)
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.SampledFrom(rows).Draw(t, "row")
		var args [][]byte
		if spec.parent != nil {
			args = append(args, drawCase(t, spec.parent.Name))
		}
		args = append(args, drawCase(t, spec.Name))
		args = append(args, drawLine(t, spec.Args)...)
		c := Call{Args: args}
		if err := registry.Resolve(&c); err != nil {
			if spec.Arity == 0 {
				t.Fatalf("%q: %v", args, err)
			}
			return // a stated arity is narrower than the grammar
		}
		if err := parseOptions(&c); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		c = Call{Args: spoil(t, args)}
		if registry.Prepare(&c) == nil {
			c.Keys(func([]byte, Access) bool { return true })
		}
	})
}

// spoil changes a line somewhere.
func spoil(t *rapid.T, args [][]byte) [][]byte {
	at := rapid.IntRange(0, len(args)-1).Draw(t, "at")
	word := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(
		rapid.SampledFrom([]string{"NX", "EX", "GET", "", "0", "LIMIT", "list"}),
		func(s string) []byte { return []byte(s) })).Draw(t, "word")
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		return args[:at]
	case 1:
		return slices.Insert(args, at, word)
	case 2:
		return slices.Delete(args, at, at+1)
	}
	args[at] = word
	return args
}

// FuzzPrepare gives the gate lines of any words, which are separated by zero bytes, and carries out what
// it lets pass.
func FuzzPrepare(f *testing.F) {
	for _, text := range []string{
		"get k", "SET k v PX 100 NX", "set k v ifeq", "mset a 1 b", "copy a b db 3 replace", "expire k 1 foo",
		"scan 0 match * count 1 type string", "client list", "incrbyfloat k 0x1p-3", "listkeys p after q limit 3",
		"getex k persist ex 1", "flushall async", "setrange k 5 v", "keys [^a-b]\\*", "hello 3 auth u p",
	} {
		f.Add([]byte(strings.ReplaceAll(text, " ", "\x00")))
	}
	registry := NewRegistry()
	f.Fuzz(func(t *testing.T, data []byte) {
		args := bytes.Split(data, []byte{0})
		c := Call{Args: args}
		first := registry.Prepare(&c)
		again := Call{Args: args}
		second := registry.Prepare(&again)
		if (first == nil) != (second == nil) || first != nil && *first != *second || c.Options != again.Options {
			t.Fatalf("%q: %v, then %v", args, first, second)
		}
		if first != nil {
			return
		}
		c.Keys(func([]byte, Access) bool { return true })
		if c.Spec.Class() == Conn || c.Spec.Flags.Has(MultiNow) || c.Spec.Family == Namespaces {
			return
		}
		l := newLocalWith(registry)
		if _, rest, err := ParseValue(l.do(args...)); err != nil || len(rest) > 0 {
			t.Fatalf("%q: bad answer %q", args, l.reply.Bytes())
		}
	})
}
