package store

import (
	"maps"
	"slices"

	"github.com/primatomic/primatomic/raft"
)

// ballotsMax is how many digests of each node are kept. A node that lags by more has its own compared with none.
const ballotsMax = 8

// membership is who belongs to the group.
type membership struct {
	voters, outgoing, learners []uint64 // outgoing: see raft.Status
}

func (s *Store) members() membership {
	status := s.group.Status()
	return membership{ids(status.Voters), ids(status.Outgoing), ids(status.Learners)}
}

func ids(replicas []raft.ReplicaID) []uint64 {
	all := make([]uint64, len(replicas))
	for i, r := range replicas {
		all[i] = uint64(r)
	}
	return all
}

// all returns every member once, in ascending order.
func (m membership) all() []uint64 {
	all := slices.Concat(m.voters, m.outgoing, m.learners)
	slices.Sort(all)
	return slices.Compact(all)
}

// ballots are the latest digests of the members of a group, and what was found by comparing them.
type ballots struct {
	of    map[uint64][]digest   // by node, the latest last
	told  map[uint64]raft.Index // up to where a node is known to be wrong, until it is found right again
	agree raft.Index            // the last at which a majority agreed with this node
	torn  raft.Index            // the last at which no majority can agree
}

// finding is what a digest has brought to light, each fact once.
type finding struct {
	self     bool     // this node is wrong
	wrong    []uint64 // other nodes that are, ascending
	disputed bool     // there are too many different digests for any majority
}

// enter takes a digest of a node into account. What does not come from a member is left out.
func (b *ballots) enter(node uint64, made digest, m membership, self uint64) finding {
	all := m.all()
	if !slices.Contains(all, node) {
		return finding{}
	}
	b.forget(all)
	kept := slices.DeleteFunc(b.of[node], func(d digest) bool { return d.index == made.index })
	if len(kept) == ballotsMax {
		kept = slices.Delete(kept, 0, 1)
	}
	b.of[node] = append(kept, made)
	return b.judge(made.index, all, m, self)
}

// confess takes a node's own word that it is wrong. It reports whether that was not known.
func (b *ballots) confess(node uint64, m membership) (first bool) {
	all := m.all()
	b.forget(all)
	if _, known := b.told[node]; known || !slices.Contains(all, node) {
		return false
	}
	b.told[node] = 0
	return true
}

// forget drops who is no member any more.
func (b *ballots) forget(all []uint64) {
	if b.of == nil {
		b.of, b.told = map[uint64][]digest{}, map[uint64]raft.Index{}
	}
	gone := func(node uint64) bool { return !slices.Contains(all, node) }
	maps.DeleteFunc(b.of, func(node uint64, _ []digest) bool { return gone(node) })
	maps.DeleteFunc(b.told, func(node uint64, _ raft.Index) bool { return gone(node) })
}

// judge compares what is known of one index.
func (b *ballots) judge(index raft.Index, all []uint64, m membership, self uint64) finding {
	cast := map[uint64]digest{}
	for _, node := range all {
		for _, d := range b.of[node] {
			if d.index == index {
				cast[node] = d
			}
		}
	}
	var f finding
	right, agreed := majority(cast, m.voters)
	if len(m.outgoing) > 0 {
		before, alsoAgreed := majority(cast, m.outgoing)
		agreed = agreed && alsoAgreed && before == right
	}
	if !agreed {
		f.disputed = index > b.torn && (hopeless(cast, m.voters) || hopeless(cast, m.outgoing))
		if f.disputed {
			b.torn = index
		}
		return f
	}
	for _, node := range all {
		d, known := cast[node]
		switch {
		case !known:
		case d == right:
			if node == self {
				b.agree = max(b.agree, index)
			}
			if b.told[node] < index {
				delete(b.told, node)
			}
		case node == self:
			f.self = true
		case b.told[node] < index:
			b.told[node] = index
			f.wrong = append(f.wrong, node)
		}
	}
	return f
}

// majority returns the digest that more than half of the voters have.
func majority(cast map[uint64]digest, voters []uint64) (right digest, ok bool) {
	counts := map[digest]int{}
	for _, voter := range voters {
		if d, known := cast[voter]; known {
			counts[d]++
			if counts[d] > len(voters)/2 {
				return d, true
			}
		}
	}
	return digest{}, false
}

// hopeless reports whether no digest can reach a majority any more, whatever the voters say that have not yet.
func hopeless(cast map[uint64]digest, voters []uint64) bool {
	if len(voters) == 0 {
		return false
	}
	counts, most, missing := map[digest]int{}, 0, 0
	for _, voter := range voters {
		d, known := cast[voter]
		if !known {
			missing++
			continue
		}
		counts[d]++
		most = max(most, counts[d])
	}
	return most+missing <= len(voters)/2
}

// nodeName is how a node is named to people who know it by nothing else.
func nodeName(node uint64) string { return raft.ReplicaID(node).String() }
