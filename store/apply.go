package store

import (
	"errors"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/raft"
)

const (
	// yieldCalls is after how many calls of one entry the namespaces' locks are let go once, so that
	// readers wait for some 50 us and not for a whole entry.
	yieldCalls = 64
	// ridersBytesMax is the size of a run's answers above which a read no longer rides if it can be answered
	// later as well, and ridersBytesHard above which it does not even if it cannot.
	ridersBytesMax  = 1 << 20
	ridersBytesHard = 64 << 20
)

// Apply applies committed entries. See raft.StateMachine. It is total: whatever stands in an entry, every
// node does the same. An entry that this binary cannot read ends the process, because going on without
// its effects would contradict the nodes that can.
func (s *Store) Apply(tag raft.Term, entries []raft.Entry) {
	if s.halted() { // behind a hole nothing may follow
		return
	}
	s.curtain.raise(tag, s.applied.Charter.Serving)
	for i := range entries {
		e := &entries[i]
		if e.Term > s.applied.Term {
			s.passOver(e.Term)
			s.applied.Term = e.Term
		}
		if len(e.Data) > 0 {
			if err := s.applyEntry(e.Data); err != nil {
				s.failed.Store(true)
				s.fatal(err)
				return
			}
		}
		s.applied.Index = e.Index
		if len(e.Data) > 0 {
			s.noteDigest()
		}
		s.sinceCheckpoint.Add(int64(len(e.Data)) + entryOverhead)
	}
	s.afterApply()
}

// passOver takes back the writes that were proposed for a term that has ended: the log holds an entry of a later
// term before them, so as they were sent they can never be applied. Of those that were on their way when a checkpoint
// was installed nobody knows.
func (s *Store) passOver(term raft.Term) {
	passed := s.waiters.takeBelow(term)
	certain := passed[:0]
	for _, w := range passed {
		if w.jumped {
			w.run.lose(w.op)
		} else {
			certain = append(certain, w)
		}
	}
	if len(certain) > 0 {
		s.batcher.putBack(certain)
	}
}

func (s *Store) applyEntry(data []byte) error {
	o := &s.opened
	if err := o.open(data); err != nil {
		return err
	}
	b := s.state().Begin(o.LogTime, o.Seed)
	defer s.settleAnswered()
	defer b.End()
	b.LimitMemory(o.MemoryMax)
	if o.Reap > 0 {
		b.Reap(o.Reap)
	}
	for n := 1; o.more(); n++ {
		if err := o.next(); err != nil {
			return err
		}
		if err := s.applyCall(b); err != nil {
			return err
		}
		if n%yieldCalls == 0 {
			b.Yield()
			s.settleAnswered()
		}
	}
	return nil
}

// applyCall applies the call that has just been read and answers it if it came from here. The namespace is locked
// first, which may have to wait for readers; the connection must be able to give up meanwhile.
func (s *Store) applyCall(b *engine.Batch) error {
	o := &s.opened
	tx, refusal, err := s.enter(b, &o.call)
	if err != nil {
		return err
	}
	if o.origin.Node == s.node && o.origin.Process == s.process {
		if w, waiting := s.waiters.take(o.origin.Sequence); waiting {
			s.answerWrite(b, tx, refusal, w)
			return nil
		}
	}
	s.scratch.Reset()
	perform(tx, &o.call, refusal, &s.scratch)
	return nil
}

// answerWrite applies a call that a connection waits for, and the reads that ride on it.
func (s *Store) answerWrite(b *engine.Batch, tx *engine.Tx, refusal *command.Error, w waiter) {
	r, c := w.run, &s.opened.call
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		s.scratch.Reset()
		perform(tx, c, refusal, &s.scratch)
		return
	}
	c.Answers = r.ops[w.op].call.Answers
	o := &r.ops[w.op]
	o.from = r.out.Len()
	perform(tx, c, refusal, r.out)
	o.to = r.out.Len()
	for i := w.op + 1; i < len(r.ops) && r.ops[i].kind != writeOp; i++ {
		if r.ops[i].kind == riderOp {
			ride(b, r, i)
		}
	}
	s.answered = append(s.answered, w)
}

