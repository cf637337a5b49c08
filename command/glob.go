package command

import (
	"bytes"
	"math/bits"

	"github.com/primatomic/primatomic/engine"
)

// glob is a pattern in Redis' dialect, made ready to be held against many keys: * ? [abc] [^abc] [a-z] and \
// before a character that is meant literally. An unclosed class ends with the pattern.
//
// It is a state machine whose state is a set of bits: bit i says that the bytes so far match the first i
// elements, stars not counted. All readings of the stars are followed at once, so a key costs its length
// times words, whatever the pattern (the shift-and method of Baeza-Yates and Gonnet).
type glob struct {
	elements int      // at most engine.KeyBytesMax
	words    int      // of 64 bits, in a set of states
	takes    []uint64 // 256 sets: which elements take a byte
	stars    []uint64 // where a star follows
	tail     []byte   // what matches ends with this
	never    bool     // longer than any key
}

const globWordsMax = engine.KeyBytesMax/64 + 1

// newGlob takes a millisecond and 140 KB for the worst pattern: call it outside of locks.
func newGlob(pattern []byte) *glob {
	g := &glob{}
	var elements []byteSet
	var stars [globWordsMax]uint64
	for p := 0; p < len(pattern); {
		if pattern[p] == '*' {
			stars[len(elements)/64] |= 1 << (len(elements) % 64)
			g.tail = g.tail[:0]
			p++
			continue
		}
		if len(elements) == engine.KeyBytesMax {
			return &glob{never: true}
		}
		var set byteSet
		set, p = globElement(pattern, p)
		elements = append(elements, set)
		if c, literal := set.only(); literal {
			g.tail = append(g.tail, c)
		} else {
			g.tail = g.tail[:0]
		}
	}
	g.elements, g.words = len(elements), len(elements)/64+1
	g.stars = stars[:g.words]
	g.takes = make([]uint64, 256*g.words)
	for i, set := range elements {
		set.each(func(c int) { g.takes[c*g.words+i/64] |= 1 << (i % 64) })
	}
	return g
}

// match reports whether s matches as a whole.
func (g *glob) match(s []byte) bool {
	if g.never || !bytes.HasSuffix(s, g.tail) {
		return false
	}
	var room [globWordsMax]uint64
	room[0] = 1
	states, stars := room[:g.words], g.stars[:g.words]
	last, end := g.elements/64, uint64(1)<<(g.elements%64)
	for _, c := range s {
		if states[last]&end&stars[last] != 0 {
			return true // a star takes all that follows
		}
		takes := g.takes[int(c)*g.words:][:len(states)]
		carry, alive := uint64(0), uint64(0)
		for w, state := range states {
			taken := state & takes[w]
			state = taken<<1 | carry | state&stars[w]
			carry = taken >> 63
			alive |= state
			states[w] = state
		}
		if alive == 0 {
			return false
		}
	}
	return states[last]&end != 0
}

// byteSet is a set of bytes.
type byteSet [4]uint64

func (b *byteSet) add(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		b[c/64] |= 1 << (c % 64)
	}
}

func (b *byteSet) each(fn func(c int)) {
	for w, word := range b {
		for ; word != 0; word &= word - 1 {
			fn(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// only returns the byte of a set that has no other.
func (b *byteSet) only() (c byte, ok bool) {
	n := 0
	b.each(func(found int) { c, n = byte(found), n+1 })
	return c, n == 1
}

// globElement returns which bytes the element of the pattern at p takes, which is no star, and where the
// next element begins.
func globElement(pattern []byte, p int) (set byteSet, next int) {
	switch pattern[p] {
	case '?':
		set.add(0, 255)
		return set, p + 1
	case '[':
		return globClass(pattern, p+1)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	set.add(pattern[p], pattern[p])
	return set, p + 1
}

// globClass is globElement for the class whose first byte after the bracket is at p.
func globClass(pattern []byte, p int) (set byteSet, next int) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) && pattern[p] != ']' {
		switch left := len(pattern) - p; {
		case left >= 2 && pattern[p] == '\\':
			set.add(pattern[p+1], pattern[p+1])
			p += 2
		case left >= 3 && pattern[p+1] == '-':
			set.add(min(pattern[p], pattern[p+2]), max(pattern[p], pattern[p+2]))
			p += 3
		default:
			set.add(pattern[p], pattern[p])
			p++
		}
	}
	if not {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, min(p+1, len(pattern))
}

// globPrefix returns the bytes that everything that matches begins with, and whether they are all that
// can match.
func globPrefix(pattern []byte) (prefix []byte, whole bool) {
	if i := bytes.IndexAny(pattern, `*?[\`); i >= 0 {
		return pattern[:i], false
	}
	return pattern, true
}
