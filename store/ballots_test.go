package store

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/raft"
)

// cast is a digest of index 7 that is told apart by one byte.
func cast(sum byte) digest { return digest{term: 2, index: 7, sum: [32]byte{sum}} }

func TestBallots(t *testing.T) {
	const self = 1
	three := membership{voters: []uint64{1, 2, 3}}
	tests := []struct {
		name    string
		members membership
		cast    map[uint64]byte // by node; entered in ascending order
		want    finding         // of all of them together
	}{
		{"all alike", three, map[uint64]byte{1: 1, 2: 1, 3: 1}, finding{}},
		{"no majority yet", three, map[uint64]byte{1: 1, 2: 2}, finding{}},
		{"this node is wrong", three, map[uint64]byte{1: 1, 2: 2, 3: 2}, finding{self: true}},
		{"another is wrong", three, map[uint64]byte{1: 1, 2: 1, 3: 2}, finding{wrong: []uint64{3}}},
		{"this node says nothing", three, map[uint64]byte{2: 1, 3: 1}, finding{}},
		{"all differ", three, map[uint64]byte{1: 1, 2: 2, 3: 3}, finding{disputed: true}},
		{"two differ", membership{voters: []uint64{1, 2}}, map[uint64]byte{1: 1, 2: 2}, finding{disputed: true}},
		{"a learner is wrong", membership{voters: []uint64{1, 2, 3}, learners: []uint64{4}},
			map[uint64]byte{1: 1, 2: 1, 4: 2}, finding{wrong: []uint64{4}}},
		{"learners have no vote", membership{voters: []uint64{1, 2, 3}, learners: []uint64{4, 5}},
			map[uint64]byte{1: 1, 4: 2, 5: 2}, finding{}},
		{"this learner is wrong", membership{voters: []uint64{2}, learners: []uint64{1}},
			map[uint64]byte{1: 1, 2: 2}, finding{self: true}},
		{"strangers have none", three, map[uint64]byte{1: 1, 8: 2, 9: 2}, finding{}},
		{"five, two wrong", membership{voters: []uint64{1, 2, 3, 4, 5}},
			map[uint64]byte{1: 1, 2: 1, 3: 2, 4: 3, 5: 1}, finding{wrong: []uint64{3, 4}}},
		{"five, two against two", membership{voters: []uint64{1, 2, 3, 4, 5}},
			map[uint64]byte{1: 1, 2: 1, 3: 2, 4: 2, 5: 3}, finding{disputed: true}},
		{"joint, agreed in both", membership{voters: []uint64{1, 2, 4}, outgoing: []uint64{1, 2, 3}},
			map[uint64]byte{1: 2, 2: 1, 3: 1, 4: 1}, finding{self: true}},
		{"joint, agreed in one", membership{voters: []uint64{1, 4, 5}, outgoing: []uint64{1, 2, 3}},
			map[uint64]byte{1: 1, 4: 2, 5: 2}, finding{}},
		{"joint, one against the other", membership{voters: []uint64{4, 5, 6}, outgoing: []uint64{1, 2, 3}},
			map[uint64]byte{1: 1, 2: 1, 4: 2, 5: 2}, finding{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // in the order that the map happens to have
				var b ballots
				var got finding
				for node, sum := range tt.cast {
					f := b.enter(node, cast(sum), tt.members, self)
					got.self, got.disputed = got.self || f.self, got.disputed || f.disputed
					got.wrong = append(got.wrong, f.wrong...)
				}
				slices.Sort(got.wrong)
				same := got.self == tt.want.self && got.disputed == tt.want.disputed
				if !same || !slices.Equal(got.wrong, tt.want.wrong) {
					t.Fatalf("found %+v, want %+v", got, tt.want)
				}
			}
		})
	}
}

// Whatever is said in whatever order: nothing is found unless a majority stands behind it, nodes that agree are
// never accused, and what is kept is bounded.
func TestBallotsOfAnyKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		voters := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 6), 1, 5, rapid.ID[uint64]).Draw(t, "voters")
		members := membership{voters: voters}
		said := map[raft.Index]map[uint64]digest{}
		var b ballots
		for range rapid.IntRange(1, 60).Draw(t, "reports") {
			node := rapid.Uint64Range(1, 7).Draw(t, "node")
			made := digest{index: raft.Index(rapid.IntRange(1, 12).Draw(t, "index"))}
			made.sum[0] = rapid.Byte().Draw(t, "sum") % 2
			f := b.enter(node, made, members, 1)
			if said[made.index] == nil {
				said[made.index] = map[uint64]digest{}
			}
			if slices.Contains(voters, node) {
				said[made.index][node] = made
			}
			right, agreed := majority(said[made.index], voters)
			switch {
			case len(b.of) > len(voters):
				t.Fatalf("digests of %d nodes are kept", len(b.of))
			case len(b.of[node]) > ballotsMax:
				t.Fatalf("%d digests of a node are kept", len(b.of[node]))
			case f.self && (!agreed || said[made.index][1] == right):
				t.Fatal("this node is accused")
			case f.disputed && agreed:
				t.Fatal("a majority agrees and it is called a dispute")
			}
			for _, wrong := range f.wrong {
				if d, known := said[made.index][wrong]; !agreed || !known || d == right || wrong == 1 {
					t.Fatalf("node %d is accused", wrong)
				}
			}
		}
	})
}

func TestWrongNodeIsToldOnceAndForgotten(t *testing.T) {
	var b ballots
	members := membership{voters: []uint64{1, 2, 3}}
	enter := func(index raft.Index, node uint64, sum byte) finding {
		return b.enter(node, digest{index: index, sum: [32]byte{sum}}, members, 1)
	}
	enter(7, 1, 1)
	enter(7, 2, 1)
	if f := enter(7, 3, 9); !slices.Equal(f.wrong, []uint64{3}) {
		t.Fatalf("found %+v", f)
	}
	if f := enter(7, 3, 9); f.wrong != nil {
		t.Error("told twice")
	}
	enter(8, 1, 1)
	enter(8, 2, 1)
	if enter(8, 3, 1); len(b.told) != 0 || b.agree != 8 {
		t.Errorf("it is right again, but %v is told, agreed at %d", b.told, b.agree)
	}
	enter(9, 1, 1)
	enter(9, 2, 1)
	enter(9, 3, 9)
	members = membership{voters: []uint64{1, 2}}
	if enter(10, 1, 1); len(b.told) != 0 || len(b.of) != 2 {
		t.Error("a node that was removed is remembered")
	}
}
