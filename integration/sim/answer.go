package sim

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// answer is one reply, read back from RESP2.
type answer struct {
	kind  byte // '+', '-', ':', '$' or '*'
	null  bool
	text  string
	parts []answer
}

func (a answer) String() string {
	switch {
	case a.null:
		return "nil"
	case a.kind == '*':
		return fmt.Sprint(a.parts)
	}
	return fmt.Sprintf("%c%.60s", a.kind, a.text)
}

// fails reports whether it is an error with the given first word.
func (a answer) fails(prefix string) bool {
	return a.kind == '-' && strings.HasPrefix(a.text, prefix+" ")
}

func (a answer) number() int {
	n, err := strconv.Atoi(a.text)
	if a.kind != ':' || err != nil {
		return -1
	}
	return n
}

// readAnswers reads all whole replies.
func readAnswers(b []byte) ([]answer, error) {
	var all []answer
	for len(b) > 0 {
		a, rest, err := readAnswer(b)
		if err != nil {
			return nil, err
		}
		all, b = append(all, a), rest
	}
	return all, nil
}

func readAnswer(b []byte) (answer, []byte, error) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole || len(line) == 0 {
		return answer{}, nil, fmt.Errorf("not a reply: %.80q", b)
	}
	a := answer{kind: line[0], text: string(line[1:])}
	if a.kind != '$' && a.kind != '*' {
		return a, rest, nil
	}
	n, err := strconv.Atoi(a.text)
	switch {
	case err != nil:
		return answer{}, nil, fmt.Errorf("not a length: %.80q", b)
	case n < 0:
		a.null, a.text = true, ""
		return a, rest, nil
	case a.kind == '$':
		if len(rest) < n+2 {
			return answer{}, nil, fmt.Errorf("cut short: %.80q", b)
		}
		a.text = string(rest[:n])
		return a, rest[n+2:], nil
	}
	for range n {
		var part answer
		if part, rest, err = readAnswer(rest); err != nil {
			return answer{}, nil, err
		}
		a.parts = append(a.parts, part)
	}
	return a, rest, nil
}
