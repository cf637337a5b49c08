package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
)

// submissionMax bounds the calls of one submission.
const submissionMax = 32

// line is a command line and the records that its answer is for: one, or one for each element.
type line struct {
	words   []string
	records []*record
	many    bool
	call    *call // made when it is sent
}

// submission is what a client has sent and waits for.
type submission struct {
	node       *node
	connection *connection
	lines      []line
	reply      []byte // what has been answered so far
	ended      bool
	left       bool          // nobody waits for what has not been answered
	paused     bool          // between two calls of Do, so that the world says who of many goes on first
	resume     chan struct{} // gets a value for the next call of Do
	cancel     context.CancelFunc
}

// clients are what they have sent, and the connections that they keep open.
type clients struct {
	calls     []*call       // in the order of their sending
	left      []*submission // that nobody waits for, as the process has ended
	open      []*connection
	connected uint64 // connections that were opened
}

// ask has one of the clients send something.
func (w *world) ask() {
	c := w.connection()
	w.send(c, w.asker.ask(c, w.now, w.clock.Now()))
}

const (
	huntedKey = "p0"
	// huntersMax bounds the hunters beside the other clients.
	huntersMax = 8
)

// hunt has somebody write a key through any node, or read it at one that thinks that it leads. What is wrong with
// leases shows only between a former leader and a new one, and not for long.
func (w *world) hunt() {
	if len(w.waiting) >= w.options.clients+huntersMax {
		return
	}
	n, l := w.any(), lineOf("SET", huntedKey, w.asker.fresh())
	if w.rng.IntN(2) == 0 {
		n, l = w.thinksItLeads(), lineOf("GET", huntedKey)
	}
	c := w.connect(n)
	w.send(c, w.asker.say(c, l))
}

// send sends lines on a connection.
func (w *world) send(c *connection, lines []line) *submission {
	for _, l := range lines {
		l.call.begin, l.call.end = w.now, never
		l.call.wallBegin, l.call.wallEnd = w.clock.Now().UnixMilli(), w.clock.Now().UnixMilli()
		w.clients.calls = append(w.clients.calls, l.call)
	}
	s := c.send(lines)
	w.waiting = append(w.waiting, s)
	return s
}

