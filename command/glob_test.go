package command

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "anything", true},
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a*c", "ac", true},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"**a**", "xay", true},
		{"*a*b*c*", "1a2b3c4", true},
		{"*a*b*c*", "1a2c3b4", false},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[^abc]", "d", true},
		{"[^abc]", "a", false},
		{"[a-c]x", "bx", true},
		{"[c-a]x", "bx", true},
		{"[^a-c]", "b", false},
		{"[a-]", "-", false}, // a range that runs to the bracket
		{"[a-]", "]", true},
		{"[\\]]", "]", true},
		{"[\\a-c]", "b", false},
		{"[]", "a", false},
		{"[^]", "a", true},
		{"[abc", "c", true},
		{"[a-", "-", true},
		{"[", "a", false},
		{"x[", "x", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"\\", "\\", true},
		{"h[^e]llo", "hallo", true},
		{"\xff?", "\xff\x00", true},
	} {
		if got := globMatch([]byte(test.pattern), []byte(test.s)); got != test.want {
			t.Errorf("%q on %q: %v", test.pattern, test.s, got)
		}
	}
}

// slowGlob is the textbook rendering of the same dialect, which tries every way to read a star.
func slowGlob(pattern, s []byte) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	if pattern[0] == '*' {
		return slowGlob(pattern[1:], s) || len(s) > 0 && slowGlob(pattern, s[1:])
	}
	if len(s) == 0 {
		return false
	}
	next, ok := globOne(pattern, 0, s[0])
	return ok && slowGlob(pattern[next:], s[1:])
}

func TestGlobAgainstSlowTwin(t *testing.T) {
	alphabet := rapid.SampledFrom([]byte(`ab*?[]^-\`))
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SliceOfN(alphabet, 0, 10).Draw(t, "pattern")
		s := rapid.SliceOfN(rapid.SampledFrom([]byte(`ab-]\`)), 0, 8).Draw(t, "s")
		if got, want := globMatch(pattern, s), slowGlob(pattern, s); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, s, got, want)
		}
		prefix, whole := globPrefix(pattern)
		if globMatch(pattern, s) && (!bytes.HasPrefix(s, prefix) || whole && !bytes.Equal(s, prefix)) {
			t.Fatalf("%q matches %q against the prefix %q, %v", pattern, s, prefix, whole)
		}
	})
}

// TestGlobTime ends at once; where stars are tried in all combinations it never would.
func TestGlobTime(t *testing.T) {
	pattern := []byte(strings.Repeat("a*", patternBytesMax/2-1) + "b")
	if globMatch(pattern, bytes.Repeat([]byte("a"), 1024)) {
		t.Error("matched")
	}
}
