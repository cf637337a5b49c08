package command

import (
	"errors"
	"strconv"
)

// Kind tells what a Value is, by the first byte of its RESP form.
type Kind byte

// The kinds.
const (
	KindStatus Kind = '+'
	KindError  Kind = '-'
	KindInt    Kind = ':'
	KindBulk   Kind = '$'
	KindNull   Kind = '_'
	KindArray  Kind = '*'
	KindMap    Kind = '%'
	KindSet    Kind = '~'
	KindPush   Kind = '>'
	KindDouble Kind = ','
	KindBool   Kind = '#'
)

// Value is an answer read back from its RESP form, for callers that want the meaning and not the
// bytes: the gRPC door, and scripts. Bytes alias the form.
type Value struct {
	Kind  Kind
	Int   int64
	Bytes []byte
	Elems []Value // of arrays, sets and pushes; keys and values in turn of maps
}

var errValue = errors.New("command: reply is not well formed")

// depthMax bounds how deep arrays may nest. No command of ours nests deeper than 6 (COMMAND DOCS).
const depthMax = 16

// ParseValue reads the first answer in b, RESP2 or RESP3, and returns what follows it.
func ParseValue(b []byte) (Value, []byte, error) { return parseValue(b, 0) }

func parseValue(b []byte, depth int) (Value, []byte, error) {
	line, rest, ok := cutLine(b)
	if !ok || len(line) == 0 || depth > depthMax {
		return Value{}, nil, errValue
	}
	v := Value{Kind: Kind(line[0]), Bytes: line[1:]}
	switch v.Kind {
	case KindStatus, KindError, KindDouble, KindBool, KindNull:
		return v, rest, nil
	}
	n, err := strconv.ParseInt(string(line[1:]), 10, 64)
	if err != nil {
		return Value{}, nil, errValue
	}
	switch v.Kind {
	case KindInt:
		v.Int = n
		return v, rest, nil
	case KindBulk, '=':
		return parseBulk(v, n, rest)
	case KindArray, KindMap, KindSet, KindPush:
		return parseElems(v, n, rest, depth)
	}
	return Value{}, nil, errValue
}

func parseBulk(v Value, n int64, rest []byte) (Value, []byte, error) {
	if n < 0 {
		return Value{Kind: KindNull}, rest, nil
	}
	if n > int64(len(rest))-2 || string(rest[n:n+2]) != "\r\n" {
		return Value{}, nil, errValue
	}
	v.Bytes = rest[:n:n]
	if v.Kind == '=' && n >= 4 { // verbatim: "txt:" and the text
		v.Kind, v.Bytes = KindBulk, v.Bytes[4:]
	}
	return v, rest[n+2:], nil
}

// elementBytesMin is the length of the shortest answer, a RESP3 null: it bounds what is allocated before
// the elements have been seen.
const elementBytesMin = 3

func parseElems(v Value, n int64, rest []byte, depth int) (Value, []byte, error) {
	if n < 0 {
		return Value{Kind: KindNull}, rest, nil
	}
	if n > int64(len(rest))/elementBytesMin {
		return Value{}, nil, errValue
	}
	if v.Kind == KindMap {
		n *= 2
	}
	v.Bytes = nil
	v.Elems = make([]Value, n)
	for i := range v.Elems {
		var err error
		if v.Elems[i], rest, err = parseValue(rest, depth+1); err != nil {
			return Value{}, nil, err
		}
	}
	return v, rest, nil
}

func cutLine(b []byte) (line, rest []byte, ok bool) {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == '\r' && b[i+1] == '\n' {
			return b[:i], b[i+2:], true
		}
	}
	return nil, nil, false
}
