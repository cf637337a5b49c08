package command

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
)

func configContainer() *Spec {
	return &Spec{
		Name: "config", Family: Server, Since: "0.1.0",
		Summary: "Commands about the configuration.",
		Sub: []*Spec{
			{
				Name: "get", Conn: configGet, Family: Server, Flags: Dangerous,
				Since: "0.1.0", Cost: "O(N) in parameters",
				Args:    []Arg{Many(Pattern("parameter"))},
				Check:   checkNames,
				Summary: "Answers the parameters whose names match, with their values.",
			},
			{
				Name: "set", Conn: configSet, Family: Server, Flags: Admin,
				Since: "0.1.0", Cost: "O(N) in parameters",
				Args:    []Arg{Many(Block("data", Str("parameter"), Str("value")))},
				Summary: "Accepts the values that parameters have already, and refuses others.",
			},
			{
				Name: "resetstat", Conn: configResetStat, Family: Server, Flags: Admin,
				Since: "0.1.0", Cost: "O(1)",
				Summary: "Refused, because counters only grow.",
			},
			{
				Name: "rewrite", Conn: configRewrite, Family: Server, Flags: Admin,
				Since: "0.1.0", Cost: "O(1)",
				Summary: "Refused, because the server never writes its configuration.",
			},
			helpRow(Server),
		},
	}
}

// configGet is CONFIG GET.
func configGet(_ context.Context, s *Session, c *Call, r *Reply) {
	config := s.Host.Node().Config()
	asked := map[string]bool{}
	for _, pattern := range c.Args[2:] {
		g := newGlob(bytes.ToLower(pattern))
		for name := range config {
			if g.match([]byte(name)) {
				asked[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(asked))
	r.Map(len(names))
	for _, name := range names {
		r.BulkString(name)
		r.BulkString(config[name])
	}
}

// configSet is CONFIG SET. Parameters are flags of the process or settings of the cluster; tools that
// set what holds anyway are let through.
func configSet(_ context.Context, s *Session, c *Call, r *Reply) {
	config := s.Host.Node().Config()
	for i := 2; i+1 < len(c.Args); i += 2 {
		name := strings.ToLower(string(c.Arg(i)))
		value, known := config[name]
		shown := string(clip(c.Arg(i), quoteMax))
		switch {
		case !known:
			r.Error(Errorf(Invalid,
				"Unknown option or number of arguments for CONFIG SET - '%s'", shown))
			return
		case !strings.EqualFold(value, string(c.Arg(i+1))):
			r.Error(Errorf(Unsupported,
				"CONFIG SET failed (possibly related to argument '%s') - can't set immutable config", shown))
			return
		}
	}
	r.OK()
}

func configResetStat(_ context.Context, _ *Session, _ *Call, r *Reply) {
	r.Error(&Error{Unsupported, "CONFIG RESETSTAT is not supported: counters only grow"})
}

func configRewrite(_ context.Context, _ *Session, _ *Call, r *Reply) {
	r.Error(&Error{Unsupported, "The server is running without a config file"})
}
