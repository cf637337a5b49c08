package command

import "github.com/primatomic/primatomic/engine"

// rangeCommands are the commands on parts of a string value.
func rangeCommands() []*Spec {
	return []*Spec{
		{
			Name: "append", Write: appendValue, Family: Strings, Flags: Fast | DenyGrowth,
			Args: []Arg{Key("key", Extends), Str("value")}, Since: "0.1.0", Cost: "O(1) amortized",
			Summary: "Appends to the string value of a key, which is created if it does not exist.",
		},
		{
			Name: "strlen", Read: strlen, Family: Strings, Flags: Fast, Args: []Arg{Key("key", Inspects)},
			Since: "0.1.0", Cost: "O(1)", Summary: "Answers with the length of a string value.",
		},
		{
			Name: "getrange", Read: getrange, Family: Strings,
			Args: []Arg{Key("key", Reads), Int("start"), Int("end")}, Since: "0.1.0",
			Cost: "O(N) in the length of the answer", Summary: "Answers with a part of a string value.",
		},
		{
			Name: "substr", Read: getrange, Family: Strings,
			Args: []Arg{Key("key", Reads), Int("start"), Int("end")}, Since: "0.1.0",
			Cost: "O(N) in the length of the answer", Summary: "Is the old name of GETRANGE.",
		},
		{
			Name: "setrange", Write: setrange, Family: Strings, Flags: DenyGrowth,
			Args: []Arg{Key("key", Updates), Int("offset"), Str("value")}, Since: "0.1.0",
			Cost:    "O(N) in the length of the value",
			Summary: "Overwrites a part of a string value from an offset on, padding with zero bytes.",
		},
	}
}

func appendValue(tx *engine.Tx, c *Call, r *Reply) {
	key, tail := c.Arg(1), c.Arg(2)
	old, alive, err := lookupString(&tx.View, key)
	if alive && old.Len()+len(tail) > engine.ValueBytesMax {
		err = ErrLargeValue
	}
	if err != nil {
		r.Error(err)
		return
	}
	r.Int(int64(tx.Append(key, tail)))
}

func strlen(v *engine.View, c *Call, r *Reply) {
	item, alive, err := lookupString(v, c.Arg(1))
	switch {
	case err != nil:
		r.Error(err)
	case alive:
		r.Int(int64(item.Len()))
	default:
		r.Int(0)
	}
}

func getrange(v *engine.View, c *Call, r *Reply) {
	start, ok1 := parseInt(c.Arg(2))
	end, ok2 := parseInt(c.Arg(3))
	if !ok1 || !ok2 {
		r.Error(ErrNotInteger)
		return
	}
	item, alive, err := lookupString(v, c.Arg(1))
	if err != nil {
		r.Error(err)
		return
	}
	if !alive || start < 0 && end < 0 && start > end {
		r.Bulk(nil)
		return
	}
	value := item.Value()
	n := int64(len(value))
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		r.Bulk(nil)
		return
	}
	r.Bulk(value[start : end+1])
}

var errNegativeOffset = &Error{Invalid, "offset is out of range"}

func setrange(tx *engine.Tx, c *Call, r *Reply) {
	key, part := c.Arg(1), c.Arg(3)
	offset, ok := parseInt(c.Arg(2))
	if !ok {
		r.Error(ErrNotInteger)
		return
	}
	if offset < 0 {
		r.Error(errNegativeOffset)
		return
	}
	old, alive, err := lookupString(&tx.View, key)
	switch {
	case err != nil:
		r.Error(err)
	case len(part) == 0 && alive:
		r.Int(int64(old.Len()))
	case len(part) == 0:
		r.Int(0)
	case offset > engine.ValueBytesMax-int64(len(part)):
		r.Error(ErrLargeValue)
	default:
		r.Int(int64(tx.SetRange(key, int(offset), part)))
	}
}
