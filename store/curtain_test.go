package store

import (
	"slices"
	"testing"

	"github.com/primatomic/primatomic/raft"
)

// draw makes the node look as if a batch had been handed out in a term that nobody serves yet.
func (n *node) draw() (term raft.Term) {
	at := n.store.applied
	n.store.curtain.raise(at.Term+1, at.Charter.Serving)
	return at.Term + 1
}

// serve applies the SERVE entry of a term, handed out in term tag.
func (n *node) serve(tag, term raft.Term) {
	at := n.store.applied
	charter := at.Charter
	charter.Serving = term
	n.store.SetCharter(tag, raft.Entry{Term: term, Index: at.Index + 1}, charter)
}

// behindCurtain submits what must not be answered behind a drawn curtain.
func behindCurtain(t *testing.T, n *node) (all []*pendingDo) {
	t.Helper()
	for _, lines := range [][]string{
		{"GET a"}, {"GET nothing"}, {"SET b 2", "GET a", "GET b"}, {"WATCH a"}, {"KEYS *"},
	} {
		all = append(all, n.session().start(lines...))
	}
	n.settle()
	for i, p := range all {
		if p.ended {
			t.Fatalf("submission %d is answered: %q", i, p.answers(t))
		}
	}
	return all
}

func TestCurtainHoldsUntilServed(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		expect(t, n.session().do("SET a 1"), "+OK ")
		term := n.draw()
		all := behindCurtain(t, n)
		n.serve(term, term)
		want := []string{"$1 1 ", "$-1 ", "+OK $1 1 $1 2 ", "+OK "}
		for i, w := range want {
			expect(t, all[i].answers(t), w)
		}
		if !all[len(all)-1].ended {
			t.Error("KEYS is not answered")
		}
		expect(t, n.session().do("GET b"), "$1 2 ")
	})
}

func TestCurtainAtTheDeadline(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		expect(t, n.session().do("SET a 1"), "+OK ")
		term := n.draw()
		all := behindCurtain(t, n)
		n.advance(n.limits.Deadline)
		again := "-TRYAGAIN " + errNotApplied.Text + " "
		expect(t, all[0].answers(t), again)
		expect(t, all[2].answers(t), "-UNCERTAIN "+errUncertain.Text+" "+again+again)
		n.serve(term, term)
		expect(t, n.session().do("GET b"), "$1 2 ")
		if held := len(n.store.curtain.held); held != 0 {
			t.Errorf("%d answers are still held", held)
		}
	})
}

// An answer leaves once a term above its entry's is served, even if what came after is hidden again.
func TestCurtainDrawnAgain(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		n.draw()
		write := n.session().start("SET a 1")
		n.settle()
		term := n.store.applied.Term
		n.store.curtain.raise(term+2, n.store.applied.Charter.Serving)
		n.serve(term+2, term+1)
		expect(t, write.answers(t), "+OK ")
		read := n.session().start("GET a")
		n.settle()
		if read.ended {
			t.Fatal("a read is answered behind the curtain")
		}
		n.serve(term+2, term+2)
		expect(t, read.answers(t), "$1 1 ")
	})
}

func TestCheckpointKeepsTheCharter(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		expect(t, n.session().do("SET a 1"), "+OK ")
		want := n.store.Charter()
		if want.Serving == 0 || want.Reads != raft.DefaultReads || !slices.Equal(want.Voters, []raft.ReplicaID{1}) {
			t.Fatalf("the charter is %+v", want)
		}
		n.stop()
		n.open()
		if n.store.LastCheckpoint().Index == 0 {
			t.Fatal("there is no checkpoint")
		}
		if got := n.store.Charter(); got.Serving != want.Serving || !slices.Equal(got.Voters, want.Voters) {
			t.Errorf("the charter is %+v, was %+v", got, want)
		}
		n.settle()
		expect(t, n.session().do("GET a"), "$1 1 ")
	})
}

// What a checkpoint holds may have been committed in a term of which this node has not heard yet, while the leader of
// its own term holds a lease. It stays hidden, also from a start on, until that term is served.
func TestCheckpointOfAHigherTerm(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		expect(t, n.session().do("SET a 1"), "+OK ")
		n.draw() // the replica that makes the checkpoint has come into the next term
		_, err := n.store.writeCheckpoint(t.Context(), n.store.state().Snapshot(), n.store.meta(), nil)
		n.must(err)
		newest, _, err := newestCheckpoint(n.dir, testGroup)
		n.must(err)
		state, at, err := load(newest)
		n.must(err)
		state.EndReplay()
		if at.Seen != at.Charter.Serving+1 {
			t.Fatalf("seen is term %d, served %d", at.Seen, at.Charter.Serving)
		}
		n.kill()
		n.fs = n.fs.Crash()
		n.open()
		if !n.store.curtain.drawn.Load() {
			t.Fatal("it is shown at a start")
		}
		n.serve(at.Seen, at.Seen)
		if n.store.curtain.drawn.Load() {
			t.Fatal("it is not shown when the term is served")
		}

		at.Charter = n.store.applied.Charter
		at.Seen = at.Charter.Serving + 1
		n.store.arrivals.put(&arrival{state, at})
		_, err = n.store.Install(at.Charter.Serving, &raft.Checkpoint{Index: at.Index, Term: at.Term})
		n.must(err)
		if !n.store.curtain.drawn.Load() {
			t.Fatal("it is shown at once")
		}
		n.serve(at.Seen, at.Seen)
		if n.store.curtain.drawn.Load() {
			t.Fatal("it is not shown when the term is served")
		}
		expect(t, n.session().do("GET a"), "$1 1 ")
	})
}
