package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/primatomic/primatomic/raft/transport"
)

// foundingQuestion asks a founder for its list.
type foundingQuestion struct {
	Name  string    `json:"name"`  // of who asks
	To    string    `json:"to"`    // whom it means to ask
	Flags []Founder `json:"flags"` // what it was told
}

// foundingAnswer is the founder's list.
type foundingAnswer struct {
	Name string `json:"name"`
	List list   `json:"list"`
}

const (
	// foundingPause is how long a founder waits before it asks another one again.
	foundingPause = 100 * time.Millisecond
	// foundingPauseMax is that if it has not answered for a while.
	foundingPauseMax = time.Second
)

// found takes part in the founding until the list is sealed, however long that takes.
func (n *Node) found(ctx context.Context) error {
	n.mu.Lock()
	f := newFounding(n.record.Name, n.self, n.record.Founding.clone())
	n.mu.Unlock()
	flags := f.list.flags()
	n.logger.Info("founding a cluster: waiting for the other founders",
		slog.String("name", f.name), slog.String("founders", describe(flags)))
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var askers sync.WaitGroup
	if len(flags) == 1 {
		f.list.Sealed = true
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.keepList(f)
	}
	for _, other := range flags {
		if other.Name != f.name {
			q := &foundingQuestion{Name: f.name, To: other.Name, Flags: flags}
			askers.Go(func() { n.askFounder(ctx, f, other, q, end) })
		}
	}
	<-ctx.Done()
	askers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errSealed) {
		return err
	}
	return nil
}

// errSealed ends the asking: the list is sealed.
var errSealed = errors.New("the list of founders is sealed")

// askFounder asks one founder again and again, until end was called.
func (n *Node) askFounder(
	ctx context.Context, f *founding, other Founder, q *foundingQuestion, end context.CancelCauseFunc,
) {
	complaint := ""
	pause := foundingPause
	for ctx.Err() == nil {
		remote, a, err := n.ask(ctx, other.Addr, question{Found: q})
		if err == nil {
			pause, complaint = foundingPause, ""
			err = n.hear(f, other.Name, remote, a.Found, end)
		} else if errors.Is(err, transport.ErrSelf) {
			err = fmt.Errorf("%w: %s is to be at %s, but there is this node", ErrFlags, other.Name, other.Addr)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
		case refused(err), errors.Is(err, ErrFlags), errors.Is(err, ErrWiped), errors.Is(err, ErrLeftBehind),
			errors.Is(err, errKeep):
			end(fmt.Errorf("founder %s: %w", other.Name, err))
			return
		case err.Error() != complaint:
			complaint = err.Error()
			n.logger.Info("waiting for a founder", slog.String("founder", other.Name),
				slog.String("addr", other.Addr), slog.String("reason", complaint))
		default:
			pause = min(2*pause, foundingPauseMax)
		}
		n.pause(ctx, pause)
	}
}

// hear takes what a founder has answered, and makes durable what comes of it.
func (n *Node) hear(
	f *founding, name string, from transport.Remote, a *foundingAnswer, end context.CancelCauseFunc,
) error {
	if a == nil {
		return errQuestion
	}
	if err := a.List.check(); err != nil {
		return fmt.Errorf("%w: %w", errQuestion, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	changed, err := f.hear(name, report{disk{uint64(from.Node), from.Incarnation}, a.Name, a.List})
	if err != nil || !changed {
		return err
	}
	if err := n.keepList(f); err != nil {
		return err
	}
	if f.list.Sealed {
		end(errSealed)
	}
	return nil
}

// keepList makes the list durable; only then is anyone told of it. A sealed list is the node's cluster. The caller
// holds mu.
func (n *Node) keepList(f *founding) error {
	next := n.record
	kept := f.list.clone()
	next.Founding = &kept
	id := uint64(0)
	if kept.Sealed {
		id = kept.cluster()
	}
	return n.keep(next, id)
}

// answerFounder tells a founder the list that is recorded here.
func (n *Node) answerFounder(from transport.Remote, q *foundingQuestion) (*foundingAnswer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.record.Founding
	switch {
	case l == nil:
		return nil, refuse(Refused, "this node, %s, was not started with --cluster and is no founder: "+
			"start with --join to become a member of its cluster", n.record.Name)
	case q.To != n.record.Name:
		return nil, refuse(Refused, "%v: this is %s, not %.*q", ErrFlags, n.record.Name, nameBytesMax, q.To)
	case !slices.Equal(q.Flags, l.flags()):
		return nil, refuse(Refused, "%v: --cluster of %.*q differs, here it is %s",
			ErrFlags, nameBytesMax, q.Name, describe(l.flags()))
	}
	asks := l.find(q.Name)
	switch {
	case asks == nil || q.Name == n.record.Name:
		return nil, refuse(Refused, "%v: %.*q is none of the other founders", ErrFlags, nameBytesMax, q.Name)
	case l.Sealed && asks.disk != disk{uint64(from.Node), from.Incarnation}:
		n.logger.Warn("a founder came back with another disk and is told to join as a new node",
			slog.String("founder", asks.Name), slog.String("node", from.Node.String()))
	}
	return &foundingAnswer{Name: n.record.Name, List: l.clone()}, nil
}
