package command

import (
	"context"
	"slices"
	"strings"
)

// RedisVersion is the version of Redis whose behaviour clients may expect. Our own version is the field
// primatomic_version of INFO.
const RedisVersion = "7.2.4"

// InfoSection is one section of INFO.
type InfoSection struct {
	Name   string // "Server"
	Fields []InfoField
	// Extra sections are told only if asked for by name, or with "everything".
	Extra bool
}

// InfoField is one line of INFO.
type InfoField struct{ Name, Value string }

func infoRow() *Spec {
	return &Spec{
		Name: "info", Conn: info, Family: Server, Flags: Dangerous, Since: "0.1.0", Cost: "O(1)",
		Args:    []Arg{Opt(Many(Str("section")))},
		Summary: "Describes the server, section by section.",
	}
}

// info is INFO. Sections that do not exist are left out, as in Redis.
func info(_ context.Context, s *Session, c *Call, r *Reply) {
	var text strings.Builder
	for _, section := range s.Host.Node().Info(s) {
		if !section.wanted(c.Args[1:]) {
			continue
		}
		if text.Len() > 0 {
			text.WriteString("\r\n")
		}
		text.WriteString("# " + section.Name + "\r\n")
		for _, field := range section.Fields {
			text.WriteString(field.Name + ":" + field.Value + "\r\n")
		}
	}
	r.Verbatim(text.String())
}

func (n *InfoSection) wanted(names [][]byte) bool {
	return len(names) == 0 && !n.Extra || slices.ContainsFunc(names, func(name []byte) bool {
		all := foldEqual(name, "all") || foldEqual(name, "default")
		return foldEqual(name, n.Name) || foldEqual(name, "everything") || all && !n.Extra
	})
}
