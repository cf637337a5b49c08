package raft

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// outcome waits for an order and returns its outcome.
func (c *cluster) outcome(p *Pending) error {
	c.t.Helper()
	c.until("the order is settled", func() bool { return done(p) })
	return p.Err()
}

// TestMembers: what is settled about a replica is the same everywhere, ends with its removal, and survives a restart.
func TestMembers(t *testing.T) {
	c := newCluster(t, 1, 1, 2, 3)
	leader := c.elect()
	for _, id := range []ReplicaID{3, 1, 2, 9} {
		if err := c.outcome(leader.group.StartMember(Member{id, []byte{byte(id)}})); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.outcome(leader.group.StartMember(Member{9, nil})); err != nil {
		t.Fatal(err)
	}
	gone := c.order[slices.IndexFunc(c.order, func(id ReplicaID) bool { return id != leader.replica })]
	if err := c.outcome(leader.group.StartConfChange(Change{RemoveReplica, gone})); err != nil {
		t.Fatal(err)
	}
	c.pass(200 * time.Millisecond)
	for _, id := range c.order {
		charter := c.nodes[id].group.Status().Charter
		if id == gone {
			continue // it may not have learnt of it
		}
		if len(charter.Members) != 2 || !slices.Equal(charter.Removed, []ReplicaID{gone}) ||
			!charter.HasRemoved(gone) || charter.Member(gone) != nil ||
			string(charter.Member(id)) != string([]byte{byte(id)}) {
			t.Fatalf("replica %d: %+v", id, charter)
		}
	}
	for what, p := range map[string]*Pending{
		"a removed replica is added":    leader.group.StartConfChange(Change{AddLearner, gone}),
		"a removed replica is a member": leader.group.StartMember(Member{gone, []byte("x")}),
		"a member with too much data":   leader.group.StartMember(Member{2, make([]byte, MemberBytesMax+1)}),
		"a member with a reserved id":   leader.group.StartMember(Member{0, []byte("x")}),
	} {
		if err := c.outcome(p); err == nil {
			t.Errorf("%s", what)
		}
	}
	n := c.nodes[leader.replica]
	n.restart(100, n.machine.clone())
	if charter := n.group.Status().Charter; !charter.HasRemoved(gone) || len(charter.Members) != 2 {
		t.Fatalf("after the restart: %+v", charter)
	}
}

func TestMembersRefused(t *testing.T) {
	tests := []struct {
		name   string
		member Member
		want   error
	}{
		{"reserved id", Member{0, []byte("x")}, ErrMemberInvalid},
		{"too much data", Member{1, make([]byte, MemberBytesMax+1)}, ErrMemberInvalid},
		{"fits", Member{1, make([]byte, MemberBytesMax)}, nil},
	}
	for _, tt := range tests {
		n := newNode(t).found(1).start()
		n.settle()
		p := n.group.StartMember(tt.member)
		n.settle()
		if !done(p) || !errors.Is(p.Err(), tt.want) {
			t.Errorf("%s: %v", tt.name, p.Err())
		}
	}
	n := newNode(t).found(1).start()
	n.settle()
	change := n.group.StartConfChange(Change{AddLearner, 2})
	beside := n.group.StartMember(Member{1, []byte("x")})
	n.settle()
	if change.Err() != nil || !errors.Is(beside.Err(), ErrConfChangePending) {
		t.Errorf("beside a change: %v, %v", change.Err(), beside.Err())
	}
	for r := range MembersMax {
		p := n.group.StartMember(Member{ReplicaID(r + 1), []byte("x")})
		n.settle()
		if !done(p) || p.Err() != nil {
			t.Fatalf("member %d: %v", r+1, p.Err())
		}
	}
	p := n.group.StartMember(Member{MembersMax + 1, []byte("x")})
	n.settle()
	if !errors.Is(p.Err(), ErrMemberInvalid) {
		t.Errorf("one member too many: %v", p.Err())
	}
	p = n.group.StartMember(Member{1, []byte("y")})
	n.host.Stop()
	if !errors.Is(p.Err(), ErrStopped) {
		t.Errorf("stopped: %v", p.Err())
	}
}

// TestPeers: a leader knows who follows, how far, and who has gone.
func TestPeers(t *testing.T) {
	c := newCluster(t, 3, 1, 2, 3)
	leader := c.elect()
	leader.propose(1, 2, 3)
	c.pass(300 * time.Millisecond)
	s := leader.group.Status()
	if len(s.Peers) != 2 {
		t.Fatalf("%+v", s.Peers)
	}
	for _, p := range s.Peers {
		if !p.Active || p.Match != s.Last || p.State != PeerReplicating || p.Learner || p.Replica == leader.replica {
			t.Errorf("%+v, the last entry is %d", p, s.Last)
		}
	}
	away := s.Peers[0].Replica
	c.cut[away] = true
	c.until("the one that is cut off is no longer active", func() bool {
		peers := leader.group.Status().Peers
		return len(peers) == 2 && !peers[0].Active && peers[1].Active
	})
	c.cut[away], c.cut[leader.replica] = false, true
	c.until("another leads", func() bool { n := c.leader(); return n != nil && n != leader })
	c.cut[leader.replica] = false
	c.until("the old leader shows no peers", func() bool {
		s := leader.group.Status()
		return s.Role == RoleFollower && len(s.Peers) == 0
	})
}
