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
	n := 0
	for n < len(calls) && out.Len() < answerBytesMax {
		c := &calls[n]
		out.Mark()
		switch s.gate(ctx, session, c, out, nil) {
		case read:
			s.answer(ctx, c, out)
		case write:
			r := newRun(out)
			r.add(op{call: c})
			return n + s.carry(ctx, session, r, calls[n+1:])
		}
		n++
		if session.Halts() {
			break
		}
	}
	return n
}

// carry fills a run that begins with a write with the calls that can go with it, sends it through the
// log and waits. It returns how many calls it has answered.
func (s *Store) carry(
	ctx context.Context, session *command.Session, r *run, calls []command.Call,
) int {
	start := r.out.Len()
	for i := range calls {
		if session.Halts() || !s.extend(ctx, session, r, &calls[i]) {
			break
		}
	}
	n := len(r.ops)
	s.await(ctx, r)
	s.collect(ctx, r, start)
	return n
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
func (s *Store) await(ctx context.Context, r *run) {
	if !s.batcher.add(r) {
		s.refuseAll(r)
	}
	timer := s.source.NewTimer(s.limits.Deadline)
	defer timer.Stop()
	select {
	case <-r.done:
		return
	case <-ctx.Done():
	case <-timer.C():
	}
	s.batcher.withdraw(r)
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
// reply, and lets go of the run.
func (s *Store) collect(ctx context.Context, r *run, start int) {
	abandoned := r.giveUp()
	if r.inOrder(start) {
		r.recycle()
		return
	}
	out := r.out
	made := append([]byte(nil), out.Bytes()[start:]...)
	out.Truncate(start)
	for i := range r.ops {
		o := &r.ops[i]
		switch o.state {
		case answered:
			out.Raw(made[o.from-start : o.to-start])
		case unknown:
			out.Error(errUncertain)
		case unridden:
			s.answer(ctx, o.call, out)
		default:
			out.Error(errNotApplied)
		}
	}
	if !abandoned {
		select {
		case <-r.done:
		default:
		}
		r.recycle()
	}
}
