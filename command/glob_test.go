package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/engine"
	"pgregory.net/rapid"
)

func globMatch(pattern, s []byte) bool { return newGlob(pattern).match(s) }

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
	next, ok := slowOne(pattern, 0, s[0])
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

// slowOne matches one byte against the element of the pattern at p, which is no star, and returns
// where the next element begins.
func slowOne(pattern []byte, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return slowClass(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// slowClass matches c against the class whose first byte after the bracket is at p.
func slowClass(pattern []byte, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	match := false
	for p < len(pattern) && pattern[p] != ']' {
		switch left := len(pattern) - p; {
		case left >= 2 && pattern[p] == '\\':
			match = match || pattern[p+1] == c
			p += 2
		case left >= 3 && pattern[p+1] == '-':
			lo, hi := pattern[p], pattern[p+2]
			match = match || min(lo, hi) <= c && c <= max(lo, hi)
			p += 3
		default:
			match = match || pattern[p] == c
			p++
		}
	}
	return min(p+1, len(pattern)), match != not
}

// TestGlobLong holds long patterns and keys, whose states do not fit into one word, against the slow twin.
func TestGlobLong(t *testing.T) {
	runs := rapid.SampledFrom([]string{"a", "b", "?", "[ab]", "[^b]", "aaaaaaaaaaaaaaaa", "????????", "\\*"})
	rapid.Check(t, func(t *rapid.T) {
		head := strings.Join(rapid.SliceOfN(runs, 0, 40).Draw(t, "head"), "")
		tail := strings.Join(rapid.SliceOfN(runs, 0, 40).Draw(t, "tail"), "")
		pattern := []byte(head + rapid.SampledFrom([]string{"", "*"}).Draw(t, "star") + tail)
		s := rapid.SliceOfN(rapid.SampledFrom([]byte("aaaaaab*")), 0, 300).Draw(t, "s")
		if rapid.Bool().Draw(t, "made to match") {
			s = []byte(strings.NewReplacer("[ab]", "a", "[^b]", "a", "?", "a", "\\*", "*").Replace(string(pattern)))
		}
		if got, want := globMatch(pattern, s), slowGlob(pattern, s); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, s, got, want)
		}
	})
}

func TestGlobLongerThanKeys(t *testing.T) {
	for _, test := range []struct {
		elements int
		want     bool
	}{{1023, true}, {1024, true}, {1025, false}} {
		for _, element := range []string{"?", "a", "[a]"} {
			pattern := []byte("*" + strings.Repeat(element, test.elements) + "*")
			if got := globMatch(pattern, bytes.Repeat([]byte("a"), engine.KeyBytesMax)); got != test.want {
				t.Errorf("%d times %q: %v", test.elements, element, got)
			}
		}
	}
}

// dearPatterns cost the most, each in its way, on keys of 1024 times "a".
func dearPatterns() map[string][]byte {
	repeat := func(s string, n int) string { return strings.Repeat(s, n) }
	patterns := map[string]string{
		"tail":       "*" + repeat("a", 500) + "b",
		"run":        "*" + repeat("a", 500) + "b*",
		"questions":  "*" + repeat("a?", 250) + "b*",
		"stars":      repeat("a*", 1000) + "b*",
		"classes":    "*" + repeat("[ab]", 1000) + "b*",
		"long class": "*" + repeat("["+repeat("x-z", 300)+"a]", 4) + "b*",
		"whole":      "*" + repeat("a", 1023) + "b*",
		"short":      "*ab*",
		"all":        "*",
	}
	all := map[string][]byte{}
	for name, pattern := range patterns {
		all[name] = []byte(pattern)
	}
	return all
}

func BenchmarkGlobDear(b *testing.B) {
	key := bytes.Repeat([]byte("a"), engine.KeyBytesMax)
	for name, pattern := range dearPatterns() {
		g := newGlob(pattern)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g.match(key)
			}
		})
	}
}

// BenchmarkGlobMake makes patterns ready.
func BenchmarkGlobMake(b *testing.B) {
	for name, pattern := range map[string][]byte{
		"user": []byte("user:*:name"), "classes": []byte(strings.Repeat("[^a]", 1024)),
		"ranges":    []byte("[" + strings.Repeat("\x00-\xff", patternBytesMax/3-1)),
		"questions": bytes.Repeat([]byte("?"), 1024),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newGlob(pattern)
			}
		})
	}
}

// BenchmarkGlobUsual is a pattern as people write them, on a key as they have them.
func BenchmarkGlobUsual(b *testing.B) {
	for _, pattern := range []string{"user:*", "*:name", "user:*:name", "user:1?34*"} {
		g, key := newGlob([]byte(pattern)), []byte("user:1234567890:name")
		b.Run(pattern, func(b *testing.B) {
			for b.Loop() {
				if !g.match(key) {
					b.Fatal("no match")
				}
			}
		})
	}
}
