package command

import (
	"context"

	"github.com/primatomic/primatomic/engine"
)

// Bounds of a transaction. Each queued call and each watched key is counted with an overhead, so the
// bound on bytes bounds their number too.
const (
	transactionBytesMax = 64 << 20
	queuedOverhead      = 256 // a Call and its place in the queue
	argOverhead         = 24  // a slice header

	// answersBytesMax bounds the answer to EXEC, of which a few bytes of queued reads can make much. Up
	// to one answer more is held while it is made.
	answersBytesMax = 64 << 20
)

var errAnswerLeftOut = Errorf(TooLarge, "answer left out, but writes were carried out: "+
	"the answers to a transaction are at most %d bytes", answersBytesMax)

func transactionCommands() []*Spec {
	return []*Spec{
		{
			Name: "multi", Conn: multi, Family: Transactions, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast | MultiNow,
			Summary: "Starts a transaction.",
		},
		{
			Name: "exec", Write: execWrite, Family: Transactions, Since: "0.1.0",
			Cost:    "that of its commands",
			Flags:   MultiNow | Barrier | AnyNamespace | NoKeys,
			Summary: "Carries out the commands of a transaction at one moment.",
		},
		{
			Name: "discard", Conn: discard, Family: Transactions, Since: "0.1.0",
			Cost:    "O(N) in queued commands",
			Flags:   Fast | MultiNow,
			Summary: "Forgets a transaction and what was watched.",
		},
		{
			Name: "watch", Conn: watch, Family: Transactions, Since: "0.1.0", Cost: "O(1) per key",
			Flags:   Fast | MultiNow | Barrier,
			Args:    []Arg{Many(Key("key", Inspects))},
			Summary: "Lets the next EXEC do nothing if one of the keys changes before it.",
		},
		{
			Name: "unwatch", Conn: unwatch, Family: Transactions, Since: "0.1.0", Cost: "O(1)",
			Flags:   Fast,
			Summary: "Forgets what was watched.",
		},
	}
}

// Multi is the state of a transaction under construction.
type Multi struct {
	Active  bool
	Broken  bool // a queued command was refused: EXEC will answer EXECABORT
	Queue   []Call
	Watched []Watch
	bytes   int // held by Queue and Watched
}

// charge takes the memory of what the session is to keep for its transaction.
func (s *Session) charge(bytes int) *Error {
	if s.Multi.bytes+bytes > transactionBytesMax {
		return Errorf(TooLarge, "transaction is too large: "+
			"its commands and watched keys take more than %d bytes", transactionBytesMax)
	}
	if !s.Transactions.Take(int64(bytes)) {
		return errTransactionsFull
	}
	s.Multi.bytes += bytes
	return nil
}

// errTransactionsFull refuses to keep more for transactions than the node has room for.
var errTransactionsFull = &Error{
	NotApplied, "the transactions that are being put together on this node take too much memory",
}

// uncharge gives memory back.
func (s *Session) uncharge(bytes int) {
	s.Transactions.Give(int64(bytes))
	s.Multi.bytes -= bytes
}

func multi(_ context.Context, s *Session, _ *Call, r *Reply) {
	if s.Multi.Active {
		r.Error(&Error{Invalid, "MULTI calls can not be nested"})
		return
	}
	s.Multi.Active = true
	s.publish()
	r.OK()
}

func discard(_ context.Context, s *Session, _ *Call, r *Reply) {
	if !s.Multi.Active {
		r.Error(&Error{Invalid, "DISCARD without MULTI"})
		return
	}
	s.endMulti()
	r.OK()
}

func unwatch(_ context.Context, s *Session, _ *Call, r *Reply) {
	s.unwatch()
	r.OK()
}

// watch is WATCH. It is watched either all keys or none.
func watch(_ context.Context, s *Session, c *Call, r *Reply) {
	if s.Multi.Active {
		r.Error(&Error{Invalid, "WATCH inside MULTI is not allowed"})
		return
	}
	if err := s.watch(c); err != nil {
		r.Error(err)
		return
	}
	s.publish()
	r.OK()
}