// settleAnswered wakes the connections whose calls have been applied, once others can see what they did and
// the locks that they will want are free. Behind the curtain they wait on.
func (s *Store) settleAnswered() {
	if term := s.applied.Term; s.curtain.hides(term) {
		for _, w := range s.answered {
			s.curtain.held = append(s.curtain.held, held{w, term})
		}
	} else {
		for _, w := range s.answered {
			w.run.show(w.op)
		}
	}
	if len(s.answered) > 0 && s.committed != nil {
		s.committed(s.source.Boot() - s.answered[0].sent)
	}
	clear(s.answered)
	s.answered = s.answered[:0]
}

// ride answers a read at the place in the log where the write before it stands. It is settled with that write.
// The caller holds r.mu.
func ride(b *engine.Batch, r *run, i int) {
	o := &r.ops[i]
	if held := r.out.Len(); held > ridersBytesMax {
		follows := r.writeFollows(i)
		if !follows {
			r.settle(i, unridden)
			return
		}
		if held > ridersBytesHard {
			r.settle(i, refused)
			return
		}
	}
	o.from = r.out.Mark()
	tx, err := b.Tx(o.call.Credential, o.call.Namespace)
	if err != nil {
		r.out.Error(engineError(err))
	} else {
		o.call.Spec.Read(&tx.View, o.call, r.out)
		tx.Rollback()
	}
	o.to = r.out.Len()
}

// enter begins the transaction of a call. A refusal is the answer to a call that is not to be carried out; an error
// means that this binary does not know the command.
func (s *Store) enter(b *engine.Batch, c *command.Call) (*engine.Tx, *command.Error, error) {
	if err := s.prepare(c); err != nil {
		if c.Spec == nil {
			return nil, nil, errors.New("store: the log holds a command this binary does not know (" +
				err.Text + "): start a newer binary on this data directory")
		}
		return nil, err, nil
	}
	tx, err := b.Tx(c.Credential, c.Namespace)
	if err != nil {
		return nil, engineError(err), nil
	}
	if grows(c) && !tx.MayGrow() {
		tx.Rollback()
		return nil, command.ErrOutOfMemory, nil
	}
	return tx, nil, nil
}

// perform carries a write out and appends its answer.
func perform(tx *engine.Tx, c *command.Call, refusal *command.Error, out *command.Reply) {
	out.Mark()
	if refusal != nil {
		out.Error(refusal)
		return
	}
	c.Spec.Write(tx, c, out)
	if out.Code() != command.OK && c.Sub == nil { // EXEC undoes the calls that failed by itself
		tx.Rollback()
		return
	}
	tx.Commit()
}

// prepare resolves the names of a call from the log, and of the calls in it. If the names do not mean what
// they must, the call has no Spec.
func (s *Store) prepare(c *command.Call) *command.Error {
	if err := s.registry.Prepare(c); err != nil {
		return err
	}
	if c.Spec.Write == nil || (c.Spec == s.exec) != (c.Sub != nil) {
		c.Spec = nil
		return errNoWrite
	}
	for i := range c.Sub {
		sub := &c.Sub[i]
		if sub.Args == nil {
			continue
		}
		err := s.registry.Prepare(sub)
		if err == nil && (sub.Spec.Read == nil && sub.Spec.Write == nil || sub.Spec == s.exec) {
			err = errNoWrite
		}
		if err != nil {
			c.Spec = nil // they were accepted when they were queued
			return err
		}
	}
	return nil
}

// errNoWrite tells of a name in the log that another version knows as that of a write.
var errNoWrite = command.Errorf(command.Internal, "it is no write")

// grows reports whether a call may make the state grow.
func grows(c *command.Call) bool {
	if c.Spec.Flags.Has(command.DenyGrowth) {
		return true
	}
	for i := range c.Sub {
		if spec := c.Sub[i].Spec; spec != nil && spec.Flags.Has(command.DenyGrowth) {
			return true
		}
	}
	return false
}

// engineError translates the engine's refusals of a namespace.
func engineError(err error) *command.Error {
	switch {
	case errors.Is(err, engine.ErrNoNamespace):
		return command.Errorf(command.NoNamespace, "the selected namespace does not exist any more")
	case errors.Is(err, engine.ErrNotOwner):
		return command.Errorf(command.NoPerm, "the namespace belongs to another credential")
	}
	return command.Errorf(command.Internal, "%v", err)
}