// send gives lines to the node as a front door does, and returns at once.
func (c *connection) send(lines []line) *submission {
	calls := make([]command.Call, len(lines))
	for i, l := range lines {
		calls[i].Client = l.call.client
		for _, word := range l.words {
			calls[i].Args = append(calls[i].Args, []byte(word))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := c.node
	s := &submission{node: n, connection: c, lines: lines, resume: make(chan struct{}), cancel: cancel}
	c.busy = true
	go func() {
		for done := 0; done < len(calls) && !s.left; {
			part := command.NewReply(2, nil)
			done += c.store.Do(ctx, c.session, calls[done:done+n.piece(lines[done:])], part)
			s.reply = append(s.reply, part.Bytes()...)
			if done < len(calls) && !s.left {
				s.paused = true
				<-s.resume
			}
		}
		scribble(calls)
		s.ended = true
	}()
	n.wait()
	return s
}

// piece returns how many of the lines go into one call of Do: all of them, or up to the first read that may
// wait. What many wait for wakes them all at once, and whose next write is then the first would be up to
// the scheduler of goroutines. A quick read behind a write is answered where that is applied.
func (n *node) piece(lines []line) int {
	ready, riding := n.group.TryRead(), false
	for i, l := range lines {
		switch c := l.call; {
		case c.way() == inLog:
			riding = true
		case riding && (c.way() == atOnce || quick[c.words[0]]) && c.words[0] != "WATCH":
		case c.mayWait(ready):
			return i + 1
		default:
			riding = false
		}
	}
	return len(lines)
}

// quick are the reads of a fixed number of keys, and of a figure.
var quick = map[string]bool{
	"GET": true, "MGET": true, "EXISTS": true, "TTL": true, "PTTL": true, "PEXPIRETIME": true, "DBSIZE": true,
}

// mayWait reports whether a line may have to wait for something else than its place in the log: a read point, unless
// one is ready; the end of a key that is there by the log and has expired by the clock; the opening of the curtain.
func (c *call) mayWait(ready bool) bool {
	switch {
	case c.inside:
		return false
	case c.way() == inState && c.words[0] != "EXEC":
		return !ready || c.meetsDeadlines()
	case c.words[0] == "EXEC":
		for _, q := range c.queued {
			if q.meetsDeadlines() {
				return true
			}
		}
		return !ready
	}
	return c.words[0] == "WATCH"
}

// meetsDeadlines reports whether a line looks at keys that may have a deadline.
func (c *call) meetsDeadlines() bool {
	switch c.words[0] {
	case "KEYS", "SCAN", "LISTKEYS":
		return true
	}
	for _, word := range c.words[1:] {
		if strings.HasPrefix(word, fadingKeys) || strings.HasPrefix(word, mortalKeys) {
			return true
		}
	}
	return false
}

// goOn lets a paused submission continue, as far as it can.
func (s *submission) goOn() {
	for s.paused {
		s.paused = false
		s.resume <- struct{}{}
		s.node.wait()
	}
}

// end waits until nothing goes on any more for what was asked: a WATCH hears of nothing but the time.
func (s *submission) end() {
	for !s.ended {
		s.node.clock.Advance(time.Second)
		s.node.wait()
	}
}

// leave ends the connection before the answers have come.
func (s *submission) leave() {
	s.connection.closed = true
	s.cancel()
}

// applied reports whether every line was answered for good.
func (s *submission) applied() bool {
	for _, l := range s.lines {
		if l.call.outcome() != applied {
			return false
		}
	}
	return true
}

// scribble overwrites the arguments: once a call is answered its bytes are the front door's again.
func scribble(calls []command.Call) {
	for i := range calls {
		for _, arg := range calls[i].Args {
			for j := range arg {
				arg[j] = '!'
			}
		}
	}
}

// settle notes the answers that have come in the calls and the records.
func (s *submission) settle(step int, wall time.Time) error {
	answers, err := readAnswers(s.reply)
	if err != nil || len(answers) > len(s.lines) {
		return fmt.Errorf("%d answers to %d lines: %w", len(answers), len(s.lines), err)
	}
	for i := range answers {
		if err := s.lines[i].settle(&answers[i], step, wall); err != nil {
			return err
		}
		s.connection.told(s.lines[i].call)
	}
	s.connection.busy = false
	s.connection.closed = s.connection.closed || len(answers) < len(s.lines)
	return nil
}

// settle notes the answer to one line.
func (l *line) settle(a *answer, step int, wall time.Time) error {
	c := l.call
	c.answer = a
	if c.outcome() != unknown {
		c.end, c.wallEnd = step, wall.UnixMilli()
	}
	if c.way() == atOnce && !a.refuses() && !a.equal(c.onConnection()) && !(c.words[0] == "WATCH" && a.equal(noSpace)) {
		return fmt.Errorf("an answer that cannot be: %s", c)
	}
	for j, r := range l.records {
		r.end, r.wallEnd = step, wall.UnixMilli()
		of := *a
		if l.many && a.kind == '*' && !a.null {
			if len(a.parts) != len(l.records) {
				return fmt.Errorf("an answer of the wrong length: %s", c)
			}
			of = a.parts[j]
		}
		if err := r.take(of); err != nil {
			return err
		}
		if r.outcome == unknown {
			r.end = never
		}
	}
	return nil
}

// sessionHost is what sessions see of a node.
type sessionHost struct {
	node *node
	auth.Authenticator
}

func (h sessionHost) Now() time.Time { return h.node.clock.Now() }

func (h sessionHost) FindNamespace(ctx context.Context, name string) (engine.Info, *command.Error) {
	return h.node.store.FindNamespace(ctx, name)
}

func (h sessionHost) Watch(credential string, ref engine.Ref, key []byte) (command.Watch, *command.Error) {
	return h.node.store.Watch(credential, ref, key)
}

func (h sessionHost) Node() command.Node { return nil }
