package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run runs a command to its end and returns what it says.
func run(t testing.TB, path string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	p := launch(t, path, args...)
	status = p.wait()
	return p.out.String(), p.log.String(), status
}

// readmeSession returns the lines of a block of the README: the one that begins with the given line.
func readmeSession(t testing.TB, first string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(text), "\n    "+first+"\n")
	if !found {
		t.Fatalf("README.md has no block that begins with %q", first)
	}
	block, _, _ = strings.Cut(block, "\n\n")
	lines := strings.Split(block, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "    ")
	}
	return append([]string{first}, lines...)
}

// tool returns the path of a program, or skips the test.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; `make tools` installs redis-cli", name)
	}
	return path
}

// TestReadmeRedisSession types the README's session with redis-cli on a terminal. All that the terminal
// shows must be as the README has it.
func TestReadmeRedisSession(t *testing.T) {
	redisCLI, script := tool(t, "redis-cli"), tool(t, "script")
	n := startNode(t)
	_, port, _ := net.SplitHostPort(n.respAddr())
	here := func(text string) string { return strings.ReplaceAll(text, "127.0.0.1:6379", "127.0.0.1:"+port) }
	session := readmeSession(t, "$ redis-cli")[1:]

	terminal := exec.Command(script, "-qec", redisCLI+" -p "+port, "/dev/null")
	terminal.Env = append(os.Environ(), "TERM=dumb", "HOME="+t.TempDir())
	terminal.SysProcAttr = withParent()
	shown := &journal{}
	terminal.Stdout = shown
	typed, err := terminal.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := terminal.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Process.Kill(); _ = terminal.Wait() }()

	expected := ""
	wait := func() {
		eventually(t, 20*time.Second, fmt.Sprintf("the terminal shows %q", expected), func() bool {
			now := strings.ReplaceAll(shown.String(), "\r\n", "\n")
			if !strings.HasPrefix(expected, now) && !strings.HasPrefix(now, expected) {
				t.Fatalf("the terminal shows:\n%s\nwant:\n%s", now, expected)
			}
			return len(now) >= len(expected)
		})
	}
	for _, line := range session {
		prompt, command, isCommand := strings.Cut(line, "> ")
		if !isCommand {
			expected += here(line) + "\n"
			continue
		}
		expected += here(prompt) + "> "
		wait()
		fmt.Fprintf(typed, "%s\n", command)
		expected += command + "\n"
	}
	wait()
}

// TestRedisCLI runs redis-cli without a terminal, as scripts do, in both protocols.
func TestRedisCLI(t *testing.T) {
	redisCLI := tool(t, "redis-cli")
	n := startNode(t)
	_, port, _ := net.SplitHostPort(n.respAddr())
	for _, protocol := range []string{"-2", "-3"} {
		for _, test := range []struct {
			line, want string
		}{
			{"FLUSHALL", "OK"},
			{"SET k v", "OK"},
			{"GET k", `"v"`},
			{"GET none", "(nil)"},
			{"INCR n", "(integer) 1"},
			{"MGET k none n", "1) \"v\"\n2) (nil)\n3) \"1\""},
			{"-n 3 GET k", "(nil)"},
			{"LPUSH l a", "(error) ERR unknown command 'LPUSH', with args beginning with: 'l' 'a' "},
			{"-x SET input", "OK"},
			{"--raw GET k", "v"},
			{"KEYS k*", `1) "k"`},
			{"--scan --pattern k*", `"k"`},
		} {
			args := append([]string{protocol, "-p", port, "--no-raw"}, strings.Fields(test.line)...)
			out, stderr, _ := run(t, redisCLI, args...)
			if got := strings.TrimSuffix(out+stderr, "\n"); strings.TrimSuffix(got, "\n") != test.want {
				t.Errorf("redis-cli %s %s says %q, want %q", protocol, test.line, got, test.want)
			}
		}
	}
}

// cli runs a client command of the binary against a node.
func (n *node) cli(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return run(t, binary(t, lean), append(args, "--grpc-addr", n.grpcAddr())...)
}

// TestReadmeGRPCSession runs the README's session with the binary as client.
func TestReadmeGRPCSession(t *testing.T) {
	n := startNode(t)
	session := readmeSession(t, "$ bin/primatomic namespace create orders")
	commands := 0
	for i := 0; i < len(session); {
		line, isCommand := strings.CutPrefix(session[i], "$ bin/primatomic ")
		if !isCommand {
			t.Fatalf("not a command: %q", session[i])
		}
		want := ""
		for i++; i < len(session) && !strings.HasPrefix(session[i], "$ "); i++ {
			want += session[i] + "\n"
		}
		out, stderr, status := n.cli(t, strings.Fields(line)...)
		if strings.TrimSuffix(out, "\n") != strings.TrimSuffix(want, "\n") || stderr != "" || status != 0 {
			t.Errorf("%s says %q, %q and ends with %d, want %q", line, out, stderr, status, want)
		}
		commands++
	}
	if commands < 5 {
		t.Errorf("the session has %d commands only", commands)
	}
}

