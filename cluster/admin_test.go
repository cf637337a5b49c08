package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
)

// fakeGroup leads and does as it is told.
type fakeGroup struct {
	status  raft.Status
	change  func(changes []raft.Change) error
	changes int
}

func (g *fakeGroup) Status() raft.Status { return g.status }

func (g *fakeGroup) ProposeMember(_ context.Context, m raft.Member) error {
	g.status.Charter.Members = []raft.Member{m}
	return nil
}

func (g *fakeGroup) ProposeConfChange(_ context.Context, changes ...raft.Change) error {
	g.changes++
	return g.change(changes)
}

func (g *fakeGroup) Transfer(context.Context, raft.ReplicaID) error { return raft.ErrTransferFailed }
func (g *fakeGroup) ProposeReads(context.Context, raft.Reads) error { return nil }

func peerProgress(r raft.ReplicaID, active bool) raft.Peer {
	return raft.Peer{Replica: r, Active: active, State: raft.PeerReplicating, Match: 10}
}

// leading is node 1, which has led for a while, with the voters 2 and 3 and the learner 4.
func leading(t *testing.T) (*Node, *fakeGroup) {
	t.Helper()
	g := &fakeGroup{status: raft.Status{
		Replica: 1, Leader: 1, Role: raft.RoleLeader, Term: 7, Last: 10,
		Voters: []raft.ReplicaID{1, 2, 3}, Learners: []raft.ReplicaID{4},
		Peers: []raft.Peer{peerProgress(2, true), peerProgress(3, true), peerProgress(4, true)},
	}}
	n := &Node{
		self: disk{1, 101}, clock: clock.System, logger: slog.New(slog.DiscardHandler), group: g,
		ledTerm: 7, ledFrom: clock.System.Boot() - 2*freshFor,
	}
	for i := range uint64(4) {
		digit := string('1' + rune(i))
		n.record.Members = append(n.record.Members, Member{
			Node: i + 1, Incarnation: i + 101, Name: "n" + digit, Peer: "h:" + digit,
		})
	}
	n.peers = n.record.Members
	n.ctx, n.cancel = context.WithCancel(t.Context())
	return n, g
}

func verdict(t *testing.T, err error) (Verdict, string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return r.Verdict, r.Reason
}

// TestUncertainStaysSo: what may have happened is not called refused because another attempt was.
func TestUncertainStaysSo(t *testing.T) {
	n, g := leading(t)
	g.change = func([]raft.Change) error {
		for i := range g.status.Peers {
			g.status.Peers[i].Active = false // and it is not heard of any more what became of it
		}
		return context.DeadlineExceeded
	}
	v, reason := verdict(t, n.change(t.Context(), time.Minute, adminChange{Verb: verbRemove, Node: 3}))
	if v != Uncertain || !strings.Contains(reason, "majority") || !strings.Contains(reason, "may have happened") {
		t.Errorf("%s: %s", v, reason)
	}
	if g.changes != 1 {
		t.Errorf("proposed %d times", g.changes)
	}
	v, reason = verdict(t, n.change(t.Context(), time.Minute, adminChange{Verb: verbRemove, Node: 3}))
	if v != Refused {
		t.Errorf("asked anew, %s: %s", v, reason)
	}
}

// TestReplaceGoesOn: a replacement that has been noted happens when it can, so the answer does not say that nothing
// was changed.
func TestReplaceGoesOn(t *testing.T) {
	replace := adminChange{Verb: verbReplace, Node: 3, New: 4}
	n, g := leading(t)
	g.status.Peers[2].State, g.status.Peers[2].Match = raft.PeerNeedsSnapshot, 0
	v, reason := verdict(t, n.change(t.Context(), 3*changePause/2, replace))
	if v != Uncertain || !strings.Contains(reason, "caught up") {
		t.Errorf("a learner that does not catch up: %s: %s", v, reason)
	}

	n, g = leading(t)
	g.change = func(changes []raft.Change) error {
		if len(changes) != 2 || changes[0].Replica != 4 || changes[1].Replica != 3 {
			t.Errorf("proposed: %v", changes)
		}
		g.status.Voters, g.status.Learners = []raft.ReplicaID{1, 2, 4}, nil
		g.status.Charter.Removed = []raft.ReplicaID{3}
		return nil
	}
	if err := n.change(t.Context(), time.Minute, replace); err != nil {
		t.Error(err)
	}
	if err := n.change(t.Context(), time.Minute, replace); err != nil || g.changes != 1 {
		t.Errorf("asked once more: %v, proposed %d times", err, g.changes)
	}
}

// TestWrongLearnerStaysOne: a learner whose data is wrong has the whole log all the same, and must not become a voter,
// by itself or by request, nor take anybody's place.
func TestWrongLearnerStaysOne(t *testing.T) {
	n, g := leading(t)
	n.options.Wrong = func(node uint64) bool { return node == 4 }
	g.change = func(changes []raft.Change) error {
		t.Errorf("proposed: %v", changes)
		return nil
	}
	n.promoteOne()
	v, reason := verdict(t, n.change(t.Context(), time.Minute, adminChange{Verb: verbPromote, Node: 4}))
	if v != Refused || !strings.Contains(reason, "quarantine") {
		t.Errorf("promote, %s: %s", v, reason)
	}
	v, reason = verdict(t, n.change(t.Context(), 3*changePause/2, adminChange{Verb: verbReplace, Node: 3, New: 4}))
	if v != Uncertain || !strings.Contains(reason, "quarantine") {
		t.Errorf("replace, %s: %s", v, reason)
	}
}
