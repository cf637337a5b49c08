package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// parse parses a command line in the given environment and with the given configuration file.
func parse(t *testing.T, env map[string]string, file string, args ...string) (*commands, error) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	if file != "" {
		args = append(args, "--config", write(t, "primatomic.toml", file))
	}
	c := new(commands)
	_, err := newParser(c).Parse(args)
	return c, err
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	const fromFile = "max-connections = 1\n"
	env := map[string]string{"PRIMATOMIC_MAX_CONNECTIONS": "2"}
	tests := []struct {
		name string
		env  map[string]string
		file string
		args []string
		want int
	}{
		{"default", nil, "", nil, 10000},
		{"file", nil, fromFile, nil, 1},
		{"environment", env, "", nil, 2},
		{"environment over file", env, fromFile, nil, 2},
		{"flag over file", nil, fromFile, []string{"--max-connections", "3"}, 3},
		{"flag over environment", env, "", []string{"--max-connections=3"}, 3},
		{"flag over both", env, fromFile, []string{"--max-connections=3"}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse(t, tt.env, tt.file, append([]string{"serve"}, tt.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Serve.Limits.MaxConnections; got != tt.want {
				t.Errorf("max-connections = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestFileSets reads every form that a value has in a file.
func TestFileSets(t *testing.T) {
	a, b, c := write(t, "a", ""), write(t, "b,b", ""), write(t, "c", "")
	parsed, err := parse(t, nil, `
data-dir = "/somewhere/else"
max-memory = "3GiB"        # a size with a unit
disk-reserve = 1048576     # and one in bytes
call-timeout = "900ms"
grpc-addr = ""             # switched off
insecure = true
auth = "jwt"
jwt-key = ["`+a+`", "`+b+`"]
jwks = "`+c+`"             # a list of one
log-format = 'json'
`, "serve")
	if err != nil {
		t.Fatal(err)
	}
	s := parsed.Serve
	if s.Storage.DataDir != "/somewhere/else" || s.Limits.MaxMemory != 3<<30 || s.Storage.DiskReserve != 1<<20 ||
		s.Limits.CallTimeout != 900*time.Millisecond || s.Listen.GrpcAddr != "" || !s.Security.Insecure ||
		!slices.Equal(s.Security.JWTKey, []string{a, b}) || !slices.Equal(s.Security.JWKS, []string{c}) ||
		s.Log.LogFormat != "json" || s.Listen.RespAddr != "127.0.0.1:6379" {
		t.Errorf("read as %+v", s.Config)
	}
	t.Run("named by the environment", func(t *testing.T) {
		t.Setenv("PRIMATOMIC_CONFIG", write(t, "c.toml", "max-connections = 5\n"))
		if c, err := parse(t, nil, "", "serve"); err != nil || c.Serve.Limits.MaxConnections != 5 {
			t.Errorf("max-connections = %d, %v", c.Serve.Limits.MaxConnections, err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		if c, err := parse(t, nil, "# nothing\n", "serve"); err != nil || c.Serve.Limits.MaxConnections != 10000 {
			t.Errorf("%v, %+v", err, c.Serve.Config)
		}
	})
}

// TestLists: a list of a stronger source replaces that of a weaker one.
func TestLists(t *testing.T) {
	a, b, c := write(t, "a", ""), write(t, "b", ""), write(t, "c", "")
	env := map[string]string{"PRIMATOMIC_JWT_KEY": b + "," + c}
	file := "auth = \"jwt\"\njwt-key = [\"" + a + "\"]\n"
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want []string
	}{
		{"file", nil, nil, []string{a}},
		{"environment", env, nil, []string{b, c}},
		{"flags", env, []string{"--jwt-key", c, "--jwt-key", a}, []string{c, a}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse(t, tt.env, file, append([]string{"serve"}, tt.args...)...)
			if err != nil || !slices.Equal(got.Serve.Security.JWTKey, tt.want) {
				t.Errorf("jwt-key = %v, %v, want %v", got.Serve.Security.JWTKey, err, tt.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		file string
		args []string
		want []string // in the error
	}{
		{"unknown key", nil, "max-conections = 1\n", nil, []string{"primatomic.toml", `"max-conections"`}},
		{"key of another command", nil, "key = \"a\"\n", nil, []string{`"key"`}},
		{"config in a file", nil, "config = \"a\"\n", nil, []string{`"config"`}},
		{"underscores", nil, "max_connections = 1\n", nil, []string{`"max_connections"`}},
		{"table", nil, "[limits]\nmax-connections = 1\n", nil, []string{"primatomic.toml", "[limits]"}},
		{"no TOML", nil, "max-connections = 1\nlog-level = info\n", nil, []string{"primatomic.toml", "line 2"}},
		{"a key twice", nil, "max-connections = 1\nmax-connections = 2\n", nil, []string{"line 2"}},
		{"no number", nil, "max-connections = \"many\"\n", nil, []string{"--max-connections", "many"}},
		{"no size", nil, "max-memory = \"1.5GiB\"\n", nil, []string{"--max-memory", "1.5GiB"}},
		{"a list for one value", nil, "max-memory = [1]\n", nil, []string{"max-memory", "not a list"}},
		{"none of the words", nil, "log-level = \"loud\"\n", nil, []string{"--log-level", "loud"}},
		{"no such key file", nil, "auth = \"jwt\"\njwt-key = [\"/no/such\"]\n", nil, []string{"/no/such"}},
		{"missing file", nil, "", []string{"--config", "/no/such.toml"}, []string{"/no/such.toml"}},
		{"environment", map[string]string{"PRIMATOMIC_MAX_MEMORY": "much"}, "", nil,
			[]string{"PRIMATOMIC_MAX_MEMORY", "much"}},
		{"unsafe by file", nil, "resp-addr = \"0.0.0.0:6379\"\n", nil, []string{"--insecure"}},
		{"unsafe by environment", map[string]string{"PRIMATOMIC_RESP_ADDR": ":6379"}, "", nil, []string{"--insecure"}},
		{"unknown flag", nil, "", []string{"--no-such"}, []string{"--no-such"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.env, tt.file, append([]string{"serve"}, tt.args...)...)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
}
