package tidy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/primatomic/primatomic/"
	root   = "../.."
)

// A finding breaks a rule. Rule and Where identify it; Measure tells how badly.
type finding struct {
	Rule    string
	Where   string
	Measure int    // lines, columns or uses
	Hint    string // what to do instead
}

func (f finding) String() string {
	return fmt.Sprintf("%s: %s (%d): %s", f.Rule, f.Where, f.Measure, f.Hint)
}

func TestTree(t *testing.T) {
	packages, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := readSources(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 10 || len(sources) < 100 {
		t.Fatalf("only %d packages and %d files: the wrong place", len(packages), len(sources))
	}
	findings := checkImports(packages)
	for _, s := range sources {
		findings = append(findings, checkSource(s)...)
	}
	for _, problem := range judge(findings, exceptions) {
		t.Error(problem)
	}
}

// judge returns what is wrong: findings without an exception, and exceptions that should shrink.
func judge(findings []finding, exceptions []exception) []string {
	var problems []string
	used := make([]bool, len(exceptions))
	for _, f := range findings {
		i := slices.IndexFunc(exceptions, func(e exception) bool {
			return e.Rule == f.Rule && e.Where == f.Where
		})
		if i < 0 || f.Measure > exceptions[i].Measure {
			problems = append(problems, f.String())
		}
		if i >= 0 {
			used[i] = true
			if f.Measure < exceptions[i].Measure {
				problems = append(problems,
					fmt.Sprintf("lower the exception of %s: %s to %d", f.Rule, f.Where, f.Measure))
			}
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			problems = append(problems,
				fmt.Sprintf("remove the exception of %s: %s: it is mended", e.Rule, e.Where))
		}
		if e.Reason == "" {
			problems = append(problems, fmt.Sprintf("the exception of %s: %s has no reason", e.Rule, e.Where))
		}
	}
	return problems
}

// listPackages asks the go command for the packages of the module. Packages that do not compile are listed
// too.
func listPackages() ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// source is a Go file; Path is relative to the root, with slashes.
type source struct {
	Path    string
	Content []byte
}

// folder returns the first element of the path.
func (s source) folder() string {
	first, _, _ := strings.Cut(s.Path, "/")
	return first
}

func (s source) isTest() bool { return strings.HasSuffix(s.Path, "_test.go") }

// readSources reads every Go file written by hand.
func readSources(root string) ([]source, error) {
	var sources []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".pb.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // renamed by an editor meanwhile
			return nil
		}
		rel, relErr := filepath.Rel(root, path)
		sources = append(sources, source{filepath.ToSlash(rel), content})
		return errors.Join(err, relErr)
	})
	return sources, err
}
