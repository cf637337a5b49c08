package cluster

import (
	"slices"

	"github.com/primatomic/primatomic/raft"
)

// votersMax bounds the voters of a cluster. Who joins beyond it stays a learner.
const votersMax = foundersMax

// promotionLag is how many entries a learner may lack and still be called caught up.
const promotionLag = 1024

// ballot is who can vote, as the leader sees it.
type ballot struct {
	voters []raft.ReplicaID
	// active are those the leader has heard of lately, itself among them.
	active map[raft.ReplicaID]bool
}

// newBallot reads it off the leader's status.
func newBallot(s *raft.Status) ballot {
	b := ballot{voters: voters(s), active: map[raft.ReplicaID]bool{s.Replica: true}}
	for i := range s.Peers {
		if s.Peers[i].Active {
			b.active[s.Peers[i].Replica] = true
		}
	}
	return b
}

func containsReplica(all []raft.ReplicaID, r raft.ReplicaID) bool { return slices.Contains(all, r) }

func quorum(voters int) int { return voters/2 + 1 }

// reached counts the active ones among voters.
func (b *ballot) reached(voters []raft.ReplicaID) int {
	reached := 0
	for _, v := range voters {
		if b.active[v] {
			reached++
		}
	}
	return reached
}

// majority tells why no change can be made at all: it takes a majority of the present voters. nil if there is one.
func (b *ballot) majority() error {
	if reached := b.reached(b.voters); reached < quorum(len(b.voters)) {
		return refuse(Refused, "only %d of the %d voters are heard of, and without a majority nothing can be changed: "+
			"bring the others back first", reached, len(b.voters))
	}
	return nil
}

// mayPromote tells why a learner must not become a voter; nil if it may. The newcomer counts as lost: if it were,
// the others must still be a majority. A lone voter has no choice.
func (b *ballot) mayPromote() error {
	if err := b.majority(); err != nil {
		return err
	}
	n := len(b.voters) + 1
	reached := b.reached(b.voters)
	switch {
	case n > votersMax:
		return refuse(Refused, "a cluster has at most %d voters", votersMax)
	case n > 2 && reached < quorum(n):
		return refuse(Refused, "with one voter more, %d of %d are a majority, and only %d of the present ones are "+
			"heard of: bring the others back, or remove those that are lost", quorum(n), n, reached)
	}
	return nil
}

// mayRemove tells why a voter must not be removed; nil if it may.
func (b *ballot) mayRemove(victim raft.ReplicaID) error {
	left := slices.DeleteFunc(slices.Clone(b.voters), func(v raft.ReplicaID) bool { return v == victim })
	reached := b.reached(left)
	switch {
	case len(left) == 0:
		return refuse(Refused, "it is the only voter")
	case reached < quorum(len(left)):
		return refuse(Refused, "of the %d voters that would be left only %d are heard of, which is no majority: bring "+
			"the others back first", len(left), reached)
	}
	return nil
}

// mayReplace tells why a voter's place must not be given to a learner; nil if it may.
func (b *ballot) mayReplace(old, successor raft.ReplicaID) error {
	if err := b.majority(); err != nil {
		return err
	}
	after := slices.DeleteFunc(slices.Clone(b.voters), func(v raft.ReplicaID) bool { return v == old })
	after = append(after, successor)
	if reached := b.reached(after); reached < quorum(len(after)) {
		return refuse(Refused, "of the %d voters that there would be only %d are heard of, which is no majority",
			len(after), reached)
	}
	return nil
}

// caughtUp tells why a learner has not caught up yet; nil if it has.
func caughtUp(s *raft.Status, learner raft.ReplicaID) error {
	for i := range s.Peers {
		p := &s.Peers[i]
		if p.Replica != learner {
			continue
		}
		lag := uint64(s.Last) - min(uint64(p.Match), uint64(s.Last))
		switch {
		case !p.Active:
			return refuse(Refused, "the leader does not hear of it")
		case p.State != raft.PeerReplicating || lag > promotionLag:
			return refuse(Refused, "it has not caught up yet: it lacks %d entries", lag)
		}
		return nil
	}
	return refuse(Refused, "the leader does not know it yet")
}
