package command

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/primatomic/primatomic/engine"
)

func keyCommands() []*Spec {
	many := func(access Access) []Arg { return []Arg{Many(Key("key", access))} }
	const since, perKey = "0.1.0", "O(N) in the number of keys"
	flush := []Arg{Opt(OneOf("flush-type", Tok("ASYNC"), Tok("SYNC")))}
	return []*Spec{
		{
			Name: "del", Write: del, Family: Generic, Args: many(Removes),
			Since: since, Cost: perKey, Summary: "Deletes keys and answers how many there were.",
		},
		{
			Name: "unlink", Write: del, Family: Generic, Flags: Fast, Args: many(Removes),
			Since: since, Cost: perKey, Summary: "Deletes keys just as DEL does.",
		},
		{
			Name: "exists", Read: exists, Family: Generic, Flags: Fast, Args: many(Inspects),
			Since: since, Cost: perKey, Summary: "Answers how many of the keys exist, counting repeats.",
		},
		{
			Name: "touch", Read: exists, Family: Generic, Flags: Fast, Args: many(Inspects),
			Since: since, Cost: perKey, Summary: "Answers how many of the keys exist, as nothing here depends on use.",
		},
		{
			Name: "type", Read: typeOf, Family: Generic, Flags: Fast, Args: []Arg{Key("key", Inspects)},
			Since: since, Cost: "O(1)", Summary: "Answers with the type of the value of a key.",
		},
		{
			Name: "rename", Write: rename, Family: Generic,
			Args: []Arg{Key("key", Takes), Key("newkey", Replaces)}, Since: since, Cost: "O(1)",
			Summary: "Gives a key another name, overwriting what has that name.",
		},
		{
			Name: "renamenx", Write: renamenx, Family: Generic, Flags: Fast,
			Args: []Arg{Key("key", Takes), Key("newkey", Inserts)}, Since: since, Cost: "O(1)",
			Summary: "Gives a key another name if nothing has that name.",
		},
		{
			Name: "copy", Write: copyKey, Family: Generic, Flags: DenyGrowth,
			Args: []Arg{
				Key("source", Reads), Key("destination", Replaces),
				Opt(Tok("DB", Int("destination-db"))), Opt(Tok("REPLACE")),
			},
			Reaches: databaseReached, Since: since, Cost: "O(N) in the length of the value",
			Summary: "Copies the value and the deadline of a key to another key.",
		},
		{
			Name: "randomkey", Read: randomkey, Family: Generic, Flags: NoKeys,
			Since: since, Cost: "O(1)", Summary: "Answers with a key chosen at random.",
		},
		{
			Name: "keys", Read: keys, Family: Generic, Flags: NoKeys | Dangerous, Args: []Arg{Pattern("pattern")},
			Since: since, Cost: "O(N) in the number of keys with the literal prefix of the pattern",
			Summary: "Answers with all keys that match a pattern, in byte order.",
		},
		scanCommand(),
		{
			Name: "dbsize", Read: dbsize, Family: Server, Flags: Fast | NoKeys, Since: since, Cost: "O(1)",
			Summary: "Answers how many keys the namespace holds, counting expired ones that are not yet reaped.",
		},
		{
			Name: "flushdb", Write: flushdb, Family: Server, Flags: NoKeys | Dangerous, Args: flush,
			Check: checkFlush, Since: since, Cost: "O(1)",
			Summary: "Deletes all keys of the selected namespace.",
		},
		{
			Name: "flushall", Write: flushall, Family: Server, Flags: NoKeys | Dangerous, Args: flush,
			Check: checkFlush, Reaches: allNumbered, Since: since, Cost: "O(1)",
			Summary: "Deletes all keys of the numbered databases of the credential, not of its named namespaces.",
		},
	}
}

func del(tx *engine.Tx, c *Call, r *Reply) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if tx.Delete(key) {
			n++
		}
	}
	r.Int(n)
}

func exists(v *engine.View, c *Call, r *Reply) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if _, alive := v.Lookup(key); alive {
			n++
		}
	}
	r.Int(n)
}

func typeOf(v *engine.View, c *Call, r *Reply) {
	item, alive := v.Lookup(c.Arg(1))
	if !alive {
		r.Status("none")
		return
	}
	r.Status(item.Type().String())
}

