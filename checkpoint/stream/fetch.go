package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
)

var (
	// ErrBusy: another checkpoint is being fetched.
	ErrBusy = errors.New("stream: another checkpoint is being fetched")
	// ErrGone: the node has no checkpoint.
	ErrGone = errors.New("stream: the node has no checkpoint")
	// ErrSilent: the node does not answer. What has come is kept for the next time.
	ErrSilent = errors.New("stream: the node does not answer")
	// ErrDamaged: the node gives pieces that do not match the checksums it gave.
	ErrDamaged = errors.New("stream: the node's checkpoint is damaged")
)

const (
	// renamesMax is how often a node may name another checkpoint instead, because it makes them faster than they
	// can be fetched.
	renamesMax = 8
	// damagedMax is how many pieces may not match.
	damagedMax = 8
)

// fetch is a checkpoint on its way to this node. Its goroutine is that of Fetch.
type fetch struct {
	stream  *Stream
	ctx     context.Context
	from    uint64
	name    Name
	answers chan packet

	partial *partial
	asked   map[int]time.Duration // pieces that were asked for, and when, by the boot clock
	damaged int
	askAt   time.Duration // boot clock; no piece is asked for before
	heard   time.Duration // boot clock; when the last answer came, or was waited for again
}

// Fetch gets a checkpoint from a node, or a newer one if that is what the node has. It returns when the
// checkpoint is durable in the incoming directory; it must be verified before it is used, as any other.
// What an earlier fetch has brought of the same checkpoint is not asked for again. Only one fetch may be under way.
func (s *Stream) Fetch(ctx context.Context, from uint64, name Name) (checkpoint.Info, error) {
	f := &fetch{
		stream: s, ctx: ctx, from: from, name: name, answers: make(chan packet, 2*window),
		asked: make(map[int]time.Duration), heard: s.config.Clock.Boot(),
	}
	s.mu.Lock()
	if s.closed || s.fetch != nil {
		defer s.mu.Unlock()
		if s.closed {
			return checkpoint.Info{}, ErrClosed
		}
		return checkpoint.Info{}, ErrBusy
	}
	s.fetch = f
	s.mu.Unlock()
	info, err := f.run()
	s.mu.Lock()
	s.fetch = nil
	s.mu.Unlock()
	return info, err
}

func (f *fetch) run() (checkpoint.Info, error) {
	dir := Incoming(f.stream.config.Dir)
	if info, err := find(dir, f.name); err == nil {
		return info, nil
	}
	sums, err := f.sums()
	if err != nil {
		return checkpoint.Info{}, err
	}
	if info, err := find(dir, f.name); err == nil { // the node has named another one
		return info, nil
	}
	if f.partial, err = openPartial(f.stream.config.fs, dir, f.name, sums); err != nil {
		return checkpoint.Info{}, err
	}
	began, missing := f.now(), len(f.partial.missing)
	f.log("fetching a checkpoint", slog.Int64("bytes", sums.Length()),
		slog.Int("pieces", missing), slog.Int("of", sums.Pieces()))
	if err := f.pieces(); err != nil {
		err = errors.Join(err, f.partial.file.Close())
		if !errors.Is(err, ErrSilent) && f.ctx.Err() == nil && !f.stopped() {
			// The disk, or what was asked for, is not good. Space is not to be held for it.
			err = errors.Join(err, Discard(dir, nil))
		}
		return checkpoint.Info{}, err
	}
	info, err := f.partial.finish()
	if err != nil {
		return checkpoint.Info{}, errors.Join(err, Discard(dir, nil))
	}
	f.log("checkpoint fetched", slog.Duration("took", f.now()-began))
	return info, nil
}

func (f *fetch) now() time.Duration { return f.stream.config.Clock.Boot() }

func (f *fetch) log(message string, args ...any) {
	logger := f.stream.config.Logger.With(
		slog.String("from", fmt.Sprintf("%016x", f.from)), slog.String("checkpoint", f.name.String()))
	logger.Info(message, args...)
}

func (f *fetch) stopped() bool {
	select {
	case <-f.stream.stop:
		return true
	default:
		return false
	}
}

