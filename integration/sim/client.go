package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
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
}

// submission is what a client has sent and waits for.
type submission struct {
	node   *node
	lines  []line
	reply  []byte // what has been answered so far
	ended  bool
	paused bool          // between two calls of Do, so that the world says who of many goes on first
	resume chan struct{} // gets a value for the next call of Do
	cancel context.CancelFunc
}

// send gives lines to a node as a front door does, and returns at once.
func (n *node) send(lines []line) *submission {
	calls := make([]command.Call, len(lines))
	for i, l := range lines {
		for _, word := range l.words {
			calls[i].Args = append(calls[i].Args, []byte(word))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &submission{node: n, lines: lines, resume: make(chan struct{}), cancel: cancel}
	session := command.NewSession(1, sessionHost{n, auth.Off()}, "peer", "local")
	session.Stale = n.plant == readsStale
	go func() {
		for done := 0; done < len(calls); {
			part := command.NewReply(2, nil)
			done += n.store.Do(ctx, session, calls[done:done+n.piece(calls[done:])], part)
			s.reply = append(s.reply, n.plant.answer(part.Bytes())...)
			if done < len(calls) {
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

// piece returns how many of the calls go into one call of Do: all of them, or up to the first read that may
// wait. What many wait for wakes them all at once, and whose next write is then the first would be up to
// the scheduler of goroutines.
func (n *node) piece(calls []command.Call) int {
	for i := range calls {
		switch args := calls[i].Args; string(args[0]) {
		case "EXEC":
			if !n.group.TryRead() {
				return i + 1
			}
		case "GET", "MGET", "KEYS":
			if !n.group.TryRead() || args[1][0] == 'f' {
				return i + 1
			}
		}
	}
	return len(calls)
}

// goOn lets a paused submission continue, as far as it can.
func (s *submission) goOn() {
	for s.paused {
		s.paused = false
		s.resume <- struct{}{}
		s.node.wait()
	}
}

// applied reports whether every line was answered for good.
func (s *submission) applied() bool {
	for _, l := range s.lines {
		for _, r := range l.records {
			if r.outcome != applied {
				return false
			}
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

// settle notes the answers that have come in the records.
func (s *submission) settle(step int, wall time.Time) error {
	answers, err := readAnswers(s.reply)
	if err != nil || len(answers) > len(s.lines) {
		return fmt.Errorf("%d answers to %d lines: %w", len(answers), len(s.lines), err)
	}
	for i, a := range answers {
		l := s.lines[i]
		for j, r := range l.records {
			r.end, r.wallEnd = step, wall.UnixMilli()
			of := a
			if l.many && a.kind == '*' {
				if len(a.parts) != len(l.records) {
					return fmt.Errorf("%s is the answer to %v", a, l.words)
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
		if len(l.records) == 0 && a.kind == '-' && !a.fails("TRYAGAIN") {
			return fmt.Errorf("%s is the answer to %v", a, l.words)
		}
	}
	return nil
}

// asker makes up what clients ask.
type asker struct {
	rng     *rand.Rand
	history *history
	sent    int // submissions
	made    int // tokens, values and fading keys
	fading  []string
	large   bool
}

const (
	listKeys     = 4
	registerKeys = 3
)

// ask returns a submission's lines.
func (a *asker) ask(step int, wall time.Time) []line {
	var lines []line
	a.sent++
	from := len(a.history.records)
	for n := 1 + a.rng.IntN(6); n > 0; n-- {
		lines = append(lines, a.one()...)
	}
	a.stamp(from, step, wall)
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
	r.key = "f" + r.arg
	a.fading = append(a.fading, r.key)
	return line{
		words:   []string{"SET", r.key, r.arg, "PX", fmt.Sprint(r.life.Milliseconds())},
		records: []*record{r},
	}
}

// everything reads every key that was ever named.
func (a *asker) everything(step int, wall time.Time) []line {
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
	return lines
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
