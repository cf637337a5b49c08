package store

import (
	"slices"
	"testing"

	"github.com/primatomic/primatomic/raft"
)

// FuzzBallots counts digests that come in any order, twice, contradict each other or are of no member, beside a count
// that is made anew each time. A node finds itself wrong only if a majority says so, and keeps a bounded number.
func FuzzBallots(f *testing.F) {
	f.Add([]byte{1, 1, 0, 2, 1, 1, 3, 1, 1})
	f.Add([]byte{0x81, 1, 0, 2, 1, 1, 3, 1, 1, 4, 1, 2, 5, 1, 1})
	f.Add([]byte{1, 1, 0, 2, 1, 1, 3, 1, 2, 0x42, 1, 0, 1, 2, 3, 2, 2, 3})
	f.Fuzz(func(t *testing.T, steps []byte) {
		m := membership{voters: []uint64{1, 2, 3}, learners: []uint64{4}}
		if len(steps) > 0 && steps[0]&0x80 != 0 { // a joint configuration
			m.outgoing = []uint64{1, 2, 5}
		}
		b := ballots{of: map[uint64][]digest{}, told: map[uint64]raft.Index{}}
		cast := map[uint64]map[raft.Index]digest{}
		for ; len(steps) >= 3; steps = steps[3:] {
			node, index := uint64(steps[0]&7), raft.Index(steps[1]&15)
			if steps[0]&0x40 != 0 {
				if first := b.confess(node, m); first && !slices.Contains(m.all(), node) {
					t.Fatalf("%d is no member and is believed", node)
				}
				continue
			}
			d := digest{index: index, term: 1, sum: [32]byte{steps[2] & 3}}
			found := b.enter(node, d, m, 1)
			if !slices.Contains(m.all(), node) {
				if found.self || found.disputed || len(found.wrong) > 0 {
					t.Fatalf("%d is no member and brings %+v to light", node, found)
				}
				continue
			}
			if cast[node] == nil {
				cast[node] = map[raft.Index]digest{}
			}
			cast[node][index] = d
			kept := map[uint64]digest{}
			for of, digests := range b.of {
				if len(digests) > ballotsMax || !slices.Contains(m.all(), of) {
					t.Fatalf("%d digests of node %d are kept", len(digests), of)
				}
				for _, one := range digests {
					if cast[of][one.index] != one {
						t.Fatalf("node %d has not said %+v last", of, one)
					}
					if one.index == index {
						kept[of] = one
					}
				}
			}
			against := func(voters []uint64, victim uint64) bool {
				for sum := range byte(4) {
					right, votes := digest{index: index, term: 1, sum: [32]byte{sum}}, 0
					for _, v := range voters {
						if kept[v] == right {
							votes++
						}
					}
					if votes > len(voters)/2 {
						return kept[victim] != right
					}
				}
				return len(voters) == 0
			}
			for _, victim := range append(found.wrong, 1) {
				wrong := victim != 1 || found.self
				if sure := against(m.voters, victim) && against(m.outgoing, victim); wrong && !sure {
					t.Fatalf("node %d is found wrong at %d: %+v", victim, index, kept)
				} else if _, told := kept[victim]; victim == 1 && told && sure && !wrong && len(m.outgoing) == 0 {
					t.Fatalf("this node is wrong at %d and does not find it: %+v", index, kept)
				}
			}
		}
	})
}
