package command

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAnswerLimits: an answer that would be too long is an error, and not a part of the answer.
func TestAnswerLimits(t *testing.T) {
	defer func(max int) { answerBytesMax = max }(answerBytesMax)
	answerBytesMax = 1000
	l := newLocal()
	value := strings.Repeat("v", 400)
	for i := range 10 {
		l.do(line("SET", fmt.Sprintf("%s%d", strings.Repeat("k", 200), i), value)...)
		l.do(line("SET", fmt.Sprintf("v%d", i), value)...)
	}
	for text, code := range map[string]Code{
		"MGET v0 v1": OK, "MGET v0 v1 v2": TooLarge, "MGET v0 nope v1 v0": TooLarge,
		"KEYS v*": OK, "KEYS k*": TooLarge, "KEYS k*[012]": OK, "KEYS *": TooLarge,
	} {
		answer := l.do(line(strings.Fields(text)...)...)
		if l.reply.Code() != code {
			t.Errorf("%s: %.80q", text, answer)
		}
		if _, rest, err := ParseValue(answer); err != nil || len(rest) > 0 {
			t.Errorf("%s: bad answer %.80q", text, answer)
		}
	}
}

// TestListKeysLimit fills LISTKEYS to the brim of its bytes.
func TestListKeysLimit(t *testing.T) {
	l := newLocal()
	const keyBytes, count = 1000, ListKeysBytesMax/1000 + 1
	for i := range count {
		l.do(line("SET", fmt.Sprintf("%0*d", keyBytes, i), "")...)
	}
	if l.do(line("LISTKEYS", "")...); l.reply.Code() != TooLarge {
		t.Error("a list over the limit was answered")
	}
	answer := l.do(line("LISTKEYS", "", "LIMIT", "16000")...)
	if v, _, err := ParseValue(answer); err != nil || len(v.Elems) != 16000 {
		t.Errorf("a page below the limit: %d keys, %v", len(v.Elems), err)
	}
}

// TestPages: pages of LISTKEYS joined are the whole list, and so are the steps of a SCAN in any order.
func TestPages(t *testing.T) {
	registry := NewRegistry()
	rapid.Check(t, func(t *rapid.T) {
		l := newLocalWith(registry)
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{1,6}`), 0, 40, rapid.ID).Draw(t, "keys")
		for _, key := range keys {
			l.do(line("SET", key, "")...)
		}
		whole := elems(t, l.do(line("LISTKEYS", "a")...))
		size := rapid.IntRange(1, 10).Draw(t, "size")
		var paged []string
		args := line("LISTKEYS", "a", "LIMIT", fmt.Sprint(size))
		for {
			page := elems(t, l.do(args...))
			paged = append(paged, page...)
			if len(page) < size {
				break
			}
			args = line("LISTKEYS", "a", "LIMIT", fmt.Sprint(size), "AFTER", page[size-1])
		}
		if fmt.Sprint(paged) != fmt.Sprint(whole) {
			t.Fatalf("pages %q, whole %q", paged, whole)
		}
		seen, cursor := map[string]bool{}, "0"
		for {
			v, _, err := ParseValue(l.do(line("SCAN", cursor, "COUNT", fmt.Sprint(size))...))
			if err != nil || len(v.Elems) != 2 {
				t.Fatal("SCAN", v, err)
			}
			for _, key := range v.Elems[1].Elems {
				seen[string(key.Bytes)] = true
			}
			if cursor = string(v.Elems[0].Bytes); cursor == "0" {
				break
			}
		}
		if len(seen) != len(keys) {
			t.Fatalf("SCAN saw %d keys of %d", len(seen), len(keys))
		}
	})
}

func elems(t *rapid.T, answer []byte) []string {
	v, rest, err := ParseValue(answer)
	if err != nil || len(rest) > 0 || v.Kind != KindArray {
		t.Fatalf("bad answer %q", answer)
	}
	words := make([]string, len(v.Elems))
	for i := range v.Elems {
		words[i] = string(v.Elems[i].Bytes)
	}
	return words
}
