package command

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// facts are what COMMAND INFO of a Redis 7.0.15 says of the commands that work on keys and strings: name,
// arity, first key, last key, step, flags, categories, flags of the key specifications (but for
// variable_flags, which only SET has).
var facts = []struct {
	name              string
	arity             int
	first, last, step int
	flags, categories string
	keys              string
}{
	{"get", 2, 1, 1, 1, "fast readonly", "@fast @read @string", "RO access"},
	{"set", -3, 1, 1, 1, "denyoom write", "@slow @string @write", "RW access update"},
	{"setnx", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "OW insert"},
	{"setex", 4, 1, 1, 1, "denyoom write", "@slow @string @write", "OW update"},
	{"psetex", 4, 1, 1, 1, "denyoom write", "@slow @string @write", "OW update"},
	{"getset", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"getdel", 2, 1, 1, 1, "fast write", "@fast @string @write", "RW access delete"},
	{"getex", -2, 1, 1, 1, "fast write", "@fast @string @write", "RW access update"},
	{"mget", -2, 1, -1, 1, "fast readonly", "@fast @read @string", "RO access"},
	{"mset", -3, 1, -1, 2, "denyoom write", "@slow @string @write", "OW update"},
	{"msetnx", -3, 1, -1, 2, "denyoom write", "@slow @string @write", "OW insert"},
	{"append", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW insert"},
	{"strlen", 2, 1, 1, 1, "fast readonly", "@fast @read @string", "RO"},
	{"getrange", 4, 1, 1, 1, "readonly", "@read @slow @string", "RO access"},
	{"substr", 4, 1, 1, 1, "readonly", "@read @slow @string", "RO access"},
	{"setrange", 4, 1, 1, 1, "denyoom write", "@slow @string @write", "RW update"},
	{"incr", 2, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"decr", 2, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"incrby", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"decrby", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"incrbyfloat", 3, 1, 1, 1, "denyoom fast write", "@fast @string @write", "RW access update"},
	{"del", -2, 1, -1, 1, "write", "@keyspace @slow @write", "RM delete"},
	{"unlink", -2, 1, -1, 1, "fast write", "@fast @keyspace @write", "RM delete"},
	{"exists", -2, 1, -1, 1, "fast readonly", "@fast @keyspace @read", "RO"},
	{"type", 2, 1, 1, 1, "fast readonly", "@fast @keyspace @read", "RO"},
	{"touch", -2, 1, -1, 1, "fast readonly", "@fast @keyspace @read", "RO"},
	{"rename", 3, 1, 2, 1, "write", "@keyspace @slow @write", "RW access delete, OW update"},
	{"renamenx", 3, 1, 2, 1, "fast write", "@fast @keyspace @write", "RW access delete, OW insert"},
	{"copy", -3, 1, 2, 1, "denyoom write", "@keyspace @slow @write", "RO access, OW update"},
	{"randomkey", 1, 0, 0, 0, "readonly", "@keyspace @read @slow", ""},
	{"keys", 2, 0, 0, 0, "readonly", "@dangerous @keyspace @read @slow", ""},
	{"scan", -2, 0, 0, 0, "readonly", "@keyspace @read @slow", ""},
	{"expire", -3, 1, 1, 1, "fast write", "@fast @keyspace @write", "RW update"},
	{"pexpire", -3, 1, 1, 1, "fast write", "@fast @keyspace @write", "RW update"},
	{"expireat", -3, 1, 1, 1, "fast write", "@fast @keyspace @write", "RW update"},
	{"pexpireat", -3, 1, 1, 1, "fast write", "@fast @keyspace @write", "RW update"},
	{"ttl", 2, 1, 1, 1, "fast readonly", "@fast @keyspace @read", "RO access"},
	{"pttl", 2, 1, 1, 1, "fast readonly", "@fast @keyspace @read", "RO access"},
	{"expiretime", 2, 1, 1, 1, "fast readonly", "@fast @keyspace @read", "RO access"},
	{"pexpiretime", 2, 1, 1, 1, "fast readonly", "@fast @keyspace @read", "RO access"},
	{"persist", 2, 1, 1, 1, "fast write", "@fast @keyspace @write", "RW update"},
	{"flushdb", -1, 0, 0, 0, "write", "@dangerous @keyspace @slow @write", ""},
	{"flushall", -1, 0, 0, 0, "write", "@dangerous @keyspace @slow @write", ""},
	{"dbsize", 1, 0, 0, 0, "fast readonly", "@fast @keyspace @read", ""},
}

// ours are the rows that Redis does not have.
var ours = []string{"cas", "delifeq", "listkeys"}

func TestFacts(t *testing.T) {
	registry := NewRegistry()
	stated := slices.Clone(ours)
	for _, fact := range facts {
		stated = append(stated, fact.name)
		spec := registry.Lookup([]byte(fact.name))
		if spec == nil {
			t.Errorf("no row %s", fact.name)
			continue
		}
		got := fact
		got.arity = spec.arity
		got.first, got.last, got.step = spec.legacyRange()
		got.flags, got.categories = sorted(spec.flags), sorted(spec.categories)
		var keys []string
		for _, key := range spec.keys {
			keys = append(keys, strings.Join(key.Access.words(), " "))
		}
		got.keys = strings.Join(keys, ", ")
		if diff := cmp.Diff(fmt.Sprint(fact), fmt.Sprint(got)); diff != "" {
			t.Errorf("%s (-redis +here):\n%s", fact.name, diff)
		}
	}
	for _, spec := range dataCommands() {
		if !slices.Contains(stated, spec.Name) {
			t.Errorf("no facts about %s", spec.Name)
		}
	}
}

func sorted(words []string) string {
	return strings.Join(slices.Sorted(slices.Values(words)), " ")
}
