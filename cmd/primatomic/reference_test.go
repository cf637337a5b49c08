package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write docs/CONFIGURATION.md anew")

const referenceFile = "../../docs/CONFIGURATION.md"

// TestReference fails when docs/CONFIGURATION.md is not what the flags say; `make docs` writes it.
func TestReference(t *testing.T) {
	want := reference(t)
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

// referenceIntro has ' where the page has a backtick.
const referenceIntro = `# Configuration

<!-- Written by "make docs" from the flags of primatomic serve. Do not edit. -->

Every setting is a flag of 'primatomic serve', an environment variable and a key of the configuration file, all of
one name: '--max-memory', 'PRIMATOMIC_MAX_MEMORY', 'max-memory'. A flag wins over the environment, and the
environment over the file. Settings are read once, at the start; only the files with keys for tokens are read again
when they change.

Sizes are numbers of bytes, or numbers with KiB, MiB, GiB or TiB behind them (k, kb, m, mb and so on mean the same).
Durations are written as 1500ms, 30s, 5m or 24h. Lists are separated by commas in flags and variables, and a flag may
be given several times instead. A list replaces the list of a weaker source.

## The file

'--config FILE' or 'PRIMATOMIC_CONFIG' names a file in [TOML](https://toml.io). A key that is no setting stops the
start, so that a misspelt limit is noticed. For example:

'''toml
` + example + "'''\n"

const example = `data-dir = "/var/lib/primatomic"

resp-addr = "0.0.0.0:6379"
grpc-addr = "0.0.0.0:7379"
http-addr = "127.0.0.1:9379"

auth = "jwt"
jwt-key = ["/etc/primatomic/2025.key", "/etc/primatomic/2026.key"]
tls-cert = "/etc/primatomic/tls.crt"
tls-key = "/etc/primatomic/tls.key"

max-memory = "8GiB"
disk-reserve = "2GiB"
log-format = "json"
`

// serveFlags are the flags of serve, by group, in their order.
func serveFlags(t *testing.T) (groups []string, flags map[string][]*kong.Flag) {
	t.Helper()
	flags = map[string][]*kong.Flag{}
	for _, command := range newParser(new(commands)).Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if f.Group == nil { // --config
				continue
			}
			if flags[f.Group.Title] == nil {
				groups = append(groups, f.Group.Title)
			}
			flags[f.Group.Title] = append(flags[f.Group.Title], f)
		}
	}
	if len(groups) == 0 {
		t.Fatal("serve has no flags in groups")
	}
	return groups, flags
}

// reference writes the whole page.
func reference(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString(strings.ReplaceAll(referenceIntro, "'", "`"))
	groups, flags := serveFlags(t)
	for _, group := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| Flag and variable | Default | |\n|---|---|---|\n", group)
		for _, f := range flags[group] {
			preset := "none"
			switch {
			case f.Default != "":
				preset = "`" + f.Default + "`"
			case f.IsBool():
				preset = "`false`"
			}
			fmt.Fprintf(&b, "| `--%s`<br>`%s` | %s | %s |\n",
				f.Name, f.Envs[0], preset, strings.ReplaceAll(f.Help, "|", "\\|"))
		}
	}
	return b.Bytes()
}

// TestFlagsAreExplained: each flag has a sentence, and one variable of its name.
func TestFlagsAreExplained(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z].*\.$`)
	_, flags := serveFlags(t)
	for _, group := range flags {
		for _, f := range group {
			variable := "PRIMATOMIC_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			if !sentence.MatchString(f.Help) || len(f.Envs) != 1 || f.Envs[0] != variable {
				t.Errorf("--%s has the variables %q and the help %q", f.Name, f.Envs, f.Help)
			}
		}
	}
}

// TestExample: the documented file is accepted as it is, but for the files that it names.
func TestExample(t *testing.T) {
	here := t.TempDir() + "/"
	for _, name := range []string{"2025.key", "2026.key", "tls.crt", "tls.key"} {
		if err := os.WriteFile(here+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := parse(t, nil, strings.ReplaceAll(example, "/etc/primatomic/", here), "serve")
	if err != nil || c.Serve.Limits.MaxMemory != 8<<30 || len(c.Serve.Security.JWTKey) != 2 {
		t.Errorf("%v, %+v", err, c.Serve.Config)
	}
}
