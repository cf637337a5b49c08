package command

import (
	"context"
	"strings"
)

// unsupported is the row of a command that exists elsewhere and only answers an error here, so that
// people who try it learn why.
func unsupported(name string, family Family, reason string, args ...Arg) *Spec {
	return &Spec{
		Name: name, Family: family, Since: "0.1.0", Cost: "O(1)", Args: args, Unsupported: reason,
		Summary: "Answers an error.", Conn: refuse,
	}
}

func refuse(_ context.Context, _ *Session, c *Call, r *Reply) {
	name := strings.ToUpper(strings.ReplaceAll(c.Spec.FullName(), "|", " "))
	r.Error(Errorf(Unsupported, "%s is not supported: %s", name, c.Spec.Unsupported))
}

// helpRow is the HELP of a container.
func helpRow(family Family) *Spec {
	return &Spec{
		Name: "help", Conn: help, Family: family, Since: "0.1.0", Cost: "O(1)",
		Summary: "Prints this help.",
	}
}

// help lists the subcommands of a container with their arguments, in the form of Redis.
func help(_ context.Context, _ *Session, c *Call, r *Reply) {
	container := c.Spec.parent
	mark := r.BeginArray()
	r.Status(strings.ToUpper(container.Name) +
		" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	lines := 1
	for _, sub := range container.Sub {
		if sub.Unsupported != "" {
			continue
		}
		r.Status(strings.ToUpper(sub.Name) + usage(sub.Args))
		r.Status("    " + sub.Summary)
		lines += 2
	}
	r.EndArray(mark, lines)
}

// usage prints a grammar for people: "<key> [EX <seconds>|NX]", each argument after a space.
func usage(args []Arg) string {
	var b strings.Builder
	for i := range args {
		text := args[i].usage()
		if args[i].Multiple {
			repeated := args[i]
			repeated.Token = "" // it stands once, before all values
			text += " [" + repeated.usage() + " ...]"
		}
		if args[i].Optional {
			text = "[" + text + "]"
		}
		b.WriteString(" " + text)
	}
	return b.String()
}

// usage prints one appearance of an argument.
func (a *Arg) usage() string {
	var value string
	switch a.Kind {
	case TokenKind:
		return a.Token
	case BlockKind:
		value = strings.TrimPrefix(usage(a.Args), " ")
	case OneOfKind:
		choices := make([]string, len(a.Args))
		for i := range a.Args {
			choices[i] = a.Args[i].usage()
		}
		value = "<" + strings.Join(choices, " | ") + ">"
	default:
		value = "<" + a.Name + ">"
	}
	if a.Token != "" {
		return a.Token + " " + value
	}
	return value
}