// send asks for something. What is not sent is asked for again.
func (f *fetch) send(p packet) { _ = f.stream.config.Send(f.from, p.encode()) }

// idle reports whether no answer is to be expected, because nothing may be asked for yet.
func (f *fetch) idle() bool { return f.partial != nil && len(f.asked) == 0 }

// await waits for an answer, until an instant of the boot clock.
func (f *fetch) await(until time.Duration) (p packet, ok bool, err error) {
	timer := f.stream.config.Clock.NewTimer(max(0, until-f.now()))
	defer timer.Stop()
	select {
	case p = <-f.answers:
		f.heard = f.now()
		return p, true, nil
	case <-timer.C():
		if f.now()-f.heard >= silenceMax && !f.idle() {
			return p, false, fmt.Errorf("%w: %d", ErrSilent, f.from)
		}
		return p, false, nil
	case <-f.ctx.Done():
		return p, false, context.Cause(f.ctx)
	case <-f.stream.stop:
		return p, false, ErrClosed
	}
}

// sums gets the checksums of the checkpoint, or of the one that the node has instead.
func (f *fetch) sums() (checkpoint.Sums, error) {
	renames := 0
	for askAt := f.now(); ; {
		if f.now() >= askAt {
			f.send(packet{kind: askSums, name: f.name})
			askAt = f.now() + answerTimeout
		}
		p, ok, err := f.await(askAt)
		switch {
		case err != nil:
			return checkpoint.Sums{}, err
		case !ok || p.name != f.name:
		case p.kind == giveSums:
			return checkpoint.DecodeSums(fmt.Sprintf("%v from node %x", f.name, f.from), p.content)
		case p.kind == giveNone:
			if renames++; p.newest.Index == 0 || p.newest == f.name || renames > renamesMax {
				return checkpoint.Sums{}, fmt.Errorf("%w: %v", ErrGone, f.name)
			}
			f.name, askAt = p.newest, f.now()
		}
	}
}

// pieces gets the pieces that are missing.
func (f *fetch) pieces() error {
	for len(f.partial.missing) > 0 || len(f.asked) > 0 {
		p, ok, err := f.await(f.ask())
		if err != nil {
			return err
		}
		if ok {
			if err := f.take(&p); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask asks for pieces as far as it may, and returns when it may again or something is overdue.
func (f *fetch) ask() time.Duration {
	now := f.now()
	again, idle := now+silenceMax, len(f.asked) == 0
	for number, at := range f.asked {
		if now-at >= answerTimeout {
			delete(f.asked, number)
			f.partial.missing = append(f.partial.missing, number)
		} else {
			again = min(again, at+answerTimeout)
		}
	}
	for len(f.partial.missing) > 0 && len(f.asked) < window {
		if now < f.askAt {
			return min(again, f.askAt)
		}
		if idle {
			f.heard, idle = now, false
		}
		number := f.partial.missing[0]
		f.partial.missing = f.partial.missing[1:]
		f.asked[number] = now
		again = min(again, now+answerTimeout)
		if rate := f.stream.config.BytesPerSecond; rate > 0 {
			_, length := f.partial.sums.Piece(number)
			f.askAt = max(now, f.askAt) + time.Duration(float64(length)/float64(rate)*float64(time.Second))
		}
		f.send(packet{kind: askPiece, name: f.name, number: number})
	}
	return again
}

// take keeps a piece that was asked for.
func (f *fetch) take(p *packet) error {
	if p.name != f.name {
		return nil
	}
	if p.kind == giveNone {
		return fmt.Errorf("%w: %v any more", ErrGone, f.name)
	}
	if _, asked := f.asked[p.number]; !asked || p.kind != givePiece {
		return nil
	}
	delete(f.asked, p.number)
	if !f.partial.sums.Check(p.number, p.content) {
		if f.damaged++; f.damaged > damagedMax {
			return fmt.Errorf("%w: %v, piece %d of node %x", ErrDamaged, f.name, p.number, f.from)
		}
		f.partial.missing = append(f.partial.missing, p.number)
		return nil
	}
	return f.partial.put(p.number, p.content)
}
