package command

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/engine"
)

func nothing(*engine.Tx, *Call, *Reply) {}

func glance(*engine.View, *Call, *Reply) {}

// row is a row without fault, to be spoiled.
func row(change func(s *Spec)) *Spec {
	s := &Spec{
		Name: "row", Write: nothing, Family: Strings, Since: "0.1.0", Cost: "O(1)", Summary: "Does a thing.",
		Args: []Arg{Key("key", Updates), Str("value"), Opt(Tok("NX"))},
	}
	if change != nil {
		change(s)
	}
	return s
}

// TestCheckFindsBadRows plants rows that contradict themselves.
func TestCheckFindsBadRows(t *testing.T) {
	tokens := make([]Arg, tokensMax+1)
	for i := range tokens {
		tokens[i] = Opt(Tok("T" + strings.Repeat("X", i)))
	}
	sub := func(change func(s *Spec)) func(s *Spec) {
		return func(s *Spec) {
			s.Write, s.Args = nil, nil
			s.Sub = []*Spec{row(nil), row(change)}
		}
	}
	for name, test := range map[string]struct {
		change func(s *Spec)
		want   string
	}{
		"no fault":        {nil, ""},
		"container":       {sub(func(s *Spec) { s.Name = "other" }), ""},
		"no name":         {func(s *Spec) { s.Name = "" }, "the name is empty"},
		"upper case":      {func(s *Spec) { s.Name = "Row" }, "not lower case"},
		"long name":       {func(s *Spec) { s.Name = strings.Repeat("r", nameMax+1) }, "too long"},
		"no family":       {func(s *Spec) { s.Family = "" }, "no family"},
		"no summary":      {func(s *Spec) { s.Summary = "" }, "not one sentence"},
		"no full stop":    {func(s *Spec) { s.Summary = "Does a thing" }, "not one sentence"},
		"two sentences":   {func(s *Spec) { s.Summary = "Does a thing. Or not." }, "not one sentence"},
		"no version":      {func(s *Spec) { s.Since = "" }, "no version"},
		"no cost":         {func(s *Spec) { s.Cost = "" }, "no cost"},
		"no function":     {func(s *Spec) { s.Write = nil }, "not exactly one function"},
		"two functions":   {func(s *Spec) { s.Read = glance }, "not exactly one function"},
		"no keys":         {func(s *Spec) { s.Args = nil }, "names keys or is NoKeys"},
		"keys and NoKeys": {func(s *Spec) { s.Flags = NoKeys }, "names keys or is NoKeys"},
		"growing read": {func(s *Spec) {
			s.Write, s.Read, s.Flags = nil, glance, DenyGrowth
		}, "only a write"},
		"write before AUTH":   {func(s *Spec) { s.Flags = BeforeAuth }, "needs a credential"},
		"MULTI yes and no":    {func(s *Spec) { s.Flags = MultiNow | NoMulti }, "refused there"},
		"too many tokens":     {func(s *Spec) { s.Args = append(s.Args, tokens...) }, "too many tokens"},
		"token in lower case": {func(s *Spec) { s.Args = append(s.Args, Opt(Tok("xx"))) }, "not in upper case"},
		"token twice":         {func(s *Spec) { s.Args = append(s.Args, Opt(Tok("NX"))) }, "tokens are the same"},
		"key behind a token": {func(s *Spec) {
			s.Args = append(s.Args, Tok("STORE", Key("k", Replaces)))
		}, "no fixed place"},
		"arity as derived":      {func(s *Spec) { s.Arity = -3 }, "what is derived"},
		"container that writes": {func(s *Spec) { s.Sub = []*Spec{row(nil)} }, "a container reads, writes"},
		"bad subcommand": {sub(func(s *Spec) {
			s.Name, s.Write = "other", nil
		}), `row "row|other": not exactly one`},
		"same subcommands": {sub(nil), `two rows are named "row|row"`},
		"deep container": {sub(func(s *Spec) {
			s.Name, s.Write, s.Args, s.Sub = "other", nil, nil, []*Spec{row(nil)}
		}), "a subcommand holds subcommands"},
	} {
		t.Run(name, func(t *testing.T) {
			s := row(test.change)
			for _, sub := range s.Sub {
				sub.parent = s
				sub.derive()
			}
			s.derive()
			err := s.check()
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRegistryRefusesSameNames(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("two rows of one name were accepted")
		}
	}()
	g := &Registry{byName: map[string]*Spec{}}
	g.add(row(nil))
	g.add(row(nil))
}

func TestDerivedArityAndKeys(t *testing.T) {
	key := Key("key", Reads)
	for name, test := range map[string]struct {
		args  []Arg
		arity int
		keys  []KeySpec
	}{
		"nothing":      {nil, 1, nil},
		"one key":      {[]Arg{key}, 2, []KeySpec{{1, 0, 1, Reads}}},
		"two keys":     {[]Arg{key, key}, 3, []KeySpec{{1, 0, 1, Reads}, {2, 0, 1, Reads}}},
		"many keys":    {[]Arg{Many(key)}, -2, []KeySpec{{1, -1, 1, Reads}}},
		"keys, number": {[]Arg{Many(key), Double("timeout")}, -3, []KeySpec{{1, -2, 1, Reads}}},
		"pairs":        {[]Arg{Many(Block("data", key, Str("value")))}, -3, []KeySpec{{1, -1, 2, Reads}}},
		"block": {
			[]Arg{Str("s"), Block("b", Str("x"), key), key}, 5, []KeySpec{{3, 0, 2, Reads}, {4, 0, 1, Reads}},
		},
		"optional word":  {[]Arg{Opt(Str("message"))}, -1, nil},
		"option":         {[]Arg{key, Opt(Tok("X", Str("y"), Str("z")))}, -2, []KeySpec{{1, 0, 1, Reads}}},
		"required token": {[]Arg{Tok("LOAD", Str("script"))}, 3, nil},
		"on or off":      {[]Arg{OneOf("enabled", Tok("ON"), Tok("OFF"))}, 2, nil},
		"uneven choice":  {[]Arg{OneOf("way", Tok("ALL"), Tok("ONE", Int("id")))}, -2, nil},
		"first optional": {[]Arg{Opt(Str("username")), Str("password")}, -2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := Spec{Name: "row", Args: test.args}
			s.derive()
			if s.arity != test.arity {
				t.Errorf("arity %d, want %d", s.arity, test.arity)
			}
			if diff := cmp.Diff(test.keys, s.keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	for text, want := range map[string]string{
		"get a":           "a",
		"mget a b c":      "a b c",
		"mset a 1 b 2":    "a b",
		"rename a b":      "a b",
		"copy a b DB 1":   "a b",
		"set a b":         "a",
		"keys a*":         "",
		"object encoding": "",
	} {
		c := Call{Args: line(strings.Fields(text)...)}
		registry := NewRegistry()
		if err := registry.Resolve(&c); err != nil {
			if want != "" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		var got []string
		c.Keys(func(key []byte, _ Access) bool {
			got = append(got, string(key))
			return true
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%s: keys %q, want %q", text, got, want)
		}
		stopped := 0
		c.Keys(func([]byte, Access) bool { stopped++; return false })
		if stopped > 1 {
			t.Errorf("%s: went on after false", text)
		}
	}
}
