package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/primatomic/primatomic/engine"
)

// asker makes up what clients ask.
type asker struct {
	rng     *rand.Rand
	history *history
	sent    int // submissions
	made    int // tokens, values and fading keys
	fading  []string
	large   bool
	wall    int64    // true time, ms
	values  []string // that were stored in databases lately
}

const (
	listKeys     = 4
	registerKeys = 3
)

// ask returns a submission's lines.
func (a *asker) ask(c *connection, step int, wall time.Time) []line {
	a.sent++
	a.wall = wall.UnixMilli()
	from := len(a.history.records)
	lines := a.onDatabases(c)
	if c.at == (engine.Ref{}) && !c.multi && !endsSubmission(lines) {
		for n := a.rng.IntN(5); n > 0; n-- {
			lines = append(lines, a.say(c, a.one()...)...)
		}
	}
	a.stamp(from, step, wall)
	return lines
}

// say has a connection take lines.
func (a *asker) say(c *connection, lines ...line) []line {
	for i := range lines {
		c.say(&lines[i])
	}
	return lines
}

// stamp says of the newest records when they were sent.
func (a *asker) stamp(from, step int, wall time.Time) {
	for i, r := range a.history.records[from:] {
		r.submission, r.place = a.sent, i
		r.begin, r.end, r.wallBegin, r.wallEnd = step, never, wall.UnixMilli(), wall.UnixMilli()
	}
}

func (a *asker) one() []line {
	key := func(kind string, n int) string { return fmt.Sprint(kind, a.rng.IntN(n)) }
	switch a.rng.IntN(12) {
	case 0, 1, 2:
		return []line{a.append(key("l", listKeys))}
	case 3:
		return []line{a.read(lists, key("l", listKeys))}
	case 4:
		return a.transaction()
	case 5:
		one := a.rng.IntN(listKeys)
		x, y := fmt.Sprint("l", one), fmt.Sprint("l", (one+1)%listKeys)
		r := a.pair(&record{verb: lists, key: x}, &record{verb: lists, key: y})
		return []line{{words: []string{"MGET", x, y}, records: r, many: true}}
	case 6:
		r := a.add(&record{verb: sets, key: key("r", registerKeys), arg: a.fresh()})
		return []line{{words: []string{"SET", r.key, r.arg}, records: []*record{r}}}
	case 7:
		return []line{a.read(gets, key("r", registerKeys))}
	case 8:
		r := a.add(&record{verb: swaps, key: key("r", registerKeys), arg: a.fresh(), old: a.someValue()})
		return []line{{words: []string{"CAS", r.key, r.old, r.arg}, records: []*record{r}}}
	case 9:
		return []line{a.setFading()}
	case 10:
		if len(a.fading) > 0 {
			return []line{a.read(getsFade, a.fading[max(0, len(a.fading)-1-a.rng.IntN(4))])}
		}
	case 11:
		return []line{{words: []string{"KEYS", "l*"}}} // waits for all before it
	}
	return []line{{words: []string{"PING"}}}
}

func (a *asker) add(r *record) *record {
	a.history.records = append(a.history.records, r)
	return r
}

func (a *asker) pair(x, y *record) []*record {
	a.made++
	x.together, y.together = a.made, a.made
	return []*record{a.add(x), a.add(y)}
}

func (a *asker) fresh() string {
	a.made++
	return fmt.Sprint(a.made, ";")
}

func (a *asker) someValue() string {
	for i := len(a.history.records) - 1; i >= 0 && a.rng.IntN(4) > 0; i-- {
		if r := a.history.records[i]; r.verb == sets || r.verb == swaps {
			return r.arg
		}
	}
	return "none"
}

func (a *asker) append(key string) line {
	token := a.fresh()
	if a.large && a.rng.IntN(20) == 0 {
		token = strings.Repeat("x", a.rng.IntN(20_000)) + token
	}
	r := a.add(&record{verb: appends, key: key, arg: token})
	return line{words: []string{"APPEND", key, token}, records: []*record{r}}
}

func (a *asker) read(v verb, key string) line {
	return line{words: []string{"GET", key}, records: []*record{a.add(&record{verb: v, key: key})}}
}

// transaction appends to two lists at one moment.
func (a *asker) transaction() []line {
	one := a.rng.IntN(listKeys)
	x := &record{verb: appends, key: fmt.Sprint("l", one), arg: a.fresh()}
	y := &record{verb: appends, key: fmt.Sprint("l", (one+1)%listKeys), arg: a.fresh()}
	r := a.pair(x, y)
	return []line{
		{words: []string{"MULTI"}},
		{words: []string{"APPEND", x.key, x.arg}},
		{words: []string{"APPEND", y.key, y.arg}},
		{words: []string{"EXEC"}, records: r, many: true},
	}
}

func (a *asker) setFading() line {
	r := a.add(&record{
		verb: setsFade, arg: a.fresh(), life: time.Duration(1+a.rng.IntN(300)) * time.Millisecond,
	})
	r.key = fadingKeys + r.arg
	a.fading = append(a.fading, r.key)
	return line{
		words:   []string{"SET", r.key, r.arg, "PX", fmt.Sprint(r.life.Milliseconds())},
		records: []*record{r},
	}
}

// everything reads every key that was ever named.
func (a *asker) everything(c *connection, step int, wall time.Time) []line {
	a.sent++
	from := len(a.history.records)
	var lines []line
	for i := range listKeys {
		lines = append(lines, a.read(lists, fmt.Sprint("l", i)))
	}
	for i := range registerKeys {
		lines = append(lines, a.read(gets, fmt.Sprint("r", i)))
	}
	for _, key := range a.fading {
		lines = append(lines, a.read(getsFade, key))
	}
	a.stamp(from, step, wall)
	for database := range databases {
		lines = append(lines, lineOf("SELECT", fmt.Sprint(database)), lineOf("KEYS", "*"), lineOf("DBSIZE"),
			line{words: append([]string{"MGET"}, databaseKeys...)})
	}
	return a.say(c, lines...)
}
