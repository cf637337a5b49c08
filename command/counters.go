package command

import (
	"math"
	"math/big"

	"github.com/primatomic/primatomic/engine"
)

func counterCommands() []*Spec {
	row := func(name string, write func(*engine.Tx, *Call, *Reply), summary string, by ...Arg) *Spec {
		return &Spec{
			Name: name, Write: write, Family: Strings, Flags: Fast | DenyGrowth,
			Args: append([]Arg{Key("key", Swaps)}, by...), Since: "0.1.0", Cost: "O(1)", Summary: summary,
		}
	}
	return []*Spec{
		row("incr", incr, "Adds one to the integer value of a key, which counts as 0 if it does not exist."),
		row("decr", decr, "Takes one from the integer value of a key, which counts as 0 if it does not exist."),
		row("incrby", incrby, "Adds a number to the integer value of a key.", Int("increment")),
		row("decrby", decrby, "Takes a number from the integer value of a key.", Int("decrement")),
		row("incrbyfloat", incrbyfloat, "Adds a floating-point number to the numeric value of a key.",
			Double("increment")),
	}
}

var (
	errDecrement = &Error{Invalid, "decrement would overflow"}
	errNotFinite = &Error{Invalid, "increment would produce NaN or Infinity"}
)

func incr(tx *engine.Tx, c *Call, r *Reply) { addInt(tx, c, r, 1) }

func decr(tx *engine.Tx, c *Call, r *Reply) { addInt(tx, c, r, -1) }

func incrby(tx *engine.Tx, c *Call, r *Reply) {
	by, ok := parseInt(c.Arg(2))
	if !ok {
		r.Error(ErrNotInteger)
		return
	}
	addInt(tx, c, r, by)
}

func decrby(tx *engine.Tx, c *Call, r *Reply) {
	by, ok := parseInt(c.Arg(2))
	switch {
	case !ok:
		r.Error(ErrNotInteger)
	case by == math.MinInt64:
		r.Error(errDecrement)
	default:
		addInt(tx, c, r, -by)
	}
}

func addInt(tx *engine.Tx, c *Call, r *Reply, by int64) {
	old, alive, err := lookupString(&tx.View, c.Arg(1))
	var n, deadline int64
	if alive {
		var ok bool
		if n, ok = parseInt(old.Value()); !ok {
			err = ErrNotInteger
		}
		deadline = old.Deadline()
	}
	if err == nil && (by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by) {
		err = ErrOverflow
	}
	if err != nil {
		r.Error(err)
		return
	}
	var text decimal
	tx.Set(c.Arg(1), text.of(n+by), deadline)
	r.Int(n + by)
}

func incrbyfloat(tx *engine.Tx, c *Call, r *Reply) {
	old, alive, err := lookupString(&tx.View, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	value, deadline, ok := new(big.Float), int64(0), true
	if alive {
		value, ok = parseLongDouble(old.Value())
		deadline = old.Deadline()
	}
	by, okBy := parseLongDouble(c.Arg(2))
	if !ok || !okBy {
		r.Error(ErrNotFloat)
		return
	}
	sum, finite := addLongDouble(value, by)
	if !finite {
		r.Error(errNotFinite)
		return
	}
	text := appendLongDouble(nil, sum)
	tx.Set(c.Arg(1), text, deadline)
	r.Bulk(text)
}
