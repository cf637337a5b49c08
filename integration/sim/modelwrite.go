package sim

import (
	"math"
	"strconv"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/store"
)

// writing are the commands that go through the log, and whether they may make the state grow.
var writing = map[string]bool{
	"SET": true, "CAS": true, "INCR": true, "INCRBY": true, "APPEND": true, "MSET": true,
	"DEL": false, "GETDEL": false, "GETEX": false, "EXPIRE": false, "PEXPIRE": false, "PEXPIREAT": false,
	"PERSIST": false, "FLUSHDB": false, "NAMESPACE CREATE": true, "NAMESPACE DROP": false,
}

// after returns what a call of the log makes of the state, and its answer.
func (s *state) after(c *store.LoggedCall, memoryMax int64) (*state, answer) {
	d := s.draft(memoryMax)
	grows := writing[verbOf(wordsOf(c.Args))]
	for i := range c.Sub {
		grows = grows || len(c.Sub[i].Args) > 0 && writing[string(c.Sub[i].Args[0])]
	}
	var a answer
	switch {
	case s.gone(c.Namespace):
		return s, noSpace
	case grows && d.full():
		return s, noMemory
	case c.Sub == nil:
		a = d.carryOut(c.Namespace, wordsOf(c.Args))
	default:
		a = d.transaction(&c.Call)
	}
	if a.kind == '-' {
		return s, a
	}
	return &d.state, a
}

func wordsOf(args [][]byte) []string {
	words := make([]string, 0, len(args))
	for _, arg := range args {
		words = append(words, string(arg))
	}
	return words
}

func (d *draft) full() bool { return d.memoryMax != 0 && d.memory() >= d.memoryMax }

// transaction answers EXEC: all of it, or nothing if a watched key has changed. What was answered on the connection
// is left out.
func (d *draft) transaction(c *command.Call) answer {
	for _, w := range c.Watched {
		if d.gone(w.Namespace) || d.changed(w.Namespace, string(w.Key), w.Revision, w.Alive) {
			return notDone
		}
	}
	var parts []answer
	for _, sub := range c.Sub {
		words := wordsOf(sub.Args)
		switch {
		case len(words) == 0:
			parts = append(parts, answer{})
		case d.gone(sub.Namespace):
			parts = append(parts, noSpace)
		case reading[words[0]]:
			parts = append(parts, d.look(sub.Namespace, words))
		case writing[words[0]] && d.full():
			return noMemory
		default:
			parts = append(parts, d.carryOut(sub.Namespace, words))
		}
	}
	return array(parts...)
}

// carryOut carries out a command that may change something.
func (d *draft) carryOut(at engine.Ref, words []string) answer {
	switch verbOf(words) {
	case "FLUSHDB":
		d.clear(at)
		return okay
	case "NAMESPACE CREATE":
		return d.create(words[2])
	case "NAMESPACE DROP":
		return d.dropSpace(words[2])
	}
	key, rest := words[1], words[2:]
	old, alive := d.find(at, key)
	switch words[0] {
	case "SET":
		return d.set(at, key, rest[0], optionsOf(rest[1:]))
	case "CAS":
		swap := old.value == rest[0] // of a missing key that is ""
		if !alive {
			swap = rest[0] == ""
		}
		if swap {
			d.put(at, key, rest[1], old.kept(alive))
		}
		return truth(swap)
	case "INCR":
		return d.add(at, key, "1")
	case "INCRBY":
		return d.add(at, key, rest[0])
	case "APPEND":
		value := rest[0]
		if alive {
			value = old.value + value
		}
		d.put(at, key, value, old.kept(alive))
		return number(int64(len(value)))
	case "MSET":
		for i := 1; i < len(words); i += 2 {
			d.put(at, words[i], words[i+1], 0)
		}
		return okay
	case "DEL":
		n := int64(0)
		for _, key := range words[1:] {
			if d.remove(at, key) {
				n++
			}
		}
		return number(n)
	case "GETDEL":
		a := d.value(at, key)
		d.remove(at, key)
		return a
	}
	return d.live(at, words)
}

