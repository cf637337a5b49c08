package tidy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlantedImports shows that each rule over packages catches a violation, and leaves the neighbour alone.
func TestPlantedImports(t *testing.T) {
	tests := []struct {
		from, to string
		allowed  bool
	}{
		{"command", "engine", true}, {"command", "auth", true}, {"command", "store", false}, {"command", "resp", false},
		{"engine", "internal/clock", true}, {"engine", "command", false}, {"engine", "auth", false},
		{"wal", "internal/vfs", true}, {"wal", "raft", false}, {"checkpoint", "engine", false},
		{"raft", "wal", true}, {"raft", "store", false}, {"raft", "command", false}, {"raft", "checkpoint", false},
		{"resp", "command", true}, {"resp", "grpcapi", false}, {"resp", "store", false}, {"resp", "engine", false},
		{"grpcapi", "proto/primatomic/v1", true}, {"grpcapi", "resp", false}, {"grpcapi", "wal", false},
		{"store", "checkpoint", true}, {"store", "wal", false}, {"store", "resp", false}, {"store", "server", false},
		{"server", "store", true}, {"server", "integration", false}, {"server", "cmd/primatomic", false},
		{"cmd/primatomic", "server", true}, {"cmd/primatomic", "engine", false},
		{"integration/sim", "raft", true}, {"integration", "internal/vfs", true},
		{"internal/vfs", "internal/clock", true}, {"internal/vfs", "wal", false},
		{"proto/primatomic/v1", "command", false}, {"client", "proto/primatomic/v1", true}, {"client", "server", false},
	}
	for _, tt := range tests {
		for _, kind := range []string{"import", "test import", "external test import"} {
			p := goPackage{ImportPath: module + tt.from, Name: "x"}
			imports := []string{"fmt", module + tt.to}
			switch kind {
			case "import":
				p.Imports = imports
			case "test import":
				p.TestImports = imports
			default:
				p.XTestImports = imports
			}
			allowed := tt.allowed || kind != "import" && slices.Contains(testsMayImport[tt.from], tt.to)
			if found := checkImports([]goPackage{p}); len(found) == 0 != allowed {
				t.Errorf("%s %s -> %s: %v", kind, tt.from, tt.to, found)
			}
		}
	}
	const etcd = "go.etcd.io/etcd/api/v3/etcdserverpb"
	bench := goPackage{ImportPath: module + "bench", Name: "main", Imports: []string{etcd}}
	if found := checkImports([]goPackage{bench}); found != nil {
		t.Errorf("bench -> etcd: %v", found)
	}
	for _, p := range []goPackage{
		{ImportPath: module + "raft", Name: "raft", Imports: []string{etcd}},
		{ImportPath: module + "internal/util", Name: "x"},
		{ImportPath: module + "internal/x", Name: "common"},
		{ImportPath: module + "helpers", Name: "helpers"},
		{ImportPath: module + "somewhere", Name: "somewhere"},
	} {
		if len(checkImports([]goPackage{p})) == 0 {
			t.Errorf("%s (package %s) is not found", p.ImportPath, p.Name)
		}
	}
}

