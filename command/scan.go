package command

import (
	"strconv"

	"github.com/primatomic/primatomic/engine"
)

// scanCountMax caps COUNT, which is a wish: SCAN looks at no more keys in one call.
const scanCountMax = 10_000

var errCursor = &Error{Invalid, "invalid cursor"}

func scanCommand() *Spec {
	return &Spec{
		Name: "scan", Read: scan, Family: Generic, Flags: NoKeys,
		Args: []Arg{
			Int("cursor"), Opt(Tok("MATCH", Pattern("pattern"))), Opt(Tok("COUNT", Int("count"))),
			Opt(Tok("TYPE", Str("type"))),
		},
		Since: "0.1.0", Cost: "O(1) for a call, O(N) for a whole iteration",
		Summary: "Answers with some keys and the cursor with which to ask for the next.",
	}
}

func scan(v *engine.View, c *Call, r *Reply) {
	cursor, ok := parseUint(c.Arg(1))
	if !ok {
		r.Error(errCursor)
		return
	}
	count, err := scanCount(c)
	if err != nil {
		r.Error(err)
		return
	}
	wanted := func(item engine.Item) bool {
		return !c.Options.Has("TYPE") || foldEqual(c.Value("TYPE"), item.Type().String())
	}
	w, err := newWalk(v, c, c.Value("MATCH"))
	if err != nil {
		r.Error(err)
		return
	}
	found := make([][]byte, 0, min(count, 64))
	next, err := w.scan(cursor, count, wanted, func(key []byte) { found = append(found, key) })
	if err != nil {
		r.Error(err)
		return
	}
	v.Unlocked(func() { r.scanned(next, found) })
}

func (r *Reply) scanned(next uint64, keys [][]byte) {
	r.Array(2)
	var text [20]byte
	r.Bulk(strconv.AppendUint(text[:0], next, 10))
	r.Array(len(keys))
	for _, key := range keys {
		r.Bulk(key)
	}
}

func scanCount(c *Call) (int, *Error) {
	if !c.Options.Has("COUNT") {
		return 10, nil
	}
	n, ok := parseInt(c.Value("COUNT"))
	switch {
	case !ok:
		return 0, ErrNotInteger
	case n < 1:
		return 0, ErrSyntax
	}
	return int(min(n, scanCountMax)), nil
}
