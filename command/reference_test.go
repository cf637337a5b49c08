package command

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/COMMANDS.md anew")

const referenceFile = "../docs/COMMANDS.md"

// TestReference fails when docs/COMMANDS.md is not what the table says; `make docs` writes it.
func TestReference(t *testing.T) {
	want := reference(NewRegistry())
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is out of date (%v): run make docs", referenceFile, err)
	}
}

// families are the sections of the reference, in its order.
var families = []struct {
	family Family
	title  string
}{
	{Strings, "Strings"},
	{Generic, "Keys of any type"},
	{Transactions, "Transactions"},
	{Namespaces, "Namespaces"},
	{Connection, "Connection"},
	{Server, "Server"},
	{Clusters, "Cluster"},
	{Sentinels, "Sentinel"},
	{PubSub, "Pub/Sub"},
}

// referenceIntro has ' where the page has a backtick.
const referenceIntro = `# Commands

<!-- Written by "make docs" from the table in package command. Do not edit. -->

What a Redis client can send, family by family. '<word>' stands for a value, '[...]' may be left out, '|' separates
alternatives, and words in capitals are written as they are, in any case. 'COMMAND DOCS' and 'COMMAND INFO' tell the
same to programs; the flags are theirs. Of those, 'write' goes through the log, 'readonly' is answered from memory,
and 'denyoom' may make the data grow and is refused when memory or disk is short. What outcomes, time to live and
transactions mean is in [SEMANTICS.md](SEMANTICS.md).

A command that is on no list here is answered with 'ERR unknown command': hashes, lists, sets, sorted sets, streams,
blocking commands, scripts and functions are not there yet, and of Pub/Sub no more than the channels of a Sentinel.
`

// reference writes the whole page.
func reference(g *Registry) []byte {
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(referenceIntro, "'", "`"))
	var refused []*Spec
	for _, section := range families {
		fmt.Fprintf(&b, "\n## %s\n", section.title)
		for _, spec := range g.Rows() {
			if spec.Family != section.family {
				continue
			}
			for _, row := range append([]*Spec{spec}, spec.Sub...) {
				switch {
				case row.Unsupported != "":
					refused = append(refused, row)
				case row.Class() != 0:
					b.WriteString(row.reference())
				}
			}
		}
	}
	b.WriteString("\n## Not supported\n\n" +
		"These exist in Redis and are answered with an error that gives the reason.\n\n" +
		"| Command | Why not |\n|---|---|\n")
	for _, row := range refused {
		fmt.Fprintf(&b, "| `%s` | %s |\n", row.words(), strings.ReplaceAll(row.Unsupported, "|", "\\|"))
	}
	return b.Bytes()
}

// words is the name as it is typed.
func (s *Spec) words() string { return strings.ToUpper(strings.ReplaceAll(s.FullName(), "|", " ")) }

// reference writes the entry of a row.
func (s *Spec) reference() string {
	flags := ""
	if len(s.flags) > 0 {
		flags = ", " + strings.Join(s.flags, ", ")
	}
	return fmt.Sprintf("\n### %s\n\n    %s%s\n\n%s  \n%s; since %s%s.\n",
		s.words(), s.words(), usage(s.Args), s.Summary, s.Cost, s.Since, flags)
}

// TestReferenceIsWhole: every row is on the page, and the sections are all families.
func TestReferenceIsWhole(t *testing.T) {
	g := NewRegistry()
	page := string(reference(g))
	for _, spec := range g.Rows() {
		for _, row := range append([]*Spec{spec}, spec.Sub...) {
			entry := "\n### " + row.words() + "\n"
			if row.Unsupported != "" {
				entry = "\n| `" + row.words() + "` | "
			}
			if container := row.Class() == 0; !container && !strings.Contains(page, entry) {
				t.Errorf("%s is missing", row.FullName())
			}
		}
	}
}
