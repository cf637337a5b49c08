package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
)

// trace is all that happens in a run, line by line: what the world chooses, what nodes do to their disks and send each
// other, what clients are told. Two runs of a seed have the same, or the seed does not replay.
type trace struct {
	hash  hash.Hash64
	out   io.Writer // gets the lines too, if not nil
	lines int
}

func newTrace(out io.Writer) *trace { return &trace{hash: fnv.New64a(), out: out} }

// note appends a line.
func (t *trace) note(format string, args ...any) {
	t.lines++
	fmt.Fprintf(t.hash, format+"\n", args...)
	if t.out != nil {
		fmt.Fprintf(t.out, "%016x "+format+"\n", append([]any{t.hash.Sum64()}, args...)...)
	}
}

// sum is the hash of all lines so far.
func (t *trace) sum() uint64 { return t.hash.Sum64() }

// digestOf stands for bytes in a line.
func digestOf(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}