// TestPlantedSources shows the same for the rules over single files.
func TestPlantedSources(t *testing.T) {
	function := func(lines int) string { return "func f() {\n" + strings.Repeat("\tf()\n", lines-2) + "}\n" }
	comments := func(lines int) string { return strings.Repeat("// x\n", lines) }
	tests := []struct {
		name, path, body string
		want             []string // rules
	}{
		{"file at its bound", "engine/a.go", comments(499), nil},
		{"long file", "engine/a.go", comments(500), []string{"file lines"}},
		{"test file at its bound", "engine/a_test.go", comments(799), nil},
		{"long test file", "engine/a_test.go", comments(800), []string{"file lines"}},
		{"function at its bound", "x/a.go", function(70), nil},
		{"long function", "x/a.go", function(71), []string{"function lines"}},
		{"line at its bound", "x/a.go", "//" + strings.Repeat("é", 118), nil},
		{"long line", "x/a.go", "//" + strings.Repeat("é", 119), []string{"line columns"}},
		{"long line by tabs", "x/a.go", "//" + strings.Repeat("\t", 30), []string{"line columns"}},
		{"long struct tag", "x/a.go", "type x struct {\n\ta int `" + strings.Repeat("x", 150) + "`\n}", nil},
		{"does not parse", "x/a.go", "func {", []string{"parse"}},
		{"raft under its own name", "raft/a.go", `import "go.etcd.io/raft/v3"`, []string{"upstream raft"}},
		{"raft renamed", "raft/a_test.go", `import r "go.etcd.io/raft/v3"`, []string{"upstream raft"}},
		{"etcdraft", "raft/a.go", `import etcdraft "go.etcd.io/raft/v3"`, nil},
		{"time.Now", "engine/a.go", "import \"time\"\nvar x = time.Now()", []string{"banned time"}},
		{"time.Now renamed", "raft/a.go", "import t \"time\"\nvar x = t.Now()", []string{"banned time"}},
		{"timer", "store/a.go", "import \"time\"\nvar x = time.NewTimer(1)", []string{"banned time"}},
		{"dot import", "wal/a.go", "import . \"time\"\nvar x = Now()", []string{"banned time"}},
		{"function value", "wal/a.go", "import \"time\"\nvar x = time.Now", []string{"banned time"}},
		{"duration", "engine/a.go", "import \"time\"\nvar x = time.Second", nil},
		{"time.Now in a test", "engine/a_test.go", "import \"time\"\nvar x = time.Now()", nil},
		{"time.Now elsewhere", "server/a.go", "import \"time\"\nvar x = time.Now()", nil},
		{"rand", "command/a.go", "import \"math/rand\"\nvar x = rand.Int()", []string{"banned math/rand"}},
		{"rand v2", "engine/a.go", "import \"math/rand/v2\"\nvar x = rand.Int()", []string{"banned math/rand/v2"}},
		{"os", "wal/a.go", "import \"os\"\nvar x = os.Args", []string{"banned os"}},
		{"os in the host", "raft/a.go", "import \"os\"\nvar x = os.Args", []string{"banned os"}},
		{"logger in engine", "engine/a.go", "import \"log/slog\"\nvar x = slog.Default()", []string{"banned log/slog"}},
		{"old logger in engine", "engine/a.go", "import \"log\"\nvar x = log.Default()", []string{"banned log"}},
		{"logger elsewhere", "wal/a.go", "import \"log/slog\"\nvar x = slog.Default()", nil},
		{"goroutine in engine", "engine/a.go", "func f() {\n\tfunc() { go f() }()\n}", []string{"goroutine"}},
		{"goroutine elsewhere", "wal/a.go", "func f() {\n\tgo f()\n}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range checkSource(source{tt.path, []byte("package a\n" + tt.body)}) {
				got = append(got, f.Rule)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rules broken (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlantedExceptions shows that the list of exceptions can only shrink.
func TestPlantedExceptions(t *testing.T) {
	found := []finding{{Rule: "file lines", Where: "a.go", Measure: 600}}
	tests := []struct {
		name       string
		exceptions []exception
		problem    string // part of the only problem, "" if there is none
	}{
		{"exact", []exception{{"file lines", "a.go", 600, "old"}}, ""},
		{"none", nil, "file lines: a.go (600)"},
		{"too small", []exception{{"file lines", "a.go", 599, "old"}}, "file lines: a.go (600)"},
		{"too large", []exception{{"file lines", "a.go", 601, "old"}}, "lower the exception"},
		{"of another rule", []exception{
			{"line columns", "a.go", 600, "old"}, {"file lines", "a.go", 600, "old"},
		}, "remove"},
		{"without a reason", []exception{{"file lines", "a.go", 600, ""}}, "no reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			problems := judge(found, tt.exceptions)
			matches := func(p string) bool { return tt.problem != "" && strings.Contains(p, tt.problem) }
			if len(problems) > 1 || slices.ContainsFunc(problems, matches) != (tt.problem != "") {
				t.Errorf("problems = %q, want %q", problems, tt.problem)
			}
		})
	}
}
