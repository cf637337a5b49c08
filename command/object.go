package command

import "github.com/primatomic/primatomic/engine"

func objectContainer() *Spec {
	row := func(name string, read func(*engine.View, *Call, *Reply), summary string) *Spec {
		return &Spec{
			Name: name, Read: read, Family: Generic, Since: "0.1.0", Cost: "O(1)", Summary: summary,
			Args: []Arg{Key("key", Inspects)},
		}
	}
	return &Spec{
		Name: "object", Family: Generic, Since: "0.1.0",
		Summary: "Commands about how a value is held.",
		Sub: []*Spec{
			row("encoding", objectEncoding, "Answers the encoding that Redis would use for the value."),
			row("refcount", objectRefcount, "Answers 1."),
			row("idletime", objectIdletime, "Refused, because reads leave no trace on keys."),
			row("freq", objectFreq, "Refused, because reads leave no trace on keys."),
			helpRow(Generic),
		},
	}
}

// inspected finds the key of an OBJECT or MEMORY call, and answers null if there is none.
func inspected(v *engine.View, c *Call, r *Reply) (engine.Item, bool) {
	item, found := v.Lookup(c.Arg(2))
	if !found {
		r.Null()
	}
	return item, found
}

// embeddedBytesMax is up to which length Redis holds a string beside its header.
const embeddedBytesMax = 44

func objectEncoding(v *engine.View, c *Call, r *Reply) {
	item, found := inspected(v, c, r)
	if !found {
		return
	}
	switch _, integer := parseInt(item.Value()); {
	case integer:
		r.BulkString("int")
	case item.Len() <= embeddedBytesMax:
		r.BulkString("embstr")
	default:
		r.BulkString("raw")
	}
}

func objectRefcount(v *engine.View, c *Call, r *Reply) {
	if _, found := inspected(v, c, r); found {
		r.Int(1)
	}
}

func objectIdletime(v *engine.View, c *Call, r *Reply) {
	if _, found := inspected(v, c, r); found {
		r.Error(&Error{Unsupported, "idle time is not tracked: reads leave no trace on keys"})
	}
}

func objectFreq(v *engine.View, c *Call, r *Reply) {
	if _, found := inspected(v, c, r); found {
		r.Error(&Error{Unsupported, "An LFU maxmemory policy is not selected, access frequency not tracked."})
	}
}

func memoryContainer() *Spec {
	return &Spec{
		Name: "memory", Family: Server, Since: "0.1.0",
		Summary: "Commands about memory.",
		Sub: []*Spec{
			{
				Name: "usage", Read: memoryUsage, Family: Server, Since: "0.1.0", Cost: "O(1)",
				Args:    []Arg{Key("key", Inspects), Opt(Tok("SAMPLES", Int("count")))},
				Check:   checkSamples,
				Summary: "Answers about how many bytes a key and its value take.",
			},
			helpRow(Server),
		},
	}
}

func checkSamples(c *Call) *Error {
	text := c.Value("SAMPLES")
	if text == nil {
		return nil
	}
	switch n, ok := parseInt(text); {
	case !ok:
		return ErrNotInteger
	case n < 0:
		return ErrSyntax
	}
	return nil
}

// itemOverhead is what a key takes beside its own bytes and its value's: header, index and trees. At
// 1 M keys of 16 + 64 bytes the live heap is 125 bytes per key.
const itemOverhead = 45

func memoryUsage(v *engine.View, c *Call, r *Reply) {
	if item, found := inspected(v, c, r); found {
		r.Int(int64(len(c.Arg(2)) + item.Len() + itemOverhead))
	}
}
