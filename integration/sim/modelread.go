package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/primatomic/primatomic/engine"
)

// The answers that the model gives.
var (
	okay      = answer{kind: '+', text: "OK"}
	noValue   = answer{kind: '$', null: true}
	notDone   = answer{kind: '*', null: true}
	noNumber  = answer{kind: '-', text: "ERR value is not an integer or out of range"}
	overflows = answer{kind: '-', text: "ERR increment or decrement would overflow"}
	noMemory  = answer{kind: '-', text: "OOM command not allowed when used memory > 'maxmemory'."}
	noSpace   = answer{kind: '-', text: "NONAMESPACE the selected namespace does not exist any more"}
)

func noName(name string) answer {
	return answer{kind: '-', text: fmt.Sprintf(
		"NONAMESPACE no namespace is named %q: create it with NAMESPACE CREATE %s", name, name)}
}

func bulk(value string) answer { return answer{kind: '$', text: value} }

func number(n int64) answer { return answer{kind: ':', text: strconv.FormatInt(n, 10)} }

func truth(yes bool) answer {
	if yes {
		return number(1)
	}
	return number(0)
}

func array(parts ...answer) answer {
	return answer{kind: '*', text: strconv.Itoa(len(parts)), parts: parts}
}

func bulks(values []string) answer {
	parts := make([]answer, 0, len(values))
	for _, value := range values {
		parts = append(parts, bulk(value))
	}
	return array(parts...)
}

// texts returns the texts of the parts.
func (a answer) texts() []string {
	texts := make([]string, 0, len(a.parts))
	for _, part := range a.parts {
		texts = append(texts, part.text)
	}
	return texts
}

// equal reports whether two answers are the same to the last byte.
func (a answer) equal(b answer) bool {
	return a.kind == b.kind && a.null == b.null && a.text == b.text && slices.EqualFunc(a.parts, b.parts, answer.equal)
}

// verbOf is the name of a command, with that of a subcommand.
func verbOf(words []string) string {
	if words[0] == "NAMESPACE" {
		return words[0] + " " + words[1]
	}
	return words[0]
}

// reading are the commands that change nothing.
var reading = map[string]bool{
	"NAMESPACE LIST": true,
	"GET":            true, "MGET": true, "EXISTS": true, "KEYS": true, "SCAN": true, "LISTKEYS": true, "DBSIZE": true,
	"TTL": true, "PTTL": true, "PEXPIRETIME": true,
}

// look answers a command that changes nothing, as of the state's own log time.
func (s *state) look(at engine.Ref, words []string) answer {
	if s.gone(at) {
		return noSpace
	}
	switch verbOf(words) {
	case "NAMESPACE LIST":
		return bulks(s.list())
	case "GET":
		return s.value(at, words[1])
	case "MGET":
		var parts []answer
		for _, key := range words[1:] {
			parts = append(parts, s.value(at, key))
		}
		return array(parts...)
	case "EXISTS":
		n := int64(0)
		for _, key := range words[1:] {
			if _, alive := s.find(at, key); alive {
				n++
			}
		}
		return number(n)
	case "KEYS":
		return bulks(s.keys(at, strings.TrimSuffix(words[1], "*")))
	case "LISTKEYS":
		return bulks(s.page(at, words[1], words[2:]))
	case "DBSIZE":
		return number(int64(s.size(at)))
	case "TTL":
		return s.left(at, words, s.time)
	case "PTTL":
		return s.left(at, words, s.time)
	case "PEXPIRETIME":
		return s.left(at, words, 0)
	}
	return answer{kind: '-', text: "the model does not know " + words[0]}
}

func (s *state) value(at engine.Ref, key string) answer {
	if it, alive := s.find(at, key); alive {
		return bulk(it.value)
	}
	return noValue
}

// list returns the names of all namespaces, numbers first.
func (s *state) list() []string {
	var names []string
	for at := range s.spaces {
		if at.ID == 0 {
			names = append(names, strconv.Itoa(int(at.Number)))
		}
	}
	for name := range s.names {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // numbers have one digit here, names two letters
	})
	return names
}

// page answers LISTKEYS: the keys after AFTER, at most LIMIT.
func (s *state) page(at engine.Ref, begin string, more []string) []string {
	o := optionsOf(more)
	keys := s.keys(at, begin)
	if after, given := o["AFTER"]; given {
		keys = slices.DeleteFunc(keys, func(key string) bool { return key <= after })
	}
	if limit, err := strconv.Atoi(o["LIMIT"]); err == nil && limit > 0 {
		keys = keys[:min(limit, len(keys))]
	}
	return keys
}

// left answers how long a key lives on from now on: what is alive has a millisecond at least.
func (s *state) left(at engine.Ref, words []string, now int64) answer {
	it, alive := s.find(at, words[1])
	ms := max(it.deadline-now, 1)
	switch {
	case !alive:
		return number(-2)
	case it.deadline == 0:
		return number(-1)
	case words[0] == "TTL":
		return number((ms + 500) / 1000)
	}
	return number(ms)
}

// optionsOf reads options, those with a value and those without.
func optionsOf(words []string) map[string]string {
	o := map[string]string{}
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "EX", "PX", "EXAT", "PXAT", "AFTER", "LIMIT", "MATCH", "COUNT":
			i++
			o[word] = words[i]
		default:
			o[word] = ""
		}
	}
	return o
}
