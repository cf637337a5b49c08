package sim

import (
	"slices"
	"strconv"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/store"
)

// connection is a client's connection to a node. It may stay open for several submissions, one at a time, and what it
// has selected, watched and queued stays with it.
type connection struct {
	number  uint64
	node    *node
	store   *store.Store // of the process that it leads to
	session *command.Session
	lines   uint64 // sent
	busy    bool   // a submission is on its way
	closed  bool

	at      engine.Ref // selected
	multi   bool       // queueing for EXEC
	queued  []*call    // since MULTI
	chosen  engine.Ref // selected among what is queued
	watched []*call
	cursor  string // of an iteration of SCAN that is under way, "" if none is
	pattern string // of that
}

// connectionsMax bounds the connections that are kept open.
const connectionsMax = 6

// connect opens a connection to a node.
func (w *world) connect(n *node) *connection {
	w.clients.connected++
	c := &connection{number: w.clients.connected, node: n, store: n.store}
	c.session = command.NewSession(c.number, sessionHost{n, auth.Off()}, "peer", "local")
	return c
}

// connection returns an open one that nobody uses, or a new one.
func (w *world) connection() *connection {
	all := &w.clients
	all.open = slices.DeleteFunc(all.open, func(c *connection) bool { return !c.open() })
	if n := len(all.open); n > 0 && w.rng.IntN(3) > 0 {
		if c := all.open[w.rng.IntN(n)]; !c.busy {
			return c
		}
	}
	c := w.connect(w.any())
	if len(all.open) < connectionsMax {
		all.open = append(all.open, c)
	}
	return c
}

// open reports whether the connection still leads to a process.
func (c *connection) open() bool { return !c.closed && c.node.up && c.node.store == c.store }

// say makes the call of a line and notes what it means for those behind it.
func (c *connection) say(l *line) {
	c.lines++
	l.call = &call{
		client: command.Client{Session: c.number, Sequence: c.lines}, words: l.words, at: c.at,
	}
	switch name := l.words[0]; {
	case name == "EXEC":
		l.call.queued, l.call.watched = c.queued, c.watched
		c.multi, c.queued, c.watched = false, nil, nil
	case name == "DISCARD":
		c.multi, c.queued, c.watched = false, nil, nil
	case c.multi:
		l.call.inside, l.call.at = true, c.chosen
		c.queued = append(c.queued, l.call)
		if name == "SELECT" {
			c.chosen = databaseOf(l.words)
		}
	case name == "MULTI":
		c.multi, c.chosen = true, c.at
	case name == "WATCH":
		c.watched = append(c.watched, l.call)
	case name == "UNWATCH":
		c.watched = nil
	case name == "NAMESPACE":
		l.call.at = engine.NoNamespace
	case name == "SELECT" && !l.call.selectsName():
		c.at, c.cursor = databaseOf(l.words), ""
	}
}

func databaseOf(words []string) engine.Ref {
	n, _ := strconv.ParseInt(words[1], 10, 16)
	return engine.Ref{Number: int16(n)}
}

// told notes what the answer to a call means for the lines to come.
func (c *connection) told(call *call) {
	a := call.answer
	switch call.words[0] {
	case "SELECT":
		if call.selectsName() {
			c.at, c.cursor = c.session.Namespace.Ref, ""
			call.chosen = c.at
		}
	case "EXEC":
		for _, q := range call.queued {
			if q.words[0] == "SELECT" && a.kind == '*' && !a.null { // it holds if the transaction was carried out
				c.at, c.cursor = databaseOf(q.words), ""
			}
		}
	case "SCAN":
		c.cursor = ""
		if !call.inside && len(a.parts) == 2 && a.parts[0].text != "0" {
			c.cursor = a.parts[0].text
		}
	}
}
