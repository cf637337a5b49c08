package transport

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
)

// kindIntroduction is the question, and the answer, of an introduction.
const kindIntroduction Kind = 3

// ErrIntroduction: the other node has no answer.
var ErrIntroduction = errors.New("transport: introduction was not answered")

// Introduce asks the node at an address something, whoever it is: a founder or a joiner that does not
// know the ids of the others, or does not belong to their cluster yet. Both must know the secret, or
// have certificates of one authority. The context ends it.
func (t *Transport) Introduce(ctx context.Context, addr string, request []byte) (Remote, []byte, error) {
	if len(request) > t.config.Limits.IntroductionMax {
		return Remote{}, nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(request))
	}
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return Remote{}, nil, ErrClosed
	}
	t.running.Add(1)
	t.mu.Unlock()
	defer t.running.Done()
	stop, cancel := t.stopWith(ctx)
	defer cancel()
	conn, theirs, err := t.connect(stop, addr, 0, laneIntroduction)
	if err != nil {
		return Remote{}, nil, cmp.Or(ctx.Err(), err)
	}
	defer conn.Close()
	var answer packet
	err = t.limited(stop, func() { _ = conn.Close() }, func() (err error) {
		if err = sendIntroduction(conn, request); err == nil {
			answer, err = t.readIntroduction(conn)
		}
		return err
	})
	if err != nil {
		return theirs.remote(), nil, fmt.Errorf("%w: %w", ErrIntroduction, cmp.Or(ctx.Err(), err))
	}
	return theirs.remote(), answer.payload, nil
}

// stopWith returns a channel that is closed with ctx or the transport.
func (t *Transport) stopWith(ctx context.Context) (<-chan struct{}, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	t.running.Go(func() {
		select {
		case <-t.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx.Done(), cancel
}

// answer serves one introduction.
func (t *Transport) answer(conn net.Conn, from Remote) {
	defer conn.Close()
	err := t.limited(t.stop, func() { _ = conn.Close() }, func() error {
		request, err := t.readIntroduction(conn)
		if err != nil {
			return err
		}
		answer, err := t.config.Introduction(from, request.payload)
		if err != nil {
			return err
		}
		if len(answer) > t.config.Limits.IntroductionMax {
			return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(answer))
		}
		return sendIntroduction(conn, answer)
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		t.refuse(hostOf(conn), err)
	}
}

func sendIntroduction(conn net.Conn, payload []byte) error {
	o := outgoing{kind: kindIntroduction, stream: data}
	o.content.raw(payload)
	o.begin()
	var f framer
	for {
		f.frames(&o, writeBytesMax)
		if _, err := f.writeTo(conn); err != nil || !o.underway {
			return err
		}
	}
}

func (t *Transport) readIntroduction(conn net.Conn) (packet, error) {
	u := unframer{bytesMax: t.config.Limits.IntroductionMax}
	r := bufio.NewReader(conn)
	for {
		p, whole, err := u.next(r)
		if err != nil || whole {
			if err == nil && p.kind != kindIntroduction {
				err = fmt.Errorf("%w: kind %d", ErrFrame, p.kind)
			}
			return p, err
		}
	}
}
