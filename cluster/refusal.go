package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/primatomic/primatomic/raft"
)

// Verdict is what is known of something that was asked for and was not answered with yes.
type Verdict string

// The verdicts. They stand on the wire.
const (
	Refused   Verdict = "refused"   // nothing has happened, and asking again is useless
	TryAgain  Verdict = "again"     // nothing has happened
	Uncertain Verdict = "uncertain" // it may have happened, or still happen
)

// Refusal is an answer that is no yes. It is an error on both sides.
type Refusal struct {
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason"`
}

func (r *Refusal) Error() string { return r.Reason }

func refuse(v Verdict, format string, args ...any) *Refusal {
	return &Refusal{Verdict: v, Reason: fmt.Sprintf(format, args...)}
}

// refused reports whether an error says that asking again is useless.
func refused(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.Verdict == Refused
}

// verdictOf makes a refusal of the error of a change of the group.
func verdictOf(err error) *Refusal {
	var r *Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return r
	case errors.Is(err, raft.ErrConfChangeInvalid), errors.Is(err, raft.ErrMemberInvalid),
		errors.Is(err, raft.ErrTransferInvalid), errors.Is(err, raft.ErrTransferFailed):
		return refuse(Refused, "%v", err)
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrConfChangePending),
		errors.Is(err, raft.ErrProposalRefused), errors.Is(err, raft.ErrNotApplied),
		errors.Is(err, raft.ErrTransferPending):
		return refuse(TryAgain, "%v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return refuse(Uncertain, "it is still under way")
	}
	return refuse(Uncertain, "%v", err)
}
