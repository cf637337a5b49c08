package engine

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// hashMasks make hashes collide in every way that the index has to bear.
var hashMasks = []struct {
	name string
	mask uint64
}{
	{"all bits", ^uint64(0)},
	{"six top bits", 0xfc << 56},
	{"no top bits", 1<<44 - 1},
	{"only bits below the last level", 1<<24 - 1},
	{"only bits below the cursor", 1<<12 - 1},
	{"only tags", 0xff},
	{"all equal", 0},
}

func testIndex(mask uint64) *index {
	x := newIndex([16]byte{7})
	x.mask = mask
	return &x
}

func fillIndex(x *index, n int) []*item {
	items := make([]*item, n)
	for i := range items {
		items[i] = newItem(fmt.Appendf(nil, "key-%d", i), 0, 0)
		x.insert(x.hash(items[i].key()), items[i])
	}
	return items
}

// TestIndexGrowsAndShrinks fills and empties an index, and finds it at the end as small as it began.
func TestIndexGrowsAndShrinks(t *testing.T) {
	for _, c := range hashMasks {
		t.Run(c.name, func(t *testing.T) {
			x := testIndex(c.mask)
			items := fillIndex(x, 5000)
			if err := x.check(); err != nil {
				t.Fatal(err)
			}
			for i, it := range items {
				if x.find(x.hash(it.key()), it.key()) != it {
					t.Fatalf("key %q is lost", it.key())
				}
				x.remove(x.hash(it.key()), it)
				if i%500 == 0 {
					if err := x.check(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := x.check(); err != nil {
				t.Fatal(err)
			}
			if x.count != 0 || c.mask != 0 && len(x.root.entries) > 2 {
				t.Fatalf("%d items, %d entries are left", x.count, len(x.root.entries))
			}
		})
	}
}

// TestIndexGrowsDownwards needs more buckets than the first directory has entries.
func TestIndexGrowsDownwards(t *testing.T) {
	x := testIndex(^uint64(0))
	items := fillIndex(x, 100_000)
	if err := x.check(); err != nil {
		t.Fatal(err)
	}
	for _, it := range items[100:] {
		x.remove(x.hash(it.key()), it)
	}
	if err := x.check(); err != nil {
		t.Fatal(err)
	}
	if len(x.root.entries) > 64 {
		t.Fatalf("%d entries for 100 items", len(x.root.entries))
	}
}

// TestIndexAgainstMap walks in hash order while keys come and go.
func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := testIndex(rapid.SampledFrom(hashMasks).Draw(t, "mask").mask)
		have := map[string]*item{}
		t.Repeat(map[string]func(*rapid.T){
			"toggle": func(t *rapid.T) {
				first := rapid.IntRange(0, 300).Draw(t, "first")
				for i := first; i < first+rapid.IntRange(1, 60).Draw(t, "count"); i++ {
					toggle(x, have, fmt.Sprintf("k%d", i))
				}
			},
			"walk": func(t *rapid.T) {
				from := rapid.Uint64().Draw(t, "from") & x.mask
				var got, want []hashed
				x.walk(from, func(hash uint64, it *item) bool {
					got = append(got, hashed{hash, it})
					return true
				})
				for _, it := range have {
					if h := x.hash(it.key()); h >= from {
						want = append(want, hashed{h, it})
					}
				}
				slices.SortFunc(want, compareHashed)
				if !slices.Equal(got, want) {
					t.Fatalf("walk gives %d items, want %d", len(got), len(want))
				}
			},
			"": func(t *rapid.T) {
				if err := x.check(); err != nil {
					t.Fatal(err)
				}
				if x.count != len(have) {
					t.Fatalf("%d items, want %d", x.count, len(have))
				}
			},
		})
	})
}

// toggle removes the key, or inserts it if it is absent.
func toggle(x *index, have map[string]*item, key string) {
	hash := x.hash([]byte(key))
	if it := x.find(hash, []byte(key)); it != nil {
		x.remove(hash, it)
		delete(have, key)
		return
	}
	have[key] = newItem([]byte(key), 0, 0)
	x.insert(hash, have[key])
}
