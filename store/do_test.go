package store

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
)

// settled runs a test on a node that serves.
func settled(t *testing.T, test func(*testing.T, *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.settle()
		test(t, n)
		n.kill()
	})
}

func TestAnswersStandInTheOrderOfTheCalls(t *testing.T) {
	long := strings.Repeat("x", 2000)
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"a write", []string{"SET a 1"}, "+OK "},
		{"a read", []string{"GET nothing"}, "$-1 "},
		{"a rider sees its write", []string{"SET a 1", "GET a", "SET a 2", "GET a"}, "+OK $1 1 +OK $1 2 "},
		{"ready before write", []string{"PING", "SET a 1"}, "+PONG +OK "},
		{"ready in between", []string{"SET a 1", "PING", "GET a", "PING x", "INCR a"}, "+OK +PONG $1 1 $1 x :2 "},
		{"a refused line in between", []string{"SET a 1", "NOSUCH", "INCR a"},
			"+OK -ERR unknown command 'NOSUCH', with args beginning with:  :2 "},
		{"an applied error", []string{"SET a x", "INCR a", "GET a"},
			"+OK -ERR value is not an integer or out of range $1 x "},
		{"a read that must wait", []string{"SET a 1", "KEYS *", "SET b 1"}, "+OK *1 $1 a +OK "},
		{"a change of database in between", []string{"SET a 1", "SELECT 1", "GET a", "SET a 2", "SELECT 0", "GET a"},
			"+OK +OK $-1 +OK +OK $1 1 "},
		{"a transaction in between", []string{"SET a 1", "MULTI", "INCR a", "GET a", "EXEC", "GET a"},
			"+OK +OK +QUEUED +QUEUED *2 :2 $1 2 $1 2 "},
		{"a transaction of reads behind a write", []string{"SET a 1", "MULTI", "GET a", "EXEC"},
			"+OK +OK +QUEUED *1 $1 1 "},
		{"a transaction that fails halfway", []string{"MULTI", "SET a x", "INCR a", "SET b 1", "EXEC", "MGET a b"},
			"+OK +QUEUED +QUEUED +QUEUED *3 +OK -ERR value is not an integer or out of range +OK *2 $1 x $1 1 "},
		{"long values", []string{"SET a " + long, "GET a"}, "+OK $2000 " + long + " "},
		{"nothing behind QUIT", []string{"SET a 1", "QUIT"}, "+OK +OK "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			settled(t, func(t *testing.T, n *node) { expect(t, n.session().do(tt.lines...), tt.want) })
		})
	}
}

// TestAnsweredAtTheLastMoment: an answer that comes while the connection gives up must not wake the
// next run that uses the same memory.
func TestAnsweredAtTheLastMoment(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		for range 20 { // of an answer and a deadline that are both there either may be seen
			r := n.store.newRun(command.NewReply(2, nil))
			c := calls("SET a 1")
			r.add(op{call: &c[0]})
			r.mu.Lock()
			r.ops[0].to = r.out.Len()
			r.settle(0, answered)
			r.mu.Unlock()
			p := n.store.patience(t.Context())
			n.store.collect(&p, r, 0)
			next := n.store.newRun(command.NewReply(2, nil))
			select {
			case <-next.done:
				t.Fatal("a fresh run is done already")
			default:
			}
		}
	})
}

// TestNoLeaderHoldsASubmissionOnce: all calls of a submission share one deadline.
func TestNoLeaderHoldsASubmissionOnce(t *testing.T) {
	for _, lines := range [][]string{
		{"GET a", "GET a", "GET a", "GET a"},
		{"SET a 1", "GET a", "GET a", "GET a"},
		{"GET a", "SET a 1", "GET a", "SET a 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t) // nobody gives it turns: no leader
			p := n.session().start(lines...)
			n.clock.Advance(n.limits.Deadline - 1)
			synctest.Wait()
			if p.ended {
				t.Fatal("answered before the deadline")
			}
			n.clock.Advance(1)
			one := "-TRYAGAIN " + errNotApplied.Text + " "
			expect(t, p.answers(t), strings.Repeat(one, len(lines)))
			n.kill()
		})
	}
}

// TestReadsThatDoNotRideAreBounded: reads that rode behind a write are answered a piece at a time.
func TestReadsThatDoNotRideAreBounded(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s := n.session()
		value := strings.Repeat("v", answerBytesMax/4)
		s.do("SET big " + value)
		for _, c := range []struct {
			name  string
			lines []string
			limit int
		}{
			{"one write", append([]string{"SET a 1"}, slicesRepeat("GET big", 200)...), (valuesMax + 5) * len(value)},
			{"many writes", slicesRepeat("SET a 1|GET big|GET big|GET big|GET big|GET big|GET big|GET big", 60),
				ridersBytesHard + 2*len(value)},
		} {
			var split []string
			for _, line := range c.lines {
				split = append(split, strings.Split(line, "|")...)
			}
			all, most := calls(split...), 0
			finished := false
			go func() {
				for done := 0; done < len(all); {
					out := command.NewReply(2, nil)
					done += n.store.Do(t.Context(), s.Session, all[done:], out)
					most = max(most, out.Len())
				}
				finished = true
			}()
			for !finished {
				n.settle()
				synctest.Wait()
			}
			if most > c.limit {
				t.Errorf("%s: %d bytes of answers at once, want at most %d", c.name, most, c.limit)
			}
		}
	})
}

