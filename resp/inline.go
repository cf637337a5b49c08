package resp

import "bytes"

// errHTTP ends a connection on which somebody speaks HTTP. A web page can make a browser send commands
// to a port of its machine as the body of a POST; as in Redis, its request line gives that away.
const errHTTP protocolError = "this port does not speak HTTP"

// inline reads a command that is a line of words.
func (r *reader) inline() (progress, error) {
	line, size, err := r.line(errInlineLength)
	if line == nil {
		return starved, err
	}
	before := len(r.b.spans)
	if !r.splitWords(bytes.TrimSuffix(line, []byte{'\n'})) {
		return starved, errQuotes
	}
	if len(r.b.spans) > before {
		word := r.b.spans[before]
		name := r.b.buf[word.offset : word.offset+word.size]
		if bytes.EqualFold(name, []byte("POST")) || bytes.EqualFold(name, []byte("Host:")) {
			return starved, errHTTP
		}
		r.closeFrame()
	}
	r.pos += size
	return advanced, nil
}

// splitWords splits a line that begins at pos as redis-cli does (sdssplitargs): words between blanks,
// "..." with escapes, '...' with \' alone. Words are unquoted where they stand, they only get shorter.
// It reports whether the quotes are balanced.
func (r *reader) splitWords(line []byte) bool {
	for i := 0; ; {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i == len(line) {
			return true
		}
		size, next, ok := unquoteWord(line[i:])
		if !ok {
			return false
		}
		r.addArg(r.pos+i, size)
		i += next
	}
}

// unquoteWord unquotes the word at the beginning of b in place. It returns the word's size and where it
// ended.
func unquoteWord(b []byte) (size, next int, ok bool) {
	var quote byte // the open quote, or 0
	for next < len(b) {
		c := b[next]
		next++
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
			continue
		case quote == 0 && (c == ' ' || c == '\t' || c == '\r'):
			return size, next, true
		case quote != 0 && c == quote:
			return size, next, next == len(b) || isBlank(b[next])
		case quote == '"' && c == '\\' && next < len(b):
			var n int
			c, n = unescape(b[next:])
			next += n
		case quote == '\'' && c == '\\' && next < len(b) && b[next] == '\'':
			c = '\''
			next++
		}
		b[size] = c
		size++
	}
	return size, next, quote == 0
}

// unescape returns the byte that stands behind a backslash, and how many bytes name it.
func unescape(b []byte) (c byte, n int) {
	if b[0] == 'x' && len(b) >= 3 {
		high, ok1 := hexDigit(b[1])
		low, ok2 := hexDigit(b[2])
		if ok1 && ok2 {
			return high<<4 | low, 3
		}
	}
	switch b[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'a':
		return '\a', 1
	}
	return b[0], 1
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
