package resp

import (
	"slices"
	"testing"
)

// fuzzLimits are small, so that short inputs reach them.
var fuzzLimits = Limits{
	CommandArgs: 64, CommandBytes: 4000, BulkBytes: 900, BulkBytesSkipped: 20_000, InlineBytes: 500,
	AnonymousArgs: 4, AnonymousBulkBytes: 100, SubmissionCalls: 8, SubmissionBytes: 2000,
}

// FuzzReader: whatever arrives, in whatever pieces, the reader does not panic, holds bounded memory, and
// finds the same commands as when all of it arrives at once; and those survive being encoded again.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, in []byte, piece uint16, trusted bool) {
		whole := fuzzOnce(t, in, len(in)+1, trusted)
		pieces := fuzzOnce(t, in, int(piece)+1, trusted)
		if !slices.EqualFunc(whole.calls, pieces.calls, slices.Equal) || whole.err != pieces.err {
			t.Fatalf("whole: %q, %v; in pieces of %d: %q, %v",
				whole.calls, whole.err, piece+1, pieces.calls, pieces.err)
		}
		var encoded []byte
		var sent [][]string
		for _, call := range whole.calls {
			if len(call) <= fuzzLimits.CommandArgs {
				sent = append(sent, call)
				encoded = appendCommand(encoded, call...)
			}
		}
		again := drainReader(testReader(Limits{}, encoded), true)
		if !slices.EqualFunc(sent, again.calls, slices.Equal) {
			t.Fatalf("sent %q, read %q", sent, again.calls)
		}
	})
}

func fuzzOnce(t *testing.T, in []byte, piece int, trusted bool) decoded {
	// The reader unquotes in place, in its own memory: the input stays as it is.
	before := string(in)
	r := testReader(fuzzLimits, chop(in, piece)...)
	d := drainReader(r, trusted)
	if len(r.b.buf) > largeBytesMax {
		t.Fatalf("the buffer grew to %d", len(r.b.buf))
	}
	if string(in) != before {
		t.Fatal("the input has changed")
	}
	for _, n := range d.submissions {
		if n < 1 || n > fuzzLimits.SubmissionCalls {
			t.Fatalf("a submission of %d calls", n)
		}
	}
	return d
}
