package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	fileLinesMax     = 500
	testFileLinesMax = 800
	functionLinesMax = 70
	lineColumnsMax   = 120
	tabColumns       = 4
)

const upstreamRaft = "go.etcd.io/raft/v3"

// A ban forbids names of a package in some folders; no names means the whole package. Tests may do what they
// like.
type ban struct {
	Folders []string
	Import  string
	Names   []string
	Instead string
}

var (
	clockNames = []string{
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
	}
	deterministic = []string{"engine", "command", "wal", "raft"}
	virtual       = []string{"engine", "command", "wal", "raft", "store", "auth"}
)

var bans = []ban{
	{virtual, "time", clockNames, "take the time as an argument, or internal/clock"},
	{deterministic, "math/rand", nil, "take the seed as an argument"},
	{deterministic, "math/rand/v2", nil, "take the seed as an argument"},
	{[]string{"engine", "command", "wal", "raft", "store"}, "os", nil, "use internal/vfs"},
	{[]string{"engine"}, "log", nil, "return an error"},
	{[]string{"engine"}, "log/slog", nil, "return an error"},
}

// noGoroutines are the folders without a go statement.
var noGoroutines = []string{"engine"}

// checkSource applies the rules for a single file.
func checkSource(s source) []finding {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, s.Path, s.Content, parser.SkipObjectResolution)
	if err != nil {
		return []finding{{"parse", s.Path, 1, err.Error()}}
	}
	findings := checkSizes(s, fset, file)
	findings = append(findings, checkRaftName(s, file)...)
	if !s.isTest() {
		findings = append(findings, checkBans(s, file)...)
		findings = append(findings, checkGoroutines(s, file)...)
	}
	return findings
}

func checkSizes(s source, fset *token.FileSet, file *ast.File) []finding {
	var findings []finding
	lines := strings.Split(strings.TrimSuffix(string(s.Content), "\n"), "\n")
	linesMax := fileLinesMax
	if s.isTest() {
		linesMax = testFileLinesMax
	}
	if len(lines) > linesMax {
		hint := fmt.Sprintf("at most %d", linesMax)
		findings = append(findings, finding{"file lines", s.Path, len(lines), hint})
	}
	tags := tagLines(fset, file)
	widest, at := 0, 0
	for i, line := range lines {
		columns := utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
		if columns > widest && !tags[i+1] {
			widest, at = columns, i+1
		}
	}
	if widest > lineColumnsMax {
		hint := fmt.Sprintf("line %d; at most %d", at, lineColumnsMax)
		findings = append(findings, finding{"line columns", s.Path, widest, hint})
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := fset.Position(f.End()).Line - fset.Position(f.Pos()).Line + 1; n > functionLinesMax {
			hint := fmt.Sprintf("at most %d", functionLinesMax)
			findings = append(findings, finding{"function lines", s.Path + ":" + f.Name.Name, n, hint})
		}
	}
	return findings
}

// tagLines returns the lines that hold a struct tag: Go has no way to break them.
func tagLines(fset *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Tag != nil {
			lines[fset.Position(field.Tag.Pos()).Line] = true
		}
		return true
	})
	return lines
}

// importedAs returns the name under which a file knows a package, "" if it does not import it.
func importedAs(file *ast.File, importPath string) string {
	for _, spec := range file.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		name := path.Base(importPath)
		if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(importPath))
		}
		return name
	}
	return ""
}

func checkRaftName(s source, file *ast.File) []finding {
	if name := importedAs(file, upstreamRaft); name != "" && name != "etcdraft" {
		return []finding{{"upstream raft", s.Path, 1, "import it as etcdraft, not " + name}}
	}
	return nil
}

func checkBans(s source, file *ast.File) []finding {
	var findings []finding
	for _, b := range bans {
		local := importedAs(file, b.Import)
		if local == "" || !slices.Contains(b.Folders, s.folder()) {
			continue
		}
		uses := 0
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				x, isName := sel.X.(*ast.Ident)
				if isName && x.Name == local && (b.Names == nil || slices.Contains(b.Names, sel.Sel.Name)) {
					uses++
				}
			}
			return true
		})
		if local == "." || local == "_" {
			uses = max(uses, 1) // the names cannot be seen: forbid the import
		}
		if uses > 0 {
			findings = append(findings, finding{"banned " + b.Import, s.Path, uses, b.Instead})
		}
	}
	return findings
}

func checkGoroutines(s source, file *ast.File) []finding {
	if !slices.Contains(noGoroutines, s.folder()) {
		return nil
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if _, ok := n.(*ast.GoStmt); ok {
			count++
		}
		return true
	})
	if count == 0 {
		return nil
	}
	return []finding{{"goroutine", s.Path, count, "the caller owns all goroutines"}}
}
