package command

import (
	"bytes"

	"github.com/primatomic/primatomic/engine"
)

// canonicalCommands are the rows that Redis does not have: what the canonical API promises, and
// comparisons that Valkey has.
func canonicalCommands() []*Spec {
	return []*Spec{
		{
			Name: "cas", Write: cas, Family: Strings, Flags: Fast | DenyGrowth,
			Args: []Arg{Key("key", Swaps), Str("expected"), Str("new")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets a string value only if it equals the expected one, keeping the deadline; " +
				"an empty expected value stands for a missing key too.",
		},
		{
			Name: "delifeq", Write: delifeq, Family: Strings, Flags: Fast,
			Args: []Arg{Key("key", Removes), Str("value")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Deletes a key only if its string value equals the given one.",
		},
		{
			Name: "listkeys", Read: listKeys, Family: Generic, Flags: NoKeys,
			Args: []Arg{
				Str("prefix"), Opt(Tok("AFTER", Str("key"))), Opt(Tok("LIMIT", Int("count"))),
			},
			Since: "0.1.0", Cost: "O(log N + M) in the number of keys and of those in the answer",
			Summary: "Answers with the keys that begin with a prefix, in byte order, whole or up to a limit.",
		},
	}
}

func cas(tx *engine.Tx, c *Call, r *Reply) {
	key, expected := c.Arg(1), c.Arg(2)
	old, alive, err := lookupString(&tx.View, key)
	if err != nil {
		r.Error(err)
		return
	}
	swap, deadline := len(expected) == 0, int64(0)
	if alive {
		swap, deadline = bytes.Equal(old.Value(), expected), old.Deadline()
	}
	if swap {
		tx.Set(key, c.Arg(3), deadline)
	}
	r.Bool01(swap)
}

func delifeq(tx *engine.Tx, c *Call, r *Reply) {
	old, alive, err := lookupString(&tx.View, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	r.Bool01(alive && bytes.Equal(old.Value(), c.Arg(2)) && tx.Delete(c.Arg(1)))
}

// ListKeysBytesMax bounds the answer of LISTKEYS. A list is never cut silently: one that does not fit
// is refused with TooLarge, and asked for again in pages.
const ListKeysBytesMax = 16 << 20

var (
	errLongList = &Error{TooLarge, "the list would exceed 16777216 bytes: ask for pages with LIMIT and AFTER"}
	errLimit    = &Error{Invalid, "LIMIT is out of range"}
)

// listKeys answers with an array of keys: those that begin with the prefix, follow AFTER, and are at
// most LIMIT (0: all). A page is the last one if it holds fewer keys than its limit.
func listKeys(v *engine.View, c *Call, r *Reply) {
	limit := int64(0)
	if c.Options.Has("LIMIT") {
		var ok bool
		if limit, ok = parseInt(c.Value("LIMIT")); !ok {
			r.Error(ErrNotInteger)
			return
		}
		if limit < 0 {
			r.Error(errLimit)
			return
		}
	}
	prefix, after := c.Arg(1), c.Value("AFTER")
	from := prefix
	if bytes.Compare(after, from) > 0 {
		from = after
	}
	mark, n := r.BeginArray(), int64(0)
	chunk := chunkKeys
	if limit > 0 {
		chunk = int(min(limit, chunkKeys-1)) + 1 // AFTER itself may be among them
	}
	w, err := newWalk(v, c, nil)
	if err == nil {
		err = w.ascend(from, prefix, chunk, func(key []byte) bool {
			if c.Options.Has("AFTER") && bytes.Equal(key, after) {
				return true
			}
			r.Bulk(key)
			n++
			return r.Len()-mark <= ListKeysBytesMax && n != limit
		})
	}
	if err == nil && r.Len()-mark > ListKeysBytesMax {
		err = errLongList
	}
	if err != nil {
		r.Truncate(mark)
		r.Error(err)
		return
	}
	v.Unlocked(func() { r.EndArray(mark, int(n)) })
}