// TestReadmeAuthSession follows the README's steps for tokens.
func TestReadmeAuthSession(t *testing.T) {
	redisCLI := tool(t, "redis-cli")
	key := writeFile(t, "jwt.key", "dGhpcyBpcyBhIHNlY3JldCBmb3IgdGVzdHMgdGhhdCBpcyBsb25nIGVub3VnaA==\n")
	n := startNode(t, "--auth", "jwt", "--jwt-key", key)
	token, stderr, status := run(t, n.binary,
		"token", "new", "--key", key, "--credential", "alice", "--ttl", "24h")
	if status != 0 || strings.Count(token, ".") != 2 {
		t.Fatalf("token new says %q, %q", token, stderr)
	}
	token = strings.TrimSpace(token)
	_, port, _ := net.SplitHostPort(n.respAddr())
	out, stderr, _ := run(t, redisCLI, "-p", port, "--no-auth-warning", "-a", token, "SET", "mine", "1")
	if out != "OK\n" {
		t.Errorf("redis-cli -a says %q, %q", out, stderr)
	}
	out, _, _ = run(t, redisCLI,
		"-p", port, "--no-auth-warning", "--user", "alice", "--pass", token, "GET", "mine")
	if out != "1\n" {
		t.Errorf("redis-cli --user says %q", out)
	}
	out, _, _ = n.cli(t, "kv", "get", "0", "mine", "--token", token)
	if strings.TrimSuffix(out, "\n") != "1" {
		t.Errorf("kv get says %q", out)
	}
	tokenFile := writeFile(t, "token", token+"\n")
	out, _, _ = n.cli(t, "kv", "get", "0", "mine", "--token", "@"+tokenFile)
	if strings.TrimSuffix(out, "\n") != "1" {
		t.Errorf("kv get with a token file says %q", out)
	}
	_, stderr, status = n.cli(t, "kv", "get", "0", "mine")
	if status == 0 || !strings.Contains(stderr, "Unauthenticated") {
		t.Errorf("without a token kv get says %q and ends with %d", stderr, status)
	}
}

// TestCLI: what the binary's client commands say and how they end.
func TestCLI(t *testing.T) {
	n := startNode(t)
	for _, test := range []struct {
		line   string
		stdout string
		stderr string // a part of it
		status int
	}{
		{"namespace create a", "", "", 0},
		{"namespace create a", "", "", 0},
		{"namespace create a/b", "", "InvalidArgument", 1},
		{"namespace list", "a\n", "", 0},
		{"kv put a k1 v1", "", "", 0},
		{"kv put a k2 v2", "", "", 0},
		{"kv get a none", "", "NotFound", 1},
		{"kv get nowhere k", "", "NotFound", 1},
		{"kv list a", "k1\nk2\n", "", 0},
		{"kv list a --limit 1", "k1\n", "", 0},
		{"kv list a k2", "k2\n", "", 0},
		{"kv cas a k1 v1 v3", "true\n", "", 0},
		{"kv cas a k1 v1 v4", "false\n", "", 0},
		{"kv delete a k2", "", "", 0},
		{"kv delete a k2", "", "", 0},
		{"kv list a", "k1\n", "", 0},
		{"namespace drop a", "", "", 0},
		{"namespace drop a", "", "NotFound", 1},
	} {
		out, stderr, status := n.cli(t, strings.Fields(test.line)...)
		if out != test.stdout || !strings.Contains(stderr, test.stderr) || status != test.status {
			t.Errorf("%s says %q, %q and ends with %d", test.line, out, stderr, status)
		}
	}
	if out, _, status := run(t, n.binary, "version"); status != 0 || !strings.HasPrefix(out, "primatomic ") {
		t.Errorf("version says %q and ends with %d", out, status)
	}
	short := writeFile(t, "k", "short")
	_, stderr, status := run(t, n.binary, "token", "new", "--key", short, "--credential", "a")
	if status == 0 {
		t.Errorf("a short key was accepted: %q", stderr)
	}
}

// TestFlagsRefused: settings that contradict each other or are not safe stop the start, and say why.
func TestFlagsRefused(t *testing.T) {
	path := binary(t, tested)
	key := writeFile(t, "jwt.key", secret)
	for _, test := range []struct{ flags, want string }{
		{"--resp-addr 0.0.0.0:0", "--insecure"},
		{"--grpc-addr :0", "--insecure"},
		{"--auth jwt", "--jwt-key"},
		{"--auth jwt --jwt-key " + writeFile(t, "short.key", "short"), "at least 32"},
		{"--auth jwt --jwt-key /no/such/file", "no such file"},
		{"--tls-cert " + key, "--tls-key"},
		{"--call-timeout 0s", "--call-timeout"},
		{"--no-such-flag", "unknown flag"},
		{"--config " + writeFile(t, "c.toml", "max-memmory = \"1GiB\"\n"), "max-memmory"},
		{"--max-memory lots", "max-memory"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		args := []string{"serve", "--data-dir", dir, "--http-addr", "",
			"--resp-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}
		_, stderr, status := run(t, path, append(args, strings.Fields(test.flags)...)...)
		if status == 0 || !strings.Contains(stderr, test.want) {
			t.Errorf("serve %s ends with %d and says %q, want %q", test.flags, status, stderr, test.want)
		}
	}
	startNode(t, "--resp-addr", "0.0.0.0:0", "--insecure")
}

// TestConfigFile: a file sets what flags set, and flags win over it.
func TestConfigFile(t *testing.T) {
	file := writeFile(t, "c.toml", "max-connections = 2\nidle-timeout = \"1h\"\nlog-format = \"json\"\n")
	n := startNode(t, "--config", file, "--max-connections", "3")
	if log := n.current().log.String(); log != "" && !strings.HasPrefix(log, "{") {
		t.Errorf("the log is not JSON: %s", log)
	}
	for range 3 {
		n.wire(t).do(t, "PING")
	}
	w := n.wire(t)
	w.expect(t, "-ERR max number of clients reached\r\n")
}