func (d *draft) create(name string) answer {
	if _, there := d.names[name]; !there {
		in := d.newSpace()
		at := engine.Ref{ID: in.id}
		d.spaces[at], d.names[name] = in, at
	}
	return okay
}

func (d *draft) dropSpace(name string) answer {
	at, there := d.names[name]
	if !there {
		return noName(name)
	}
	delete(d.spaces, at)
	delete(d.names, name)
	return okay
}

// kept is the deadline that a changed value keeps.
func (it item) kept(alive bool) int64 {
	if alive {
		return it.deadline
	}
	return 0
}

func (d *draft) set(at engine.Ref, key, value string, o map[string]string) answer {
	old, alive := d.find(at, key)
	_, missing := o["NX"]
	_, existing := o["XX"]
	_, get := o["GET"]
	_, keep := o["KEEPTTL"]
	stored := !(missing && alive || existing && !alive)
	a := okay
	switch {
	case get:
		a = d.value(at, key)
	case !stored:
		a = noValue
	}
	deadline, _ := d.deadline(o)
	if keep {
		deadline = old.kept(alive)
	}
	if stored {
		d.put(at, key, value, deadline)
	}
	return a
}

// deadline returns the one that options give.
func (d *draft) deadline(o map[string]string) (deadline int64, given bool) {
	for _, unit := range []struct {
		option string
		ms     int64
		from   int64
	}{{"EX", 1000, d.time}, {"PX", 1, d.time}, {"EXAT", 1000, 0}, {"PXAT", 1, 0}} {
		if text, given := o[unit.option]; given {
			n, _ := strconv.ParseInt(text, 10, 64)
			return unit.from + n*unit.ms, true
		}
	}
	return 0, false
}

// add adds to the number under a key.
func (d *draft) add(at engine.Ref, key, text string) answer {
	by, _ := strconv.ParseInt(text, 10, 64)
	old, alive := d.find(at, key)
	n := int64(0)
	if alive {
		var err error
		n, err = strconv.ParseInt(old.value, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != old.value {
			return noNumber
		}
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		return overflows
	}
	d.put(at, key, strconv.FormatInt(n+by, 10), old.kept(alive))
	return number(n + by)
}

// live carries out a command on how long a key lives.
func (d *draft) live(at engine.Ref, words []string) answer {
	key := words[1]
	old, alive := d.find(at, key)
	switch words[0] {
	case "GETEX":
		o := optionsOf(words[2:])
		deadline, given := d.deadline(o)
		_, persist := o["PERSIST"]
		if alive && (given || persist) && deadline != old.deadline {
			d.put(at, key, old.value, deadline)
		}
		if !alive {
			return noValue
		}
		return bulk(old.value)
	case "PERSIST":
		if alive && old.deadline != 0 {
			d.put(at, key, old.value, 0)
		}
		return truth(alive && old.deadline != 0)
	}
	n, _ := strconv.ParseInt(words[2], 10, 64)
	deadline := n
	switch words[0] {
	case "EXPIRE":
		deadline = d.time + 1000*n
	case "PEXPIRE":
		deadline = d.time + n
	}
	o := optionsOf(words[3:])
	if !alive || !old.takes(deadline, o) {
		return number(0)
	}
	if deadline <= d.time {
		d.remove(at, key)
	} else {
		d.put(at, key, old.value, deadline)
	}
	return number(1)
}

// takes evaluates the conditions of EXPIRE. No deadline is later than any.
func (it item) takes(deadline int64, o map[string]string) bool {
	holds := map[string]bool{
		"NX": it.deadline == 0,
		"XX": it.deadline != 0,
		"GT": it.deadline != 0 && deadline > it.deadline,
		"LT": it.deadline == 0 || deadline < it.deadline,
	}
	for condition := range o {
		if !holds[condition] {
			return false
		}
	}
	return true
}
