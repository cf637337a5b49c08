package command

import (
	"bytes"

	"github.com/primatomic/primatomic/engine"
)

func stringCommands() []*Spec {
	key := func(access Access) Arg { return Key("key", access) }
	expiry := func(last Arg) Arg {
		return Opt(OneOf("expiration", Tok("EX", Int("seconds")), Tok("PX", Int("milliseconds")),
			Tok("EXAT", UnixTime("unix-time-seconds")), Tok("PXAT", UnixTime("unix-time-milliseconds")), last))
	}
	return []*Spec{
		{
			Name: "get", Read: get, Family: Strings, Flags: Fast, Args: []Arg{key(Reads)},
			Since: "0.1.0", Cost: "O(1)", Summary: "Answers with the string value of a key.",
		},
		{
			Name: "set", Write: set, Family: Strings, Flags: DenyGrowth,
			Args: []Arg{
				key(Swaps), Str("value"),
				Opt(OneOf("condition", Tok("NX"), Tok("XX"), Tok("IFEQ", Str("comparison-value")))),
				Opt(Tok("GET")), expiry(Tok("KEEPTTL")),
			},
			Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets the string value of a key whatever it held, under conditions and with a deadline if asked.",
		},
		{
			Name: "setnx", Write: setnx, Family: Strings, Flags: Fast | DenyGrowth,
			Args: []Arg{key(Inserts), Str("value")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets the string value of a key that does not exist.",
		},
		{
			Name: "setex", Write: setex, Family: Strings, Flags: DenyGrowth,
			Args: []Arg{key(Replaces), Int("seconds"), Str("value")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets the string value of a key and how many seconds it lives.",
		},
		{
			Name: "psetex", Write: psetex, Family: Strings, Flags: DenyGrowth,
			Args: []Arg{key(Replaces), Int("milliseconds"), Str("value")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets the string value of a key and how many milliseconds it lives.",
		},
		{
			Name: "getset", Write: getset, Family: Strings, Flags: Fast | DenyGrowth | AnswersValue,
			Args: []Arg{key(Swaps), Str("value")}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Sets the string value of a key and answers with the one before.",
		},
		{
			Name: "getdel", Write: getdel, Family: Strings, Flags: Fast | AnswersValue, Args: []Arg{key(Takes)},
			Since: "0.1.0", Cost: "O(1)", Summary: "Answers with the string value of a key and deletes the key.",
		},
		{
			Name: "getex", Write: getex, Family: Strings, Flags: Fast | AnswersValue,
			Args: []Arg{key(Swaps), expiry(Tok("PERSIST"))}, Since: "0.1.0", Cost: "O(1)",
			Summary: "Answers with the string value of a key and changes its deadline.",
		},
		{
			Name: "mget", Read: mget, Family: Strings, Flags: Fast, Args: []Arg{Many(key(Reads))},
			Since: "0.1.0", Cost: "O(N) in the number of keys",
			Summary: "Answers with the string values of many keys at one instant.",
		},
		{
			Name: "mset", Write: mset, Family: Strings, Flags: DenyGrowth,
			Args:  []Arg{Many(Block("data", key(Replaces), Str("value")))},
			Since: "0.1.0", Cost: "O(N) in the number of keys",
			Summary: "Sets the string values of many keys in one step.",
		},
		{
			Name: "msetnx", Write: msetnx, Family: Strings, Flags: DenyGrowth,
			Args:  []Arg{Many(Block("data", key(Inserts), Str("value")))},
			Since: "0.1.0", Cost: "O(N) in the number of keys",
			Summary: "Sets the string values of many keys in one step if none of them exists.",
		},
	}
}

// answerBytesMax bounds the answer to one call. A longer one could not be held in memory for many
// clients at once, and there are commands that give it in parts. Only a test changes it.
var answerBytesMax = 256 << 20

// lookupString finds a live string. A value of another type is an error.
func lookupString(v *engine.View, key []byte) (engine.Item, bool, *Error) {
	item, alive := v.Lookup(key)
	if alive && item.Type() != engine.String {
		return engine.Item{}, false, ErrWrongType
	}
	return item, alive, nil
}

// bulkOrNull answers with the value of what Lookup found.
func (r *Reply) bulkOrNull(item engine.Item, alive bool) {
	if alive {
		r.Bulk(item.Value())
	} else {
		r.Null()
	}
}

// put stores a string. If its deadline has passed already nothing is left of the key.
func put(tx *engine.Tx, key, value []byte, deadline int64) {
	if deadline != 0 && deadline <= tx.Time() {
		tx.Delete(key)
		return
	}
	tx.Set(key, value, deadline)
}

func get(v *engine.View, c *Call, r *Reply) {
	item, alive, err := lookupString(v, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	r.bulkOrNull(item, alive)
}

func set(tx *engine.Tx, c *Call, r *Reply) {
	if !c.Options.Any() {
		tx.Set(c.Arg(1), c.Arg(2), 0)
		r.OK()
		return
	}
	deadline, err := optionDeadline(tx.Time(), c)
	if err != nil {
		r.Error(err)
		return
	}
	key, o := c.Arg(1), &c.Options
	old, alive := tx.Lookup(key)
	if alive && old.Type() != engine.String && (o.Has("GET") || o.Has("IFEQ")) {
		r.Error(ErrWrongType)
		return
	}
	store := true
	switch {
	case o.Has("NX"):
		store = !alive
	case o.Has("XX"):
		store = alive
	case o.Has("IFEQ"):
		store = alive && bytes.Equal(old.Value(), c.Value("IFEQ"))
	}
	switch {
	case o.Has("GET"):
		r.bulkOrNull(old, alive)
	case store:
		r.OK()
	default:
		r.Null()
	}
	if o.Has("KEEPTTL") && alive {
		deadline = old.Deadline()
	}
	if store {
		put(tx, key, c.Arg(2), deadline)
	}
}

func setnx(tx *engine.Tx, c *Call, r *Reply) {
	_, alive := tx.Lookup(c.Arg(1))
	if !alive {
		tx.Set(c.Arg(1), c.Arg(2), 0)
	}
	r.Bool01(!alive)
}

func setex(tx *engine.Tx, c *Call, r *Reply) { setFor(tx, c, r, 1000) }

func psetex(tx *engine.Tx, c *Call, r *Reply) { setFor(tx, c, r, 1) }

// setFor is SETEX in a unit of so many milliseconds.
func setFor(tx *engine.Tx, c *Call, r *Reply, unit int64) {
	deadline, err := positiveDeadline(c, c.Arg(2), unit, tx.Time())
	if err != nil {
		r.Error(err)
		return
	}
	tx.Set(c.Arg(1), c.Arg(3), deadline)
	r.OK()
}

func getset(tx *engine.Tx, c *Call, r *Reply) {
	old, alive, err := lookupString(&tx.View, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	r.bulkOrNull(old, alive)
	tx.Set(c.Arg(1), c.Arg(2), 0)
}

func getdel(tx *engine.Tx, c *Call, r *Reply) {
	old, alive, err := lookupString(&tx.View, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	r.bulkOrNull(old, alive)
	if alive {
		tx.Delete(c.Arg(1))
	}
}

func getex(tx *engine.Tx, c *Call, r *Reply) {
	item, alive, err := lookupString(&tx.View, c.Arg(1))
	if err == nil && !alive {
		r.Null()
		return
	}
	var deadline int64
	if err == nil {
		deadline, err = optionDeadline(tx.Time(), c)
	}
	if err != nil {
		r.Error(err)
		return
	}
	r.Bulk(item.Value())
	if c.Options.Any() && deadline != item.Deadline() {
		setDeadline(tx, c.Arg(1), deadline)
	}
}

// mget learns the length of the answer before it makes it, so that memory for it is taken at most once.
func mget(v *engine.View, c *Call, r *Reply) {
	var room [32]engine.Item
	items, length := room[:0], 0
	for _, key := range c.Args[1:] {
		item, _ := v.Lookup(key)
		if item.Type() == engine.String {
			length += item.Len()
		}
		items = append(items, item)
		if length += bulkOverhead; length > answerBytesMax {
			r.Error(errLongAnswer("fewer keys"))
			return
		}
	}
	r.Grow(length + bulkOverhead)
	r.Array(len(items))
	for _, item := range items {
		r.bulkOrNull(item, item.Type() == engine.String)
	}
}

// bulkOverhead is what a value takes in an answer beside its bytes, at most: "$16777216", two line ends.
const bulkOverhead = 13

func errLongAnswer(instead string) *Error {
	return Errorf(TooLarge, "the answer would exceed %d bytes: ask for %s", answerBytesMax, instead)
}

func mset(tx *engine.Tx, c *Call, r *Reply) {
	for i := 1; i < len(c.Args); i += 2 {
		tx.Set(c.Args[i], c.Args[i+1], 0)
	}
	r.OK()
}

func msetnx(tx *engine.Tx, c *Call, r *Reply) {
	for i := 1; i < len(c.Args); i += 2 {
		if _, alive := tx.Lookup(c.Args[i]); alive {
			r.Int(0)
			return
		}
	}
	for i := 1; i < len(c.Args); i += 2 {
		tx.Set(c.Args[i], c.Args[i+1], 0)
	}
	r.Int(1)
}
