package store

import (
	"context"

	"github.com/primatomic/primatomic/command"
)

// answerBytesMax is the size of answers above which Do returns, so that the front door sends them
// before more are made. One answer may be larger.
const answerBytesMax = 1 << 20

// step is what became of a call at the gate.
type step uint8

const (
	done   step = iota // answered already
	read               // to be answered from memory
	write              // to go through the log
	behind             // not looked at: must wait until all before it are answered
)

// Do carries out a prefix of calls. See command.Executor.
func (s *Store) Do(
	ctx context.Context, session *command.Session, calls []command.Call, out *command.Reply,
) int {
	n := s.do(ctx, session, calls, out)
	s.calls.Add(uint64(n))
	return n
}

func (s *Store) do(
	ctx context.Context, session *command.Session, calls []command.Call, out *command.Reply,
) int {
	p := s.patience(ctx)
	defer p.end()
	for n := 0; ; {
		c := &calls[n]
		from := out.Mark()
		switch s.gate(ctx, session, c, out, nil) {
		case read:
			if session.Stale {
				s.answerStale(&p, c, out)
			} else {
				s.answer(&p, c, out)
			}
			settleExec(session, out.Bytes()[from:])
		case write:
			r, following := s.newRun(out), calls[n+1:]
			r.add(op{call: c})
			if session.Tentative() {
				following = nil
			}
			n += s.carry(&p, session, r, following)
			settleExec(session, out.Bytes()[from:])
			return n
		}
		n++
		if n == len(calls) || out.Len() >= answerBytesMax || session.Halts() {
			return n
		}
	}
}

// settleExec lets what an EXEC has changed of its session hold if the answer says that it was carried out.
func settleExec(session *command.Session, answer []byte) {
	if session.Tentative() {
		session.SettleExec(len(answer) > 1 && answer[0] == '*' && answer[1] != '-')
	}
}

// carry fills a run that begins with a write with the calls that can go with it, sends it through the
// log and waits. It returns how many calls it has answered.
func (s *Store) carry(p *patience, session *command.Session, r *run, calls []command.Call) int {
	start := r.out.Len()
	for i := range calls {
		if session.Halts() || !s.extend(p.ctx, session, r, &calls[i]) {
			break
		}
	}
	s.await(p, r)
	return s.collect(p, r, start)
}

// extend adds a call to a run; false if it must wait until the run has been answered.
func (s *Store) extend(
	ctx context.Context, session *command.Session, r *run, c *command.Call,
) bool {
	o := op{call: c, from: r.out.Mark()}
	switch s.gate(ctx, session, c, r.out, r) {
	case behind:
		return false
	case done:
		o.kind, o.state, o.to = readyOp, answered, r.out.Len()
	case read:
		o.kind = riderOp
	case write:
		if s.answersValue(c) {
			if r.values == valuesMax { // a gate passed twice does no harm but to EXEC, which it stops itself
				return false
			}
			r.values++
		}
	}
	r.add(o)
	return true
}

// await hands a run to the batcher and waits until each of its calls is settled, or the time is up.
func (s *Store) await(p *patience, r *run) {
	switch {
	case p.over || !s.batcher.add(r):
		s.refuseAll(r)
	case !p.wait(r.done):
		s.batcher.withdraw(r)
	}
}

// refuseAll answers a run that the batcher has not accepted.
func (s *Store) refuseAll(r *run) {
	for i := range r.ops {
		if r.ops[i].kind == writeOp {
			r.refuse(i)
		}
	}
}

// collect puts the answers of a run into the order of its calls, behind the first start bytes of its
// reply, and lets go of the run. It returns how many calls it has answered: it leaves out reads at the end
// that have not been answered yet when there is enough to send.
func (s *Store) collect(p *patience, r *run, start int) int {
	abandoned := r.giveUp()
	n := len(r.ops)
	if !r.inOrder(start) {
		n = s.sort(p, r, start)
	}
	if abandoned { // its writes may still come by
		s.forget(r)
		return n
	}
	select {
	case <-r.done: // the last answer came when the time was up
	default:
	}
	s.recycle(r)
	return n
}

// forget takes the writes of a run out of the waiters, which the batcher no longer has and nobody waits for any more.
// What was sent to a leader and lost would stay among them for as long as it leads.
func (s *Store) forget(r *run) {
	for i := range r.ops {
		if o := &r.ops[i]; o.sequence != 0 {
			s.waiters.take(o.sequence)
		}
	}
}

// sort is collect for answers that are missing or not in order.
func (s *Store) sort(p *patience, r *run, start int) int {
	out := r.out
	made := append([]byte(nil), out.Bytes()[start:]...)
	out.Truncate(start)
	for i := range r.ops {
		switch o := &r.ops[i]; o.state {
		case answered:
			out.Raw(made[o.from-start : o.to-start])
		case unknown:
			out.Error(errUncertain)
		case unridden:
			if out.Len() >= answerBytesMax && i > r.lastDone() {
				return i
			}
			s.answer(p, o.call, out)
		default:
			out.Error(errNotApplied)
		}
	}
	return len(r.ops)
}