func slicesRepeat(s string, n int) []string {
	var all []string
	for range n {
		all = append(all, s)
	}
	return all
}

// TestReadsSeeNothingSentAfterThem: a read that stands before a write of its submission is answered before it,
// however large the answers are and whatever becomes of the writes.
func TestReadsSeeNothingSentAfterThem(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s := n.session()
		big := strings.Repeat("v", ridersBytesMax)
		s.do("SET big "+big, "SET a 1")
		answers := s.do("SET x 1", "GET big", "GET big", "GET a", "SET a 2", "GET a")
		if want := "$1 1 +OK $1 2 "; !strings.HasSuffix(answers, want) {
			t.Errorf("the answers end in %q, want %q", answers[max(0, len(answers)-60):], want)
		}
	})
}

// TestSelectOfAnAbortedTransactionDoesNotHold: what follows it goes where it would have gone without it.
func TestSelectOfAnAbortedTransactionDoesNotHold(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s, other := n.session(), n.session()
		s.do("SET a 1", "WATCH a")
		other.do("SET a 2")
		expect(t, s.do("MULTI", "SELECT 1", "SET b 1", "EXEC", "SET x 1"), "+OK +QUEUED +QUEUED *-1 +OK ")
		expect(t, s.do("GET x"), "$1 1 ")
		expect(t, other.do("GET x"), "$1 1 ")
		expect(t, s.do("MULTI", "SELECT 1", "SET b 1", "EXEC", "SET x 2"), "+OK +QUEUED +QUEUED *2 +OK +OK +OK ")
		expect(t, other.do("GET x", "SELECT 1", "GET x"), "$1 1 +OK $1 2 ")
	})
}

// TestAbortedTransactionLeavesTheConnectionAsItWas: what a transaction says of its connection holds if it is carried
// out, for lines of the same submission too.
func TestAbortedTransactionLeavesTheConnectionAsItWas(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s, other := n.session(), n.session()
		s.do("SET a 1", "CLIENT SETNAME before", "WATCH a")
		other.do("SET a 2")
		expect(t, s.do("MULTI", "CLIENT SETNAME inside", "CLIENT NO-EVICT ON", "EXEC", "CLIENT GETNAME"),
			"+OK +QUEUED +QUEUED *-1 $6 before ")
		expect(t, s.do("MULTI", "CLIENT SETNAME inside", "SET a 3", "EXEC", "CLIENT GETNAME"),
			"+OK +QUEUED +QUEUED *2 +OK +OK $6 inside ")
	})
}

// TestRefusedTransactionLeavesTheConnectionAsItWas is about one that was queued when there was room on the disk.
func TestRefusedTransactionLeavesTheConnectionAsItWas(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s := n.session()
		s.do("MULTI", "SELECT 1", "CLIENT SETNAME inside", "SET a 1")
		n.store.SetDiskFull(true)
		if answer := s.do("EXEC"); !strings.HasPrefix(answer, "-DISKFULL") {
			t.Fatalf("EXEC is answered with %s", answer)
		}
		n.store.SetDiskFull(false)
		expect(t, s.do("CLIENT GETNAME", "SET b 1", "SELECT 1", "GET b"), "$-1 +OK +OK $-1 ")
	})
}

// TestExecOfReadsIsAnsweredOnce: an EXEC that no longer fits into what is sent at once has taken its
// transaction, so it cannot be left for the next call of Do.
func TestExecOfReadsIsAnsweredOnce(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		s := n.session()
		s.do("SET big "+strings.Repeat("v", ridersBytesMax), "SET a 1")
		answers := s.do("SET x 1", "GET big", "GET big", "MULTI", "GET a", "EXEC")
		if want := "*1 $1 1 "; !strings.HasSuffix(answers, want) {
			t.Errorf("the answers end in %q, want %q", answers[max(0, len(answers)-60):], want)
		}
	})
}

// TestFailedStoreDoesNothingMore: after an entry that cannot be applied nothing behind it is, and no
// checkpoint is made of a state with a hole.
func TestFailedStoreDoesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.settle()
		s := n.session()
		expect(t, s.do("SET a 1"), "+OK ")
		at := n.store.applied
		n.store.Apply(at.Term, []raft.Entry{{Term: at.Term, Index: at.Index + 1, Data: []byte{99, 0}}})
		if n.fatal == nil {
			t.Fatal("a damaged entry was applied")
		}
		write, read := s.start("SET a 3"), n.session().start("GET a")
		n.advance(n.limits.Deadline)
		expect(t, write.answers(t), "-UNCERTAIN "+errUncertain.Text+" ")
		expect(t, read.answers(t), "-TRYAGAIN "+errStopping.Text+" ")
		n.host.Stop()
		if err := n.store.Close(t.Context()); err == nil {
			t.Error("Close made a checkpoint of a state with a hole")
		}
		if index := n.store.LastCheckpoint().Index; index != 0 {
			t.Errorf("a checkpoint at %d was made of a state with a hole", index)
		}
	})
}