func rename(tx *engine.Tx, c *Call, r *Reply) {
	if _, alive := tx.Lookup(c.Arg(1)); !alive {
		r.Error(ErrNoSuchKey)
		return
	}
	if !bytes.Equal(c.Arg(1), c.Arg(2)) {
		tx.Rename(c.Arg(1), c.Arg(2))
	}
	r.OK()
}

func renamenx(tx *engine.Tx, c *Call, r *Reply) {
	if _, alive := tx.Lookup(c.Arg(1)); !alive {
		r.Error(ErrNoSuchKey)
		return
	}
	if _, taken := tx.Lookup(c.Arg(2)); taken {
		r.Int(0)
		return
	}
	tx.Rename(c.Arg(1), c.Arg(2))
	r.Int(1)
}

var (
	errDatabase   = &Error{Invalid, "DB index is out of range"}
	errSmallInt   = &Error{Invalid, "value is out of range, value must between -2147483648 and 2147483647"}
	errSameObject = &Error{Invalid, "source and destination objects are the same"}
)

// databaseOption reads the DB option; without it the call's own namespace is meant.
func databaseOption(c *Call) (engine.Ref, *Error) {
	if !c.Options.Has("DB") {
		return c.Namespace, nil
	}
	n, ok := parseInt(c.Value("DB"))
	switch {
	case !ok:
		return engine.Ref{}, ErrNotInteger
	case n < math.MinInt32 || n > math.MaxInt32:
		return engine.Ref{}, errSmallInt
	case n < 0 || n >= engine.NumberedMax:
		return engine.Ref{}, errDatabase
	}
	return engine.Ref{Number: int16(n)}, nil
}

// databaseReached names the database that COPY writes to with DB.
func databaseReached(c *Call) []string {
	if !c.Options.Has("DB") {
		return nil
	}
	return []string{string(c.Value("DB"))}
}

func copyKey(tx *engine.Tx, c *Call, r *Reply) {
	src, dst := c.Arg(1), c.Arg(2)
	ref, err := databaseOption(c)
	if err == nil && ref == c.Namespace && bytes.Equal(src, dst) {
		err = errSameObject
	}
	if err != nil {
		r.Error(err)
		return
	}
	if _, alive := tx.Lookup(src); !alive {
		r.Int(0)
		return
	}
	target := tx
	if ref != c.Namespace {
		var there bool
		if target, there = tx.In(ref); !there {
			r.Error(errDatabase)
			return
		}
	}
	if _, taken := target.Lookup(dst); taken && !c.Options.Has("REPLACE") {
		r.Int(0)
		return
	}
	r.Bool01(tx.Copy(src, target, dst))
}

// randomkey changes nothing, so that nodes need not agree on what it answers.
func randomkey(v *engine.View, _ *Call, r *Reply) {
	key, ok := v.Random(rand.Uint64())
	if !ok {
		r.Null()
		return
	}
	r.Bulk(key)
}

func keys(v *engine.View, c *Call, r *Reply) {
	pattern := c.Arg(1)
	prefix, whole := globPrefix(pattern)
	mark, n := r.BeginArray(), 0
	if whole {
		if _, alive := v.Lookup(pattern); alive {
			r.Bulk(pattern)
			n++
		}
		r.EndArray(mark, n)
		return
	}
	w, err := newWalk(v, c, pattern)
	if err == nil {
		err = w.ascend(prefix, prefix, chunkKeys, func(key []byte) bool {
			r.Bulk(key)
			n++
			return r.Len()-mark <= answerBytesMax
		})
	}
	if err == nil && r.Len()-mark > answerBytesMax {
		err = errLongAnswer("parts with SCAN")
	}
	if err != nil {
		r.Truncate(mark)
		r.Error(err)
		return
	}
	v.Unlocked(func() { r.EndArray(mark, n) })
}

func dbsize(v *engine.View, _ *Call, r *Reply) { r.Int(int64(v.Len())) }

// checkFlush refuses what the grammar cannot: the same word twice.
func checkFlush(c *Call) *Error {
	if len(c.Args) > 2 {
		return ErrSyntax
	}
	return nil
}

func flushdb(tx *engine.Tx, _ *Call, r *Reply) {
	tx.Clear()
	r.OK()
}

// allNumbered names the numbered databases.
func allNumbered(*Call) []string {
	names := make([]string, engine.NumberedMax)
	for n := range names {
		names[n] = strconv.Itoa(n)
	}
	return names
}

func flushall(tx *engine.Tx, _ *Call, r *Reply) {
	tx.ClearAll()
	r.OK()
}
