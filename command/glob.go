package command

import "bytes"

// globMatch reports whether s matches a pattern in Redis' dialect: * ? [abc] [^abc] [a-z] and \ before
// a character that is meant literally. An unclosed class ends with the pattern. The time is bounded by
// len(pattern) * len(s): after a mismatch only the last star is tried again, one byte further.
func globMatch(pattern, s []byte) bool {
	p, i := 0, 0
	star, from := -1, 0 // after the last star, and where in s it stopped
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, from = p, i
			continue
		}
		if p < len(pattern) {
			if next, ok := globOne(pattern, p, s[i]); ok {
				p = next
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globOne matches one byte against the element of the pattern at p, which is no star, and returns
// where the next element begins.
func globOne(pattern []byte, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return globClass(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// globClass matches c against the class whose first byte after the bracket is at p.
func globClass(pattern []byte, p int, c byte) (next int, ok bool) {
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

// globPrefix returns the bytes that everything that matches begins with, and whether they are all that
// can match.
func globPrefix(pattern []byte) (prefix []byte, whole bool) {
	if i := bytes.IndexAny(pattern, `*?[\`); i >= 0 {
		return pattern[:i], false
	}
	return pattern, true
}
