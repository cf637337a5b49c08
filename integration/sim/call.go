package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
)

// call is a line that a client has sent, and what it was told. The numbers of a client's connection and of the line on
// it go with it into the log, so that its entry is found.
type call struct {
	client  command.Client
	words   []string
	at      engine.Ref // the namespace that is selected
	chosen  engine.Ref // of a SELECT by name: what was selected
	inside  bool       // it was queued for EXEC
	queued  []*call    // of EXEC
	watched []*call    // of EXEC: the WATCH lines that it may hang on

	begin, end         int // when it was sent and answered, in steps of the world; never: not answered
	wallBegin, wallEnd int64
	answer             *answer // nil: there was none
}

func (c *call) String() string {
	told := "nothing"
	if c.answer != nil {
		told = brief(c.answer.String())
	}
	var queued strings.Builder
	for _, q := range c.queued {
		fmt.Fprintf(&queued, " [%s]", brief(strings.Join(q.words, " ")))
	}
	return fmt.Sprintf("%d.%d [%d, %d] in %v: %s%s -> %s", c.client.Session, c.client.Sequence, c.begin, c.end,
		c.at, brief(strings.Join(c.words, " ")), &queued, told)
}

// refuses tells answers that say that nothing has happened. OOM is none of them: the log says so.
func (a answer) refuses() bool {
	for _, prefix := range []string{"TRYAGAIN", "LOADING", "DISKFULL", "EXECABORT"} {
		if a.fails(prefix) {
			return true
		}
	}
	return false
}

// outcome is what the client knows of the call.
func (c *call) outcome() outcome {
	switch {
	case c.answer == nil, c.answer.fails("UNCERTAIN"):
		return unknown
	case c.answer.refuses():
		return refused
	}
	return applied
}

// way is how a call is carried out.
type way uint8

const (
	atOnce  way = iota // on the connection
	inState            // a read of the state
	inLog
)

// way tells how the call is to be carried out. A transaction of reads of one namespace is one read, unless it hangs on
// watched keys.
func (c *call) way() way {
	switch {
	case c.inside:
		return atOnce
	case reading[verbOf(c.words)], c.selectsName():
		return inState
	case c.words[0] != "EXEC":
		if _, writes := writing[verbOf(c.words)]; writes {
			return inLog
		}
		return atOnce
	}
	for _, w := range c.watched {
		if w.watches() {
			return inLog
		}
	}
	var first *call
	for _, q := range c.queued {
		switch {
		case q.local():
		case !reading[q.words[0]] || first != nil && first.at != q.at:
			return inLog
		default:
			first = q
		}
	}
	return inState
}

// watches tells that a WATCH holds.
func (c *call) watches() bool { return c.answer != nil && c.answer.equal(okay) }

// selectsName tells a SELECT of a named namespace, which has to look for it.
func (c *call) selectsName() bool {
	return c.words[0] == "SELECT" && slices.Contains(spaceNames, c.words[1])
}

// selectsLater tells an EXEC with a SELECT in it, which holds if the transaction is carried out.
func (c *call) selectsLater() bool {
	return slices.ContainsFunc(c.queued, func(q *call) bool { return q.words[0] == "SELECT" })
}

// local tells a line that is answered on the connection wherever it stands.
func (c *call) local() bool { return c.words[0] == "PING" || c.words[0] == "SELECT" }

// onConnection is the answer to a line that is not carried out in the state, or not yet.
func (c *call) onConnection() answer {
	if c.inside {
		return answer{kind: '+', text: "QUEUED"}
	}
	return c.ownAnswer()
}

// ownAnswer is the answer to a line that never leaves the connection, in a transaction or outside.
func (c *call) ownAnswer() answer {
	if c.words[0] == "PING" {
		return answer{kind: '+', text: "PONG"}
	}
	return okay
}

// logged reports whether a call that was found in the log is the one that was sent.
func (c *call) logged(l *command.Call) error {
	if err := sameWords(c.words, wordsOf(l.Args)); err != nil {
		return err
	}
	if c.words[0] != "EXEC" {
		if l.Sub != nil || l.Namespace != c.at {
			return fmt.Errorf("it is in the log for namespace %v, with %d queued calls", l.Namespace, len(l.Sub))
		}
		return nil
	}
	if len(l.Sub) != len(c.queued) {
		return fmt.Errorf("%d queued calls are in the log", len(l.Sub))
	}
	for i, q := range c.queued {
		var want []string
		if !q.local() {
			want = q.words
			if l.Sub[i].Namespace != q.at {
				return fmt.Errorf("its %q is in the log for namespace %v", q.words, l.Sub[i].Namespace)
			}
		}
		if err := sameWords(want, wordsOf(l.Sub[i].Args)); err != nil {
			return err
		}
	}
	return nil
}

func sameWords(sent, logged []string) error {
	if len(sent) != len(logged) || strings.Join(sent, "\x00") != strings.Join(logged, "\x00") {
		return fmt.Errorf("%.200q is in the log for %.200q", logged, sent)
	}
	return nil
}
