package store

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/command"
)

// TestReadEntry: an entry that was taken apart as a whole holds each call as apply sees it.
func TestReadEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := header{LogTime: 5, Seed: 6, Reap: 7, MemoryMax: 8}
		var all []logged
		for i := range rapid.IntRange(0, 6).Draw(t, "calls") {
			all = append(all, logged{origin{1, 2, uint64(i)}, drawCall(t)})
		}
		e, err := ReadEntry(encode(h, all))
		if err != nil {
			t.Fatal(err)
		}
		var got []logged
		for i := range e.Calls {
			c := &e.Calls[i]
			got = append(got, logged{origin{c.Node, c.Process, c.Sequence}, own(c.Call)})
		}
		sameEntry(t, header{LogTime: e.LogTime, Seed: 6, Reap: e.Reap, MemoryMax: e.MemoryMax}, h, got, all)
	})
}

// TestReadEntryRefuses: what apply cannot read is no entry here either.
func TestReadEntryRefuses(t *testing.T) {
	call := command.Call{Credential: "c", Args: [][]byte{[]byte("get")}}
	good := encode(header{LogTime: 1}, []logged{{origin{1, 1, 1}, call}})
	for name, data := range map[string][]byte{
		"nothing": nil, "cut": good[:len(good)-1], "newer": append([]byte{envelopeVersion + 1}, good[1:]...),
		"newer call": append(bytes.Clone(good), callFlags+1),
	} {
		if _, err := ReadEntry(data); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
