package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
)

// entry makes a log entry of one call of another node.
func entry(c command.Call) []byte {
	c.Credential = "default"
	return encode(header{LogTime: epoch.UnixMilli()}, []logged{{origin{9, 9, 9}, c}})
}

// TestEntriesThatCannotBeApplied: a binary that does not know what an entry means stops, and says so. It must
// neither panic nor go on without it.
func TestEntriesThatCannotBeApplied(t *testing.T) {
	words := func(line string) [][]byte { return calls(line)[0].Args }
	queued := func(line string) command.Call {
		return command.Call{Args: words("EXEC"), Sub: []command.Call{{Spec: anySpec, Args: words(line)}}}
	}
	tests := []struct {
		name string
		call command.Call
	}{
		{"an unknown command", command.Call{Args: words("NOSUCH a")}},
		{"a read", command.Call{Args: words("GET a")}},
		{"a command of the connection", command.Call{Args: words("PING")}},
		{"a container", command.Call{Args: words("COMMAND")}},
		{"an unknown command in a transaction", queued("NOSUCH a")},
		{"a command of the connection in a transaction", queued("PING")},
		{"a transaction in a transaction", queued("EXEC")},
		{"nothing in a transaction", command.Call{Args: words("EXEC"), Sub: []command.Call{{Spec: anySpec}}}},
		{"a transaction that is no EXEC", command.Call{Args: words("DEL a"), Sub: []command.Call{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settled(t, func(t *testing.T, n *node) {
				n.session().do("SET a 1")
				at := n.store.applied
				n.store.Apply(at.Term, []raft.Entry{{Term: at.Term, Index: at.Index + 1, Data: entry(tt.call)}})
				if n.fatal == nil || !strings.Contains(n.fatal.Error(), "newer binary") {
					t.Errorf("ended with %v", n.fatal)
				}
			})
		})
	}
}

// TestLaterTermTakesBack: an entry of a later term proves that what waits for earlier ones is lost, and
// only that. It is proposed again, unless a later call of its connection already is.
func TestLaterTermTakesBack(t *testing.T) {
	idle(t, func(t *testing.T, n *node) {
		b := n.store.batcher
		old, split, young := n.runOf(1, 2), n.runOf(300_000, 300_000), n.runOf(3)
		b.add(old)
		b.add(split)
		b.Take(3, 300_000)
		b.add(young)
		b.Take(5, plenty)
		n.store.Apply(4, []raft.Entry{{Term: 3, Index: 2}})
		for _, state := range slices.Concat(old.writes(), split.writes(), young.writes()) {
			if state != pending {
				t.Errorf("settled by an entry of the same term: %v", state)
			}
		}
		if !b.idle() {
			t.Error("taken back by an entry of the same term")
		}
		n.store.Apply(5, []raft.Entry{{Term: 5, Index: 3}})
		if got := old.writes(); !slices.Equal(got, []opState{pending, pending}) || !old.queued || old.taken != 0 {
			t.Errorf("writes of an earlier term are %v, queued %v from %d on", got, old.queued, old.taken)
		}
		if got := split.writes(); !slices.Equal(got, []opState{refused, pending}) || split.queued {
			t.Errorf("a write before one of this term is %v, queued %v", got, split.queued)
		}
		if state := young.writes()[0]; state != pending || young.queued {
			t.Errorf("a write of this term is %v, queued %v", state, young.queued)
		}
		if want := old.bytes; b.bytes != want {
			t.Errorf("%d bytes wait, want %d", b.bytes, want)
		}
	})
}

// TestAbandonedRunIsLeftAlone: what nobody waits for any more is applied, and neither its answer nor its
// arguments are touched.
func TestAbandonedRunIsLeftAlone(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s := n.session()
		all := calls("SET a 1", "GET a")
		p := s.startCalls(all)
		n.turn(theLoop) // the entry is with the writer
		p.cancel()
		expect(t, p.answers(t), "-UNCERTAIN "+errUncertain.Text+" -TRYAGAIN "+errNotApplied.Text+" ")
		clear(all) // the front door uses its memory for something else
		p.reply.Use([]byte("of another"))
		n.settle()
		expect(t, s.do("GET a"), "$1 1 ")
	})
}
