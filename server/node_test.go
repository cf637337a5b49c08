package server

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
)

// The cluster's id is what the key of the hash index is derived from: who knows it can choose keys that
// collide.
func TestRunIDKeepsTheClusterSecret(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	n := newNode(s.config, s.core)
	if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(n.id) {
		t.Errorf("the run's id is %q, want 40 hexadecimal digits", n.id)
	}
	id := s.core.identity
	for what, secret := range map[string]uint64{"cluster": id.Cluster, "node": id.Node, "disk": id.Incarnation} {
		if strings.Contains(n.id, fmt.Sprintf("%016x", secret)) {
			t.Errorf("the run's id %s holds the id of the %s", n.id, what)
		}
	}
	next := id
	next.Process++
	if runID(next) == n.id {
		t.Error("two runs have one id")
	}
}

func TestKeyspaceInfoCoversWhatTheTokenMayRead(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	for _, words := range [][]string{{"SET", "k", "v"}, {"COPY", "k", "k", "DB", "3"}} {
		if answer := ask(t, s, words...); strings.HasPrefix(answer, "-") {
			t.Fatalf("%q answers %q", words, answer)
		}
	}
	n := newNode(s.config, s.core)
	for _, test := range []struct {
		name      string
		principal *auth.Principal
		want      []string
	}{
		{"all", &auth.Principal{Credential: "default", Scope: auth.ScopeDefault}, []string{"db0", "db3"}},
		{"one", &auth.Principal{Credential: "default", Scope: auth.Read, Namespaces: []string{"3"}}, []string{"db3"}},
		{"none", &auth.Principal{Credential: "default", Scope: auth.Read, Namespaces: []string{}}, nil},
		{"no right to read", &auth.Principal{Credential: "default", Scope: auth.Admin}, nil},
		{"another credential", &auth.Principal{Credential: "other", Scope: auth.ScopeAll}, nil},
		{"nobody", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var names []string
			for _, field := range n.keyspaceInfo(&command.Session{Principal: test.principal}) {
				names = append(names, field.Name)
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("told of %q, want %q", names, test.want)
			}
		})
	}
}
