package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recipe is the commands of a section of the README, carried out in a folder of their own: with the binary that is
// tested, and with addresses on loopback in place of the machines' ones.
type recipe struct {
	t        testing.TB
	dir      string
	binary   string
	machines *strings.Replacer
	hosts    map[string]string // of the names of nodes
	commands []string          // that were not carried out yet
}

func newRecipe(t testing.TB, section string) *recipe {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	r := &recipe{t: t, dir: t.TempDir(), binary: binary(t, tested), hosts: map[string]string{}}
	var pairs []string
	for i := range 5 {
		host := loopback()
		r.hosts[nameOf(i)] = host
		pairs = append(pairs, fmt.Sprintf("10.0.0.%d:", i+1), host+":")
	}
	r.machines = strings.NewReplacer(pairs...)
	rest = strings.ReplaceAll(rest, "\\\n", " ")
	for _, match := range regexp.MustCompile(`(?m)^    \$ (.*)$`).FindAllStringSubmatch(rest, -1) {
		command, _, _ := strings.Cut(match[1], "  # ")
		r.commands = append(r.commands, command)
	}
	return r
}

// next returns the next command, which begins with some words.
func (r *recipe) next(begin string) string {
	r.t.Helper()
	if len(r.commands) == 0 || !strings.HasPrefix(r.commands[0], begin) {
		r.t.Fatalf("README.md has no command %q at the head of %q", begin, r.commands)
	}
	command := r.commands[0]
	r.commands = r.commands[1:]
	return command
}

// here is a command as it is to be carried out by a shell.
func (r *recipe) here(command string) string {
	if rest, ours := strings.CutPrefix(command, "primatomic "); ours {
		command = r.binary + " " + rest
	}
	return "cd " + r.dir + " && exec " + r.machines.Replace(command)
}

// do carries a command out and returns what it says.
func (r *recipe) do(command string) string {
	r.t.Helper()
	out, log, status := run(r.t, "/bin/sh", "-c", r.here(command))
	if status != 0 {
		r.t.Fatalf("%s ends with %d: %s%s", command, status, out, log)
	}
	return out
}

// serve starts the node of a name.
func (r *recipe) serve(name, command string) *process {
	r.t.Helper()
	command = strings.ReplaceAll(command, " 0.0.0.0:", " "+r.hosts[name]+":")
	return launch(r.t, "/bin/sh", "-c", r.here(command+" --http-addr= --data-dir "+filepath.Join(r.dir, name)))
}

// TestReadmeThreeNodes follows the README from three machines to five of them, with one that is lost on the way.
func TestReadmeThreeNodes(t *testing.T) {
	tool(t, "openssl")
	r := newRecipe(t, "Three nodes")
	r.do(r.next("openssl rand"))
	r.do(r.next("openssl rand"))
	founder := r.next("primatomic serve --name n1 --cluster")
	nodes := map[string]*process{}
	for _, name := range []string{"n1", "n2", "n3"} {
		nodes[name] = r.serve(name, strings.Replace(founder, "--name n1", "--name "+name, 1))
	}
	r.do(r.next("primatomic token new"))
	status := r.next("primatomic cluster status")
	for _, p := range nodes {
		p.ready()
	}
	members := func(want ...string) {
		t.Helper()
		eventually(t, startTimeout, fmt.Sprintf("the voters are %v", want), func() bool {
			said := r.do(status)
			led := strings.Contains(said, "led by")
			for _, name := range want {
				there := regexp.MustCompile(`(?m)^` + name + ` +\S+ +(voter|leader) +(asked|connected)`)
				led = led && there.MatchString(said)
			}
			return led && strings.HasPrefix(said, fmt.Sprintf("%d members, %d voters", len(want), len(want)))
		})
	}
	members("n1", "n2", "n3")
	r.do("primatomic kv put 0 k kept --grpc-addr 10.0.0.2:7379 --token @ops.token")

	joiner := r.next("primatomic serve --name n4 --join")
	nodes["n4"] = r.serve("n4", joiner)
	members("n1", "n2", "n3", "n4")
	nodes["n3"].kill()
	invited := strings.NewReplacer(
		"n4", "n5", "10.0.0.4", "10.0.0.5", "--join 10.0.0.1:8379", "--invited",
	).Replace(joiner)
	nodes["n5"] = r.serve("n5", invited)
	replace := r.next("primatomic cluster replace n3")
	eventually(t, startTimeout, "n5 waits to be invited", func() bool {
		return strings.Contains(nodes["n5"].log.String(), "joining a cluster")
	})
	r.do(replace)
	members("n1", "n2", "n4", "n5")
	nodes["n5"].ready()
	got := strings.TrimSpace(r.do("primatomic kv get 0 k --grpc-addr 10.0.0.5:7379 --token @ops.token"))
	if got != "kept" {
		t.Fatalf("n5 has %q", got)
	}
	if len(r.commands) > 0 {
		t.Errorf("README.md has more commands: %q", r.commands)
	}
}
