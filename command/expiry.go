package command

import (
	"math"

	"github.com/primatomic/primatomic/engine"
)

func expiryCommands() []*Spec {
	const since, cost = "0.1.0", "O(1)"
	write := func(name string, fn func(*engine.Tx, *Call, *Reply), when Arg, summary string) *Spec {
		return &Spec{
			Name: name, Write: fn, Family: Generic, Flags: Fast,
			Args: []Arg{
				Key("key", Updates), when,
				Opt(Tok("NX")), Opt(Tok("XX")), Opt(Tok("GT")), Opt(Tok("LT")),
			},
			Check: checkExpireConditions, Stray: "Unsupported option %s",
			Since: since, Cost: cost, Summary: summary,
		}
	}
	read := func(name string, fn func(*engine.View, *Call, *Reply), summary string) *Spec {
		return &Spec{
			Name: name, Read: fn, Family: Generic, Flags: Fast, Args: []Arg{Key("key", Reads)},
			Since: since, Cost: cost, Summary: summary,
		}
	}
	return []*Spec{
		write("expire", expire, Int("seconds"), "Sets how many seconds a key lives on."),
		write("pexpire", pexpire, Int("milliseconds"), "Sets how many milliseconds a key lives on."),
		write("expireat", expireat, UnixTime("unix-time-seconds"), "Sets the second at which a key expires."),
		write("pexpireat", pexpireat, UnixTime("unix-time-milliseconds"),
			"Sets the millisecond at which a key expires."),
		read("ttl", ttl, "Answers with the seconds that a key lives on, -1 without a deadline, -2 without a key."),
		read("pttl", pttl,
			"Answers with the milliseconds that a key lives on, -1 without a deadline, -2 without a key."),
		read("expiretime", expiretime, "Answers with the second at which a key expires, as Unix time."),
		read("pexpiretime", pexpiretime, "Answers with the millisecond at which a key expires, as Unix time."),
		{
			Name: "persist", Write: persist, Family: Generic, Flags: Fast, Args: []Arg{Key("key", Updates)},
			Since: since, Cost: cost, Summary: "Removes the deadline of a key.",
		},
	}
}

// errExpireTime is what Redis answers to a time that is out of range.
func errExpireTime(c *Call) *Error {
	return Errorf(Invalid, "invalid expire time in '%s' command", c.Spec.FullName())
}

// positiveDeadline reads a time that must be positive, as options do: in a unit of so many
// milliseconds, counted from base. The deadline is absolute, in ms of log time.
func positiveDeadline(c *Call, arg []byte, unit, base int64) (int64, *Error) {
	n, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, ErrNotInteger
	case n <= 0 || n > math.MaxInt64/unit || n*unit > math.MaxInt64-base:
		return 0, errExpireTime(c)
	}
	return n*unit + base, nil
}

// optionDeadline reads the deadline out of EX, PX, EXAT and PXAT; 0 if none is given.
func optionDeadline(now int64, c *Call) (int64, *Error) {
	o := &c.Options
	switch {
	case o.Has("EX"):
		return positiveDeadline(c, c.Value("EX"), 1000, now)
	case o.Has("PX"):
		return positiveDeadline(c, c.Value("PX"), 1, now)
	case o.Has("EXAT"):
		return positiveDeadline(c, c.Value("EXAT"), 1000, 0)
	case o.Has("PXAT"):
		return positiveDeadline(c, c.Value("PXAT"), 1, 0)
	}
	return 0, nil
}

// setDeadline changes the deadline of a live key; 0 removes it, one that has passed removes the key.
func setDeadline(tx *engine.Tx, key []byte, deadline int64) {
	if deadline != 0 && deadline <= tx.Time() {
		tx.Delete(key)
		return
	}
	tx.SetDeadline(key, deadline)
}

var (
	errExpireNX = &Error{Invalid, "NX and XX, GT or LT options at the same time are not compatible"}
	errExpireGT = &Error{Invalid, "GT and LT options at the same time are not compatible"}
)

func checkExpireConditions(c *Call) *Error {
	o := &c.Options
	switch {
	case o.Has("NX") && (o.Has("XX") || o.Has("GT") || o.Has("LT")):
		return errExpireNX
	case o.Has("GT") && o.Has("LT"):
		return errExpireGT
	}
	return nil
}

func expire(tx *engine.Tx, c *Call, r *Reply)    { expireBy(tx, c, r, 1000, tx.Time()) }
func pexpire(tx *engine.Tx, c *Call, r *Reply)   { expireBy(tx, c, r, 1, tx.Time()) }
func expireat(tx *engine.Tx, c *Call, r *Reply)  { expireBy(tx, c, r, 1000, 0) }
func pexpireat(tx *engine.Tx, c *Call, r *Reply) { expireBy(tx, c, r, 1, 0) }

// expireBy is EXPIRE in a unit of so many milliseconds, counted from base. A time in the past deletes.
func expireBy(tx *engine.Tx, c *Call, r *Reply, unit, base int64) {
	n, ok := parseInt(c.Arg(2))
	switch {
	case !ok:
		r.Error(ErrNotInteger)
		return
	case n > math.MaxInt64/unit || n < math.MinInt64/unit || n*unit > math.MaxInt64-base:
		r.Error(errExpireTime(c))
		return
	}
	deadline := n*unit + base
	item, alive := tx.Lookup(c.Arg(1))
	if !alive || !mayExpire(&c.Options, item.Deadline(), deadline) {
		r.Int(0)
		return
	}
	if deadline <= tx.Time() {
		tx.Delete(c.Arg(1))
	} else {
		tx.SetDeadline(c.Arg(1), deadline)
	}
	r.Int(1)
}

// mayExpire evaluates NX, XX, GT and LT. No deadline counts as infinite.
func mayExpire(o *Options, current, next int64) bool {
	switch {
	case o.Has("NX") && current != 0,
		o.Has("XX") && current == 0,
		o.Has("GT") && (current == 0 || next <= current),
		o.Has("LT") && current != 0 && next >= current:
		return false
	}
	return true
}

func persist(tx *engine.Tx, c *Call, r *Reply) {
	item, alive := tx.Lookup(c.Arg(1))
	r.Bool01(alive && item.Deadline() != 0 && tx.SetDeadline(c.Arg(1), 0))
}

func ttl(v *engine.View, c *Call, r *Reply) {
	answerDeadline(v, c, r, func(deadline int64) int64 { return wholeSeconds(max(deadline-v.Time(), 1)) })
}

func pttl(v *engine.View, c *Call, r *Reply) {
	answerDeadline(v, c, r, func(deadline int64) int64 { return max(deadline-v.Time(), 1) })
}

func expiretime(v *engine.View, c *Call, r *Reply) {
	answerDeadline(v, c, r, wholeSeconds)
}

func pexpiretime(v *engine.View, c *Call, r *Reply) {
	answerDeadline(v, c, r, func(deadline int64) int64 { return deadline })
}

// wholeSeconds rounds milliseconds to the nearest second, as Redis does.
func wholeSeconds(ms int64) int64 { return ms/1000 + (ms%1000+500)/1000 }

// answerDeadline answers with -2 for a missing key, -1 for one that never expires, else with what show
// makes of the deadline.
func answerDeadline(v *engine.View, c *Call, r *Reply, show func(deadline int64) int64) {
	item, alive := v.Lookup(c.Arg(1))
	switch {
	case !alive:
		r.Int(-2)
	case item.Deadline() == 0:
		r.Int(-1)
	default:
		r.Int(show(item.Deadline()))
	}
}