func (s *Session) watch(c *Call) *Error {
	if err := s.mayRead(c.Spec); err != nil {
		return err
	}
	before, charged := len(s.Multi.Watched), s.Multi.bytes
	for _, key := range c.Args[1:] {
		seen, err := s.Host.Watch(c.Credential, c.Namespace, key)
		if err == nil {
			err = s.charge(queuedOverhead + len(key))
		}
		if err != nil {
			clear(s.Multi.Watched[before:])
			s.Multi.Watched = s.Multi.Watched[:before]
			s.uncharge(s.Multi.bytes - charged)
			return err
		}
		seen.Key = append([]byte(nil), key...)
		s.Multi.Watched = append(s.Multi.Watched, seen)
	}
	return nil
}

// unwatch forgets what was watched.
func (s *Session) unwatch() {
	for i := range s.Multi.Watched {
		s.uncharge(queuedOverhead + len(s.Multi.Watched[i].Key))
	}
	s.Multi.Watched = nil
	s.publish()
}

// endMulti forgets the transaction and what was watched.
func (s *Session) endMulti() {
	s.Close()
	s.Multi = Multi{}
	s.publish()
}

// Close gives back what the session keeps. The front door calls it when the connection has ended.
func (s *Session) Close() { s.uncharge(s.Multi.bytes) }

// Enqueue keeps a copy of an admitted call for EXEC. The gate answers QUEUED, or what Refuse makes of
// the error.
func (s *Session) Enqueue(c *Call) *Error {
	if c.Spec.Flags.Has(NoMulti) {
		return &Error{Invalid, "Command not allowed inside a transaction"}
	}
	bytes := 0
	for _, arg := range c.Args {
		bytes += len(arg)
	}
	if err := s.charge(queuedOverhead + len(c.Args)*argOverhead + bytes); err != nil {
		return err
	}
	queued := *c
	queued.Args = make([][]byte, len(c.Args))
	text := make([]byte, 0, bytes)
	for i, arg := range c.Args {
		at := len(text)
		text = append(text, arg...)
		queued.Args[i] = text[at:len(text):len(text)]
	}
	s.Multi.Queue = append(s.Multi.Queue, queued)
	s.publish()
	return nil
}

// execReads is the row of an EXEC of reads of one namespace.
var execReads = &Spec{Name: "exec", Read: execRead, Family: Transactions, Flags: AnyNamespace | NoKeys}

// TakeExec turns the session's transaction into the EXEC call c: it fills Sub, Watched and Answers,
// and the namespace that the transaction starts from. Queued calls of class Conn are carried out here, so
// that a SELECT among them holds for the calls behind it; whether what they changed of the session stays, the
// executor says with SettleExec. If nothing is left but reads of one namespace, c becomes a call of class Read. An
// error is the answer to EXEC. In either case the session's transaction is over, if there was one.
func (s *Session) TakeExec(ctx context.Context, c *Call) *Error {
	m := s.Multi
	if !m.Active {
		return &Error{Invalid, "EXEC without MULTI"}
	}
	s.endMulti()
	if m.Broken {
		return ErrExecAbort
	}
	c.Sub, c.Watched = m.Queue, m.Watched
	if c.Sub == nil {
		c.Sub = []Call{}
	}
	c.Answers = make([][]byte, len(c.Sub))
	before, held := s.standing(), 0
	s.executing = true
	defer func() { s.executing = false }()
	for i := range c.Sub {
		sub, answer := &c.Sub[i], NewReply(s.Proto, nil)
		switch err := s.admitQueued(sub); {
		case err != nil:
			answer.Error(err)
		case sub.Spec.Class() != Conn:
			continue
		case held > answersBytesMax:
			answer.Error(errAnswerLeftOut)
		default:
			sub.Spec.Conn(ctx, s, sub, answer)
		}
		*sub, c.Answers[i] = Call{}, answer.Bytes()
		held += answer.Len()
	}
	if before != s.standing() {
		s.before = &before
	}
	c.settleNamespace()
	if c.Class() == Read {
		c.Spec = execReads
	}
	return nil
}

