package command

// KeySpec tells where keys stand in a command line: every Step-th argument from Begin on.
type KeySpec struct {
	Begin  int // index of the first key; the name is 0
	Last   int // of the last key: relative to Begin, or if negative counted from the end (-1: the last)
	Step   int
	Access Access
}

// until returns the index of the last key in a line of n arguments.
func (k KeySpec) until(n int) int {
	if k.Last < 0 {
		return n + k.Last
	}
	return k.Begin + k.Last
}

// Keys calls fn with every key that the call names and what the command does to it, until fn returns
// false. Resolve must have accepted the call.
func (c *Call) Keys(fn func(key []byte, access Access) bool) {
	for _, spec := range c.Spec.keys {
		for i := spec.Begin; i <= spec.until(len(c.Args)); i += spec.Step {
			if !fn(c.Args[i], spec.Access) {
				return
			}
		}
	}
}

// legacyRange returns first key, last key and step as COMMAND INFO prints them: 0 0 0 for no keys.
func (d *derived) legacyRange() (first, last, step int) {
	if len(d.keys) == 0 {
		return 0, 0, 0
	}
	first, step = d.keys[0].Begin, d.keys[0].Step
	for _, spec := range d.keys {
		last = spec.Last
		if last >= 0 {
			last += spec.Begin
		}
	}
	return first, last, step
}

// keySpecs finds the keys at fixed places: those before the first argument of unknown width.
func keySpecs(args []Arg, at int) []KeySpec {
	var specs []KeySpec
	for i := range args {
		a := &args[i]
		if a.led() || a.Optional {
			break
		}
		rest, exact := width(args[i+1:])
		last, step := 0, 1
		if a.Multiple {
			if !exact {
				break
			}
			last = -1 - rest
		}
		if a.Kind == KeyKind {
			specs = append(specs, KeySpec{Begin: at, Last: last, Step: step, Access: a.Access})
		}
		for j := range a.Args {
			step = len(a.Args)
			if a.Args[j].Kind == KeyKind {
				specs = append(specs, KeySpec{Begin: at + j, Last: last, Step: step, Access: a.Args[j].Access})
			}
		}
		least, exact := a.width()
		if a.Multiple || !exact {
			break
		}
		at += least
	}
	return specs
}

// countKeys counts the key arguments anywhere in a grammar.
func countKeys(args []Arg) int {
	n := 0
	for i := range args {
		if args[i].Kind == KeyKind {
			n++
		}
		n += countKeys(args[i].Args)
	}
	return n
}
