package cluster

import (
	"testing"

	"github.com/primatomic/primatomic/raft"
)

// ballotOf is one with so many voters, 1 and following, of whom some are heard of.
func ballotOf(voters int, active ...raft.ReplicaID) *ballot {
	b := &ballot{active: map[raft.ReplicaID]bool{}}
	for i := range voters {
		b.voters = append(b.voters, raft.ReplicaID(i+1))
	}
	for _, r := range active {
		b.active[r] = true
	}
	return b
}

// TestBallot: what a change would do to the majority.
func TestBallot(t *testing.T) {
	const newcomer = 100
	tests := []struct {
		name string
		err  error
		may  bool
	}{
		{"the first of a lone voter", ballotOf(1, 1).mayPromote(), true},
		{"a third, both are there", ballotOf(2, 1, 2).mayPromote(), true},
		{"a third, one of two is lost", ballotOf(2, 1).mayPromote(), false},
		{"a fourth, all are there", ballotOf(3, 1, 2, 3).mayPromote(), true},
		{"a fourth, one is lost", ballotOf(3, 1, 2).mayPromote(), false},
		{"a fifth, one is lost", ballotOf(4, 1, 2, 3).mayPromote(), true},
		{"a fifth, two are lost", ballotOf(4, 1, 2).mayPromote(), false},
		{"a tenth", ballotOf(9, 1, 2, 3, 4, 5, 6, 7, 8, 9).mayPromote(), false},
		{"remove the only one", ballotOf(1, 1).mayRemove(1), false},
		{"remove the other one", ballotOf(2, 1, 2).mayRemove(2), true},
		{"remove oneself, of two", ballotOf(2, 1, 2).mayRemove(1), true},
		{"remove a lost one of three", ballotOf(3, 1, 2).mayRemove(3), true},
		{"remove a present one of three, one is lost", ballotOf(3, 1, 2).mayRemove(2), false},
		{"remove a lost one of five, two are lost", ballotOf(5, 1, 2, 3).mayRemove(5), true},
		{"remove a present one of five, two are lost", ballotOf(5, 1, 2, 3).mayRemove(3), false},
		{"replace a lost one of three", ballotOf(3, 1, 2, newcomer).mayReplace(3, newcomer), true},
		{"replace a present one, one is lost", ballotOf(3, 1, 2, newcomer).mayReplace(2, newcomer), true},
		{"by one that is not heard of", ballotOf(3, 1, 2).mayReplace(2, newcomer), false},
		{"replace without a majority", ballotOf(3, 1, newcomer).mayReplace(2, newcomer), false},
		{"replace the lone one", ballotOf(1, 1, newcomer).mayReplace(1, newcomer), true},
		{"a majority of one", ballotOf(1, 1).majority(), true},
		{"no majority of two", ballotOf(2, 1).majority(), false},
		{"a majority of three", ballotOf(3, 1, 3).majority(), true},
	}
	for _, tt := range tests {
		if (tt.err == nil) != tt.may {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
}

func TestCaughtUp(t *testing.T) {
	peer := raft.Peer{Replica: 2, Active: true, State: raft.PeerReplicating, Match: 5000}
	s := raft.Status{Replica: 1, Last: 5000 + promotionLag}
	for name, tt := range map[string]struct {
		change func(p *raft.Peer)
		up     bool
	}{
		"just":         {func(*raft.Peer) {}, true},
		"lags":         {func(p *raft.Peer) { p.Match-- }, false},
		"not heard of": {func(p *raft.Peer) { p.Active = false }, false},
		"in doubt":     {func(p *raft.Peer) { p.State = raft.PeerProbed }, false},
		"not known":    {func(p *raft.Peer) { p.Replica = 3 }, false},
	} {
		p := peer
		tt.change(&p)
		s.Peers = []raft.Peer{p}
		if err := caughtUp(&s, 2); (err == nil) != tt.up {
			t.Errorf("%s: %v", name, err)
		}
	}
}