// admitQueued asks again what was asked when the call was queued: a SELECT before it may have changed
// its namespace, and time has passed.
func (s *Session) admitQueued(c *Call) *Error {
	if err := c.Parse(); err != nil {
		return err
	}
	return s.Admit(c)
}

// settleNamespace lets a transaction start from the first namespace that one of its calls needs, and
// gives that to the calls that need none, so that they do not make it one of several namespaces.
func (c *Call) settleNamespace() {
	c.Namespace = engine.NoNamespace
	for i := range c.Sub {
		if sub := &c.Sub[i]; sub.Spec != nil && sub.Namespace != engine.NoNamespace {
			c.Namespace = sub.Namespace
			break
		}
	}
	for i := range c.Sub {
		if sub := &c.Sub[i]; sub.Spec != nil && sub.Namespace == engine.NoNamespace {
			sub.Namespace = c.Namespace
		}
	}
}

// execRead answers a transaction of reads, all at one instant.
func execRead(v *engine.View, c *Call, r *Reply) {
	v.Hold()
	c.eachQueued(r, func(sub *Call) { sub.Spec.Read(v, sub, r) })
}

// execWrite carries a transaction out, unless something that was watched has changed.
func execWrite(tx *engine.Tx, c *Call, r *Reply) {
	for i := range c.Watched {
		w := &c.Watched[i]
		in, found := tx.In(w.Namespace)
		if !found || in.ChangedSince(w.Key, w.Revision, w.Alive) {
			r.NullArray()
			return
		}
	}
	start, mark, full := r.Len(), tx.Mark(), false
	c.eachQueued(r, func(sub *Call) {
		full = full || sub.Spec.Flags.Has(DenyGrowth) && !tx.MayGrow()
		if !full {
			execOne(tx, sub, r)
		}
	})
	if full { // a transaction that memory has no room for is not carried out by half
		tx.RollbackTo(mark)
		r.Truncate(start)
		r.Error(ErrOutOfMemory)
	}
}

// execOne carries a queued call out. If it fails it is undone alone; what the others did stays.
func execOne(tx *engine.Tx, sub *Call, r *Reply) {
	in, found := tx.In(sub.Namespace)
	switch {
	case !found:
		r.Error(errNamespaceGone)
	case sub.Spec.Read != nil:
		sub.Spec.Read(&in.View, sub, r)
	default:
		mark := tx.Mark()
		r.Mark()
		sub.Spec.Write(in, sub, r)
		if r.Code() != OK {
			tx.RollbackTo(mark)
		}
	}
}

// eachQueued appends the answer to EXEC: each call's own, made by carryOut. What it leaves out depends on
// bytes that differ between nodes, so a write is carried out all the same and a read is not.
func (c *Call) eachQueued(r *Reply, carryOut func(sub *Call)) {
	r.Array(len(c.Sub))
	start, full, steps := r.Len(), false, transactionStepsMax
	for i := range c.Sub {
		sub, from := &c.Sub[i], r.Len()
		sub.Steps = &steps
		switch {
		case sub.Spec == nil:
			c.answered(i, r)
		case full && sub.Spec.Read != nil:
			r.Error(errAnswerLeftOut)
		default:
			carryOut(sub)
		}
		if r.Len()-start > answersBytesMax {
			r.Truncate(from)
			r.Error(errAnswerLeftOut)
			full = true
		}
	}
	r.Mark() // an error of one call is not an error of EXEC
}

// answered appends the answer of a queued call that was carried out before the transaction was
// proposed. Only the node that serves the client has it, and only there the reply is sent.
func (c *Call) answered(i int, r *Reply) {
	if i < len(c.Answers) {
		r.Raw(c.Answers[i])
		return
	}
	r.Null()
}
