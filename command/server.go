package command

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/engine"
)

// serverCommands are the commands about the process, and the short ones that tools ask of a Redis.
func serverCommands() []*Spec {
	row := func(name string, conn connFunc, summary string, args ...Arg) *Spec {
		return &Spec{
			Name: name, Conn: conn, Family: Server, Since: "0.1.0", Cost: "O(1)",
			Summary: summary, Args: args,
		}
	}
	container := func(name, summary string, sub ...*Spec) *Spec {
		return &Spec{
			Name: name, Family: Server, Since: "0.1.0", Summary: summary, Sub: append(sub, helpRow(Server)),
		}
	}
	return []*Spec{
		commandContainer(), infoRow(), configContainer(), objectContainer(), memoryContainer(),
		{
			Name: "time", Read: now, Family: Server, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast | AnyNamespace | NoKeys,
			Summary: "Answers the time in seconds and microseconds.",
		},
		row("lolwut", lolwut, "Answers the version.", Opt(Many(Str("ignored")))),
		container("module", "Commands about modules.",
			row("list", emptyArray, "Answers that no modules are loaded.")),
		container("acl", "Commands about access.",
			row("whoami", whoami, "Answers the credential of the connection."),
			row("cat", aclCat, "Lists categories, or the commands of one.", Opt(Str("category"))),
			row("list", aclList, "Describes the credential of the connection.")),
		container("slowlog", "Commands about slow commands, which are not recorded.",
			row("get", slowlogGet, "Answers no commands.", Opt(Int("count"))),
			row("len", zero, "Answers 0."),
			row("reset", ok, "Accepted for compatibility.")),
		container("latency", "Commands about latency spikes, which are not recorded.",
			row("latest", emptyArray, "Answers no events."),
			row("history", emptyArray, "Answers no events.", Str("event")),
			row("reset", zero, "Answers 0.", Opt(Many(Str("event")))),
			row("histogram", emptyMap, "Answers no commands.", Opt(Many(Str("command"))))),
		unsupported("debug", Server, "it can stop or damage a server", Many(Str("arg"))),
		unsupported("monitor", Server, "commands cannot be watched yet"),
	}
}

func ok(_ context.Context, _ *Session, _ *Call, r *Reply)         { r.OK() }
func zero(_ context.Context, _ *Session, _ *Call, r *Reply)       { r.Int(0) }
func emptyArray(_ context.Context, _ *Session, _ *Call, r *Reply) { r.Array(0) }
func emptyMap(_ context.Context, _ *Session, _ *Call, r *Reply)   { r.Map(0) }

// slowlogGet is SLOWLOG GET.
func slowlogGet(_ context.Context, _ *Session, c *Call, r *Reply) {
	if len(c.Args) == 3 {
		if n, ok := parseInt(c.Arg(2)); !ok || n < -1 {
			r.Error(&Error{Invalid, "count should be greater than or equal to -1"})
			return
		}
	}
	r.Array(0)
}

// now is TIME: log time has milliseconds, so the last three digits of the microseconds are 0.
func now(v *engine.View, _ *Call, r *Reply) {
	ms := v.Time()
	r.Array(2)
	r.BulkString(strconv.FormatInt(ms/1000, 10))
	r.BulkString(strconv.FormatInt(ms%1000*1000, 10))
}

func lolwut(_ context.Context, _ *Session, _ *Call, r *Reply) {
	r.Verbatim("primatomic, a key/value store that speaks Redis ver. " + RedisVersion + "\n")
}

func whoami(_ context.Context, s *Session, _ *Call, r *Reply) { r.BulkString(s.credential()) }

// aclCat is ACL CAT: the categories that some command is in, or the commands of one of them.
func aclCat(_ context.Context, s *Session, c *Call, r *Reply) {
	members := map[string][]string{}
	for _, spec := range s.Host.Node().Registry().supported() {
		for _, category := range spec.categories {
			members[category[1:]] = append(members[category[1:]], spec.FullName())
		}
	}
	if len(c.Args) == 2 {
		names := make([]string, 0, len(members))
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		appendStrings(r, names)
		return
	}
	names, found := members[strings.ToLower(string(c.Arg(2)))]
	if !found {
		r.Error(Errorf(Invalid, "Unknown category '%s'", clip(c.Arg(2), quoteMax)))
		return
	}
	appendStrings(r, names)
}

// aclList is ACL LIST: the caller's own line, in the form of Redis.
func aclList(_ context.Context, s *Session, _ *Call, r *Reply) {
	line := "user " + s.credential() + " on ~* &*"
	for _, right := range []struct {
		scope auth.Scope
		rules string
	}{{auth.Read, " +@read"}, {auth.Write, " +@write"}, {auth.Admin, " +@admin"}} {
		if s.Principal.May(right.scope, "") {
			line += right.rules
		}
	}
	appendStrings(r, []string{line})
}

func appendStrings(r *Reply, texts []string) {
	r.Array(len(texts))
	for _, text := range texts {
		r.BulkString(text)
	}
}
