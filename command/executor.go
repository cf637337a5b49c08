package command

import "context"

// Executor carries calls out. Package store is the one that ships; front doors know only this.
type Executor interface {
	// Do carries out a prefix of calls, at least one, and appends their answers to out in the order
	// of the calls. It returns how many it has answered; the caller sends what is in out and comes
	// back with the rest. It blocks until each of them is answered, at most until the deadline of
	// ctx or the executor's own, whichever is earlier: calls whose outcome is not known by then are
	// answered with Uncertain, calls that have certainly not been applied with NotApplied.
	//
	// One session's calls are given to Do one after the other, never at once. The order in which
	// they take effect is the order in which they are given.
	Do(ctx context.Context, s *Session, calls []Call, out *Reply) int
}
