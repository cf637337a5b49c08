package engine

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeAgainstMap inserts and deletes runs of keys, long enough for three levels of nodes.
func TestTreeAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := newTree(keyLess)
		have := map[string]*item{}
		run := func(t *rapid.T) (keys []string) {
			first, count := rapid.IntRange(0, 6000).Draw(t, "first"), rapid.IntRange(0, 2000).Draw(t, "count")
			stride := rapid.SampledFrom([]int{1, -1, 7, 613}).Draw(t, "stride")
			for i := range count {
				keys = append(keys, fmt.Sprintf("k%04d", ((first+i*stride)%8000+8000)%8000))
			}
			return keys
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				for _, key := range run(t) {
					have[key] = newItem([]byte(key), 0, 0)
					order.set(have[key])
				}
			},
			"delete": func(t *rapid.T) {
				for _, key := range run(t) {
					order.delete(newItem([]byte(key), 0, 0))
					delete(have, key)
				}
			},
			"load": func(t *rapid.T) {
				order = loadTree(keyLess, itemsOf(order.seek(nil)))
			},
			"seek": func(t *rapid.T) {
				from := fmt.Sprintf("k%04d", rapid.IntRange(0, 8001).Draw(t, "from"))
				keys := slices.Sorted(maps.Keys(have))
				at, found := slices.BinarySearch(keys, from)
				pivot := newItem([]byte(from), 0, 0)
				if got := order.get(pivot); (got != nil) != found || got != have[from] {
					t.Fatalf("get finds %v, want %v", got, found)
				}
				if got := itemsOf(order.seek(pivot)); len(got) != len(keys)-at ||
					len(got) > 0 && string(got[0].key()) != keys[at] {
					t.Fatalf("seek gives %d items, want %d", len(got), len(keys)-at)
				}
			},
			"": func(t *rapid.T) {
				if err := order.check(); err != nil {
					t.Fatal(err)
				}
				got := itemsOf(order.seek(nil))
				if len(got) != len(have) {
					t.Fatalf("%d items, want %d", len(got), len(have))
				}
				for _, it := range got {
					if have[string(it.key())] != it {
						t.Fatalf("key %q has an old item", it.key())
					}
				}
			},
		})
	})
}

func itemsOf(p iterator) (items []*item) {
	for ; p.item() != nil; p.next() {
		items = append(items, p.item())
	}
	return items
}
