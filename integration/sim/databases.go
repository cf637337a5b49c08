package sim

import (
	"fmt"
	"math"
	"strconv"

	"github.com/primatomic/primatomic/engine"
)

// What clients do in several databases, of which the audit alone knows whether it was answered well. Keys are few, so
// that clients get in each other's way.

const (
	databases  = 3
	fadingKeys = "f" // what keys begin with that are set once, with a time to live
	mortalKeys = "t" // what other keys begin with that may have a deadline
)

// spaceNames are those of named namespaces.
var spaceNames = []string{"na", "nb"}

// databaseKeys are the keys of each database beside those that have checks of their own.
var databaseKeys = []string{"p0", "p1", "p2", "t0", "t1", "t2"}

func lineOf(words ...string) line { return line{words: words} }

// endsSubmission reports whether what is sent next depends on the answer to the last line.
func endsSubmission(lines []line) bool {
	if len(lines) == 0 {
		return false
	}
	last := lines[len(lines)-1].call
	return last.words[0] == "SCAN" || last.selectsName() || last.selectsLater()
}

// onDatabases returns the part of a submission that is about databases, which goes on where the connection stands.
func (a *asker) onDatabases(c *connection) []line {
	var lines []line
	for n := a.rng.IntN(5); n >= 0 && !endsSubmission(lines); n-- {
		lines = append(lines, a.say(c, a.step(c)...)...)
		if c.multi && a.rng.IntN(8) == 0 { // EXEC comes in a submission of its own
			break
		}
	}
	return lines
}

// step returns the next line or lines of a connection.
func (a *asker) step(c *connection) []line {
	if c.multi {
		switch a.rng.IntN(8) {
		case 0, 1, 2:
			return []line{lineOf("EXEC")}
		case 3:
			if a.rng.IntN(4) == 0 {
				return []line{lineOf("DISCARD")}
			}
		}
		return []line{a.queued()}
	}
	if len(c.watched) > 0 && a.rng.IntN(3) == 0 {
		return []line{lineOf("MULTI")}
	}
	switch at := a.rng.IntN(44); {
	case at < 12:
		return []line{a.write()}
	case at < 20:
		return []line{a.readOne()}
	case at < 24:
		return []line{a.readMany()}
	case at < 26:
		return []line{a.scan(c)}
	case at < 29:
		return []line{lineOf("SELECT", fmt.Sprint(a.rng.IntN(databases)))}
	case at < 33:
		return []line{lineOf("MULTI")}
	case at < 37:
		key := a.key()
		return []line{lineOf("WATCH", key), lineOf("GET", key)}
	case at < 38 && c.at != engine.Ref{}:
		return []line{lineOf("FLUSHDB")}
	case at < 39 && len(c.watched) > 0:
		return []line{lineOf("UNWATCH")}
	case at < 43:
		return []line{a.space()}
	}
	return []line{lineOf("PING")}
}

// queued returns a line for a transaction.
func (a *asker) queued() line {
	switch at := a.rng.IntN(20); {
	case at < 8:
		return a.write()
	case at < 16:
		return a.readOne()
	case at < 18:
		return a.readMany()
	case at < 19:
		return lineOf("SELECT", fmt.Sprint(a.rng.IntN(databases)))
	}
	return lineOf("PING")
}

func (a *asker) key() string { return databaseKeys[a.rng.IntN(len(databaseKeys))] }

// mortal returns a key that may have a deadline.
func (a *asker) mortal() string { return fmt.Sprint(mortalKeys, a.rng.IntN(3)) }

// value returns one to be stored: one of its own mostly, or a number.
func (a *asker) value() string {
	value := a.fresh()
	switch a.rng.IntN(8) {
	case 0:
		value = fmt.Sprint(a.rng.IntN(100))
	case 1:
		value = strconv.Itoa(math.MaxInt64 - a.rng.IntN(3))
	}
	if a.values = append(a.values, value); len(a.values) > 8 {
		a.values = a.values[1:]
	}
	return value
}

// guess returns a value that a key may have.
func (a *asker) guess() string {
	if len(a.values) == 0 || a.rng.IntN(4) == 0 {
		return ""
	}
	return a.values[a.rng.IntN(len(a.values))]
}

