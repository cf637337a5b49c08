package command

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"testing"
)

// page asks for a part of the keys and returns what is beside them, the cursor of SCAN, and the keys.
func page(t *testing.T, l *local, args ...[]byte) (cursor uint64, keys []string) {
	t.Helper()
	v, rest, err := ParseValue(l.do(args...))
	if err != nil || len(rest) > 0 {
		t.Fatalf("%q: bad answer", args)
	}
	if len(v.Elems) == 2 && v.Elems[1].Elems != nil || string(args[0]) == "SCAN" {
		if cursor, err = strconv.ParseUint(string(v.Elems[0].Bytes), 10, 64); err != nil {
			t.Fatal(err)
		}
		v = v.Elems[1]
	}
	for i := range v.Elems {
		keys = append(keys, string(v.Elems[i].Bytes))
	}
	return cursor, keys
}

// FuzzPages walks over any keys page by page while others come and go: SCAN ends, and shows every key that was there
// all the time, from the start and from a cursor that nobody gave; pages of LISTKEYS are the whole list, in order.
func FuzzPages(f *testing.F) {
	f.Add([]byte("a\x00b\x00c\x00d\x00e"), uint8(1), uint64(1))
	f.Add([]byte("k\x00kk\x00\xff\x00\xff\xff\x00*"), uint8(2), uint64(1)<<52)
	f.Add([]byte("\x00"), uint8(0), ^uint64(0))
	registry := NewRegistry()
	f.Fuzz(func(t *testing.T, data []byte, size uint8, anywhere uint64) {
		l := newLocalWith(registry)
		stay, churn := map[string]bool{}, [][]byte{}
		for i, key := range bytes.Split(data, []byte{0}) {
			if len(key) == 0 || len(key) > 1024 || i > 200 {
				continue
			}
			l.do([]byte("SET"), key, []byte("v"))
			if i%2 == 0 {
				stay[string(key)] = true
			} else {
				churn = append(churn, key)
			}
		}
		count := strconv.AppendInt(nil, int64(size%20)+1, 10)
		for _, from := range []uint64{0, anywhere} {
			seen, steps := map[string]bool{}, 0
			for cursor, begun := from, false; !begun || cursor != 0; steps++ {
				text := strconv.AppendUint(nil, cursor, 10)
				if from != 0 && !begun && !bytes.HasPrefix(l.do([]byte("SCAN"), text), []byte("*")) {
					break // no cursor that SCAN gives
				}
				var keys []string
				cursor, keys = page(t, l, []byte("SCAN"), text, []byte("COUNT"), count)
				if begun = true; cursor >= 1<<53 || steps > 500 {
					t.Fatalf("cursor %d after %d steps", cursor, steps)
				}
				for _, key := range keys {
					seen[key] = true
				}
				for i, key := range churn {
					if (i+steps)%3 == 0 && !stay[string(key)] {
						l.do([]byte("DEL"), key)
					} else {
						l.do([]byte("SET"), key, []byte("v"))
					}
				}
			}
			for key := range stay {
				if from == 0 && !seen[key] {
					t.Fatalf("%q was there all the time and was not shown", key)
				}
			}
		}
		_, all := page(t, l, []byte("LISTKEYS"), nil)
		if !slices.IsSorted(all) || len(all) < len(stay) {
			t.Fatalf("the list %q of %q", all, slices.Collect(maps.Keys(stay)))
		}
		var pages []string
		args := [][]byte{[]byte("LISTKEYS"), nil, []byte("LIMIT"), count}
		for {
			_, keys := page(t, l, args...)
			if len(keys) == 0 {
				break
			}
			pages = append(pages, keys...)
			last := keys[len(keys)-1]
			args = [][]byte{[]byte("LISTKEYS"), nil, []byte("AFTER"), []byte(last), []byte("LIMIT"), count}
		}
		if !slices.Equal(pages, all) {
			t.Fatalf("pages %q of %q", pages, all)
		}
	})
}
