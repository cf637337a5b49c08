package tidy

import (
	"path"
	"slices"
	"strings"
)

// mayImport is the table of who may import whom, by the first folder of the import path. Everyone may import
// internal/*, and internal/* nothing but internal/*. A folder that is not in the table may not exist.
var mayImport = map[string][]string{
	"engine":     {},
	"wal":        {},
	"checkpoint": {},
	"auth":       {},
	"proto":      {},
	"internal":   {},

	"command": {"engine", "auth"},
	"raft":    {"wal"},
	"resp":    {"command", "auth"},
	"grpcapi": {"command", "auth", "proto"},
	"store":   {"command", "engine", "raft", "checkpoint", "auth"},
	"cluster": {"raft"},

	"server": {
		"cluster", "resp", "grpcapi", "proto", "command", "store", "engine", "raft", "wal", "checkpoint", "auth",
	},
	"client": {"proto"},
	"bench":  {"client", "proto"},

	// Offline check reads wal and checkpoint; token new signs with auth.
	"cmd": {"server", "cluster", "wal", "checkpoint", "auth", "client"},

	"integration": {anyone},
}

const anyone = "*"

// testsMayImport is what the tests of a folder may import beyond that: store's run on the real log.
var testsMayImport = map[string][]string{
	"store": {"wal"},
}

// kept are modules of others that only some folders may import: what a measurement needs is no part of the product.
var kept = map[string][]string{
	"go.etcd.io/etcd": {"bench"},
}

// badNames say nothing about what is in a package.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "types", "base", "misc"}

// goPackage is what the go command tells about a package.
type goPackage struct {
	ImportPath                         string
	Name                               string
	Imports, TestImports, XTestImports []string
}

// checkImports applies the table to packages, their tests included.
func checkImports(packages []goPackage) []finding {
	var findings []finding
	for _, p := range packages {
		from := strings.TrimPrefix(p.ImportPath, module)
		for _, name := range []string{path.Base(from), p.Name} {
			if slices.Contains(badNames, name) {
				findings = append(findings, finding{"package name", from, 1, "name it after what it does"})
				break
			}
		}
		allowed, known := mayImport[firstFolder(from)]
		if !known {
			findings = append(findings, finding{"unknown folder", from, 1, "add it to mayImport"})
		}
		findings = append(findings, checkEdges(from, p.Imports, allowed)...)
		findings = append(findings, checkKept(from, slices.Concat(p.Imports, p.TestImports, p.XTestImports))...)
		inTests := slices.DeleteFunc(slices.Concat(p.TestImports, p.XTestImports), func(to string) bool {
			return slices.Contains(p.Imports, to)
		})
		allowed = slices.Concat(allowed, testsMayImport[firstFolder(from)])
		findings = append(findings, checkEdges(from, inTests, allowed)...)
	}
	return findings
}

// checkEdges holds the imports of one package against what it may import.
func checkEdges(from string, imports, allowed []string) []finding {
	var findings []finding
	seen := map[string]bool{}
	for _, imported := range imports {
		to, ours := strings.CutPrefix(imported, module)
		if ours && !seen[to] && !edgeAllowed(from, to, allowed) {
			findings = append(findings, finding{"import", from + " -> " + to, 1, "see mayImport"})
		}
		seen[to] = true
	}
	return findings
}

// checkKept finds modules imported outside of the folders that they are kept to.
func checkKept(from string, imports []string) []finding {
	var findings []finding
	for _, imported := range imports {
		for module, folders := range kept {
			if strings.HasPrefix(imported, module+"/") && !slices.Contains(folders, firstFolder(from)) {
				findings = append(findings, finding{"import", from + " -> " + imported, 1, "see kept"})
			}
		}
	}
	return findings
}

func edgeAllowed(from, to string, allowed []string) bool {
	target := firstFolder(to)
	return target == "internal" || target == firstFolder(from) ||
		slices.Contains(allowed, target) || slices.Contains(allowed, anyone)
}

func firstFolder(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}