// write returns a command that changes a key.
func (a *asker) write() line {
	switch a.rng.IntN(14) {
	case 0, 1:
		return line{words: append([]string{"SET", a.key(), a.value()}, a.condition()...)}
	case 2, 3:
		words := append([]string{"SET", a.mortal(), a.value()}, a.condition()...)
		return line{words: append(words, a.life("KEEPTTL")...)}
	case 4:
		return lineOf("CAS", a.key(), a.guess(), a.value())
	case 5:
		return lineOf("INCR", a.key())
	case 6:
		return lineOf("INCRBY", a.key(), fmt.Sprint(a.rng.IntN(1000)-300))
	case 7:
		return lineOf("APPEND", a.key(), a.value())
	case 8:
		return lineOf("MSET", a.key(), a.value(), a.key(), a.value())
	case 9:
		return lineOf("DEL", a.key(), a.key())
	case 10:
		return lineOf("GETDEL", a.key())
	case 11:
		return line{words: append([]string{"GETEX", a.mortal()}, a.life("PERSIST")...)}
	case 12:
		return lineOf("PERSIST", a.mortal())
	}
	return a.expire()
}

func (a *asker) condition() []string {
	var words []string
	switch a.rng.IntN(6) {
	case 0:
		words = append(words, "NX")
	case 1:
		words = append(words, "XX")
	}
	if a.rng.IntN(3) == 0 {
		words = append(words, "GET")
	}
	return words
}

// life returns the options that give a key a deadline, the one that gives none, or nothing.
func (a *asker) life(none string) []string {
	switch a.rng.IntN(8) {
	case 0:
		return []string{"EX", fmt.Sprint(1 + a.rng.IntN(2))}
	case 1:
		return []string{"EXAT", fmt.Sprint(a.wall/1000 + int64(a.rng.IntN(3)))}
	case 2:
		return []string{"PXAT", fmt.Sprint(a.wall + int64(a.rng.IntN(500)) - 100)}
	case 3:
		return nil
	case 4:
		return []string{none}
	}
	return []string{"PX", fmt.Sprint(1 + a.rng.IntN(400))}
}

// expire returns a command that changes a deadline.
func (a *asker) expire() line {
	conditions := []string{"", "", "", "NX", "XX", "GT", "LT"}
	var words []string
	switch a.rng.IntN(4) {
	case 0:
		words = []string{"EXPIRE", a.mortal(), fmt.Sprint(a.rng.IntN(3))}
	case 1:
		words = []string{"PEXPIREAT", a.mortal(), fmt.Sprint(a.wall + int64(a.rng.IntN(500)) - 100)}
	default:
		words = []string{"PEXPIRE", a.mortal(), fmt.Sprint(a.rng.IntN(400) - 20)}
	}
	if condition := conditions[a.rng.IntN(len(conditions))]; condition != "" {
		words = append(words, condition)
	}
	return line{words: words}
}

// readOne returns a command that looks at a key.
func (a *asker) readOne() line {
	switch a.rng.IntN(8) {
	case 0:
		return lineOf("TTL", a.mortal())
	case 1:
		return lineOf("PTTL", a.mortal())
	case 2:
		return lineOf("PEXPIRETIME", a.mortal())
	case 3:
		return lineOf("EXISTS", a.key(), a.key())
	}
	return lineOf("GET", a.key())
}

// readMany returns a command that looks at many keys.
func (a *asker) readMany() line {
	prefix := []string{"", "p", mortalKeys, "t1"}[a.rng.IntN(4)]
	switch a.rng.IntN(6) {
	case 0:
		return lineOf("MGET", a.key(), a.key(), a.key())
	case 1:
		return lineOf("DBSIZE")
	case 2:
		return lineOf("KEYS", prefix+"*")
	case 3:
		return lineOf("LISTKEYS", prefix)
	case 4:
		return lineOf("LISTKEYS", prefix, "AFTER", a.key(), "LIMIT", fmt.Sprint(a.rng.IntN(4)))
	}
	return line{words: append([]string{"MGET"}, databaseKeys...)}
}

// space returns a line about named namespaces.
func (a *asker) space() line {
	name := spaceNames[a.rng.IntN(len(spaceNames))]
	switch a.rng.IntN(8) {
	case 0:
		return lineOf("NAMESPACE", "DROP", name)
	case 1, 2:
		return lineOf("NAMESPACE", "CREATE", name)
	case 3:
		return lineOf("NAMESPACE", "LIST")
	}
	return lineOf("SELECT", name)
}

// scan returns the next step of an iteration, or the first of one.
func (a *asker) scan(c *connection) line {
	words := []string{"SCAN", c.cursor}
	if c.cursor == "" {
		words[1], c.pattern = "0", []string{"", "p*", "t*"}[a.rng.IntN(3)]
	}
	if c.pattern != "" {
		words = append(words, "MATCH", c.pattern)
	}
	return line{words: append(words, "COUNT", fmt.Sprint(1+a.rng.IntN(4)))}
}
