package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
)

// pair is a giver (node 1) and a taker (node 2) on a link that a test may spoil. It lives in a synctest bubble, so
// that after synctest.Wait both have got as far as they can.
type pair struct {
	t            *testing.T
	clock        *clock.Fake
	giver, taker *Stream
	dirs         [3]string
	rate         int64
	asked        []int  // pieces that the taker asked for
	fs           vfs.FS // of the taker; nil: the machine's
	damaged      []Name // checkpoints of which the giver has found out that they are
	// spoil changes what the giver sends; nil: it is lost.
	spoil func(payload []byte) []byte
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, clock: clock.NewFake(time.Unix(1_700_000_000, 0)), dirs: [3]string{1: t.TempDir(), 2: t.TempDir()}}
	p.giver = p.open(1)
	return p
}

// open starts a node's stream on what its disk holds.
func (p *pair) open(node uint64) *Stream {
	return New(Config{
		Dir: p.dirs[node], Clock: p.clock, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		BytesPerSecond: p.rate, fs: p.fs,
		Damaged: func(name Name, _ *checkpoint.CorruptError) { p.damaged = append(p.damaged, name) },
		Send: func(to uint64, payload []byte) error {
			if node == 2 {
				if packet, err := decode(payload); err == nil && packet.kind == askPiece {
					p.asked = append(p.asked, packet.number)
				}
			} else if p.spoil != nil {
				payload = p.spoil(payload)
			}
			if payload == nil {
				return errors.New("lost")
			}
			if to == 1 {
				return p.giver.Receive(node, payload)
			}
			return p.taker.Receive(node, payload)
		},
	})
}

// write makes a checkpoint of some pieces.
func (p *pair) write(index uint64, pieces int) checkpoint.Info {
	p.t.Helper()
	w, err := checkpoint.Create(p.dirs[1], checkpoint.Meta{Group: 1, Term: 2, Index: index, State: []byte("state")})
	p.must(err)
	p.must(w.Section(1, []byte("header")))
	value := make([]byte, 100<<10)
	for i := range uint64(pieces * 10) {
		for at := range value {
			value[at] = byte(i*31 + uint64(at)*7 + index)
		}
		p.must(w.Put(binary.BigEndian.AppendUint64(nil, i), value))
	}
	info, err := w.Commit(context.Background())
	p.must(err)
	return info
}

func (p *pair) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// fetched is the outcome of a fetch.
type fetched struct {
	info checkpoint.Info
	err  error
	took time.Duration
}

// fetch has the taker fetch a checkpoint, and lets time pass until it is through, or until the end.
func (p *pair) fetch(index uint64, end time.Duration) *fetched {
	p.t.Helper()
	p.taker = p.open(2)
	began := p.clock.Boot()
	outcome := make(chan fetched, 1)
	go func() {
		info, err := p.taker.Fetch(context.Background(), 1, Name{1, 2, index})
		outcome <- fetched{info, err, p.clock.Boot() - began}
	}()
	defer p.taker.Close()
	for p.clock.Boot()-began < end {
		synctest.Wait()
		select {
		case f := <-outcome:
			return &f
		default:
			p.clock.Advance(10 * time.Millisecond)
		}
	}
	p.taker.Close()
	synctest.Wait()
	f := <-outcome
	return &f
}

// wantSame checks that a fetched checkpoint is the one that was written.
func (p *pair) wantSame(f *fetched, want checkpoint.Info) {
	p.t.Helper()
	p.must(f.err)
	if f.info.Index != want.Index || f.info.Bytes != want.Bytes {
		p.t.Fatalf("fetched %+v, want %+v", f.info, want)
	}
	summary, err := checkpoint.Check(f.info.Path)
	p.must(err)
	if summary.Meta.Index != want.Index {
		p.t.Fatalf("its content is of %d", summary.Meta.Index)
	}
}

// run runs a test with a pair in a bubble.
func run(t *testing.T, test func(p *pair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		defer p.giver.Close()
		test(p)
	})
}

func TestFetch(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 6)
		f := p.fetch(10, time.Minute)
		p.wantSame(f, want)
		if filepath.Dir(f.info.Path) != Incoming(p.dirs[2]) {
			p.t.Fatalf("it is in %s", f.info.Path)
		}
		slices.Sort(p.asked)
		if n := len(p.asked); n < 6 || n != len(slices.Compact(p.asked)) {
			p.t.Fatalf("asked for %v", p.asked)
		}
		p.asked = nil
		if f = p.fetch(10, time.Minute); f.err != nil || len(p.asked) != 0 {
			p.t.Fatalf("what is there was asked for: %v, %v", p.asked, f.err)
		}
	})
}

func TestFetchOverALossyLink(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 12)
		n := 0
		p.spoil = func(payload []byte) []byte {
			switch n++; n % 4 {
			case 0:
				return nil
			case 1:
				changed := slices.Clone(payload)
				changed[len(changed)/2] ^= 1
				if _, err := decode(payload); err == nil && payload[1] == byte(givePiece) && n < 20 {
					return changed
				}
			}
			return payload
		}
		p.wantSame(p.fetch(10, 10*time.Minute), want)
	})
}

// What has come is not asked for again, after a connection that was lost and after a restart.
func TestFetchGoesOn(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 12)
		pieces := 0
		p.spoil = func(payload []byte) []byte {
			if payload[1] == byte(givePiece) {
				if pieces++; pieces > 5 {
					return nil
				}
			}
			return payload
		}
		f := p.fetch(10, time.Minute)
		if !errors.Is(f.err, ErrSilent) || f.took < silenceMax || f.took > 2*silenceMax {
			p.t.Fatalf("%v after %v", f.err, f.took)
		}
		p.spoil, p.asked = nil, nil
		p.wantSame(p.fetch(10, time.Minute), want)
		if n := len(p.asked); n == 0 || n > 9 {
			p.t.Fatalf("asked for %v again", p.asked)
		}
	})
}

// Pieces that are damaged on the receiver's disk, or cut off, are fetched again.
func TestFetchGoesOnFromDamage(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 4)
		p.spoil = func(payload []byte) []byte {
			if payload[1] == byte(givePiece) && payload[headerBytes+3] == 3 {
				return nil
			}
			return payload
		}
		if f := p.fetch(10, time.Minute); !errors.Is(f.err, ErrSilent) {
			p.t.Fatal(f.err)
		}
		partial := Name{1, 2, 10}.path(Incoming(p.dirs[2])) + tempSuffix
		content, err := os.ReadFile(partial)
		p.must(err)
		content[checkpoint.PieceBytes+5] ^= 1
		p.must(os.WriteFile(partial, content[:len(content)-3], 0o600))
		p.spoil, p.asked = nil, nil
		p.wantSame(p.fetch(10, time.Minute), want)
		if slices.Contains(p.asked, 0) || !slices.Contains(p.asked, 1) {
			p.t.Fatalf("asked for %v", p.asked)
		}
	})
}

// A node that has a newer checkpoint by now says so.
func TestFetchNewerThanAsked(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(20, 3)
		p.wantSame(p.fetch(10, time.Minute), want)
		p.must(checkpoint.Remove(want))
		p.must(os.RemoveAll(Incoming(p.dirs[2])))
		if f := p.fetch(10, time.Minute); !errors.Is(f.err, ErrGone) {
			p.t.Fatal(f.err)
		}
	})
}

// A checkpoint that is removed while it is fetched is given to the end.
func TestRemovedWhileFetched(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 8)
		pieces := 0
		p.spoil = func(payload []byte) []byte {
			if payload[1] == byte(givePiece) {
				if pieces++; pieces == 3 {
					p.must(checkpoint.Remove(want))
					p.write(11, 1)
				}
			}
			return payload
		}
		p.wantSame(p.fetch(10, time.Minute), want)
		p.spoil = nil
		p.clock.Advance(2 * pinIdle)
		synctest.Wait()
		p.must(os.RemoveAll(Incoming(p.dirs[2])))
		if f := p.fetch(10, time.Minute); f.err != nil || f.info.Index != 11 {
			p.t.Fatalf("kept for ever: %+v", f)
		}
	})
}

// What is known to be wrong is given to nobody, also if it was begun before.
func TestQuarantinedGivesNothing(t *testing.T) {
	run(t, func(p *pair) {
		p.write(10, 8)
		pieces := 0
		p.spoil = func(payload []byte) []byte {
			if payload[1] == byte(givePiece) {
				if pieces++; pieces == 3 {
					p.must(checkpoint.Quarantine(p.dirs[1], 1, "planted"))
				}
			}
			return payload
		}
		if f := p.fetch(10, time.Minute); !errors.Is(f.err, ErrGone) {
			p.t.Fatal(f.err)
		}
		p.spoil = nil
		if f := p.fetch(9, time.Minute); !errors.Is(f.err, ErrGone) {
			p.t.Fatal(f.err)
		}
	})
}

// A checkpoint that is damaged where it lies is not given, its node learns of it, and nothing of it stays here.
func TestDamagedAtTheGiver(t *testing.T) {
	damage := map[string]func(content []byte) []byte{
		"a bit":   func(content []byte) []byte { content[2*checkpoint.PieceBytes+1] ^= 1; return content },
		"the end": func(content []byte) []byte { return content[:len(content)-1] },
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			run(t, func(p *pair) {
				info := p.write(10, 4)
				content, err := os.ReadFile(info.Path)
				p.must(err)
				p.must(os.WriteFile(info.Path, spoil(content), 0o600))
				if f := p.fetch(10, time.Minute); !errors.Is(f.err, ErrGone) && !errors.Is(f.err, ErrDamaged) {
					p.t.Fatal(f.err)
				}
				if len(p.damaged) == 0 || p.damaged[0].Index != 10 {
					p.t.Fatalf("the giver knows of %v", p.damaged)
				}
				if left, err := os.ReadDir(Incoming(p.dirs[2])); err != nil || len(left) != 0 {
					p.t.Fatalf("left: %v, %v", left, err)
				}
			})
		})
	}
}

// Pieces that do not match when they come are asked for again, but not for ever.
func TestDamagedOnTheWay(t *testing.T) {
	run(t, func(p *pair) {
		p.write(10, 4)
		p.spoil = func(payload []byte) []byte {
			if packet, err := decode(payload); err == nil && packet.kind == givePiece {
				payload = slices.Clone(payload)
				payload[len(payload)-1] ^= 1
			}
			return payload
		}
		if f := p.fetch(10, time.Minute); !errors.Is(f.err, ErrDamaged) {
			p.t.Fatal(f.err)
		}
		if left, err := os.ReadDir(Incoming(p.dirs[2])); err != nil || len(left) != 0 || len(p.damaged) > 0 {
			p.t.Fatalf("left: %v, %v; damaged: %v", left, err, p.damaged)
		}
	})
}

func TestFetchIsNoFasterThanTold(t *testing.T) {
	run(t, func(p *pair) {
		want := p.write(10, 8)
		p.rate = 1 << 20
		f := p.fetch(10, time.Minute)
		p.wantSame(f, want)
		seconds := time.Duration(want.Bytes>>20) * time.Second
		if f.took < seconds-time.Second || f.took > seconds+time.Second {
			p.t.Fatalf("%d bytes took %v at 1 MiB/s", want.Bytes, f.took)
		}
		p.must(os.RemoveAll(Incoming(p.dirs[2])))
		p.rate = 40 << 10 // slower than the silence that is put up with
		p.wantSame(p.fetch(10, time.Hour), want)
	})
}

func TestOneFetchAtATime(t *testing.T) {
	run(t, func(p *pair) {
		p.write(10, 2)
		p.spoil = func([]byte) []byte { return nil }
		p.taker = p.open(2)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			_, err := p.taker.Fetch(ctx, 1, Name{1, 2, 10})
			ended <- err
		}()
		synctest.Wait()
		if _, err := p.taker.Fetch(ctx, 1, Name{1, 2, 10}); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		p.taker.Close()
		if _, err := p.taker.Fetch(context.Background(), 1, Name{1, 2, 10}); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
	})
}

// FuzzReceive gives both ends what no node of ours sends.
func FuzzReceive(f *testing.F) {
	name := Name{1, 2, 10}
	sums := packet{kind: giveSums, name: name, content: []byte("PATOMCRC")}
	for _, p := range []packet{
		{kind: askSums, name: name}, {kind: askPiece, name: name, number: 1 << 31}, sums,
		{kind: givePiece, name: name, number: 3, content: []byte("piece")},
		{kind: giveNone, name: name, newest: Name{1, 3, 11}},
	} {
		f.Add(p.encode())
	}
	f.Add([]byte{})
	f.Add([]byte{version, 99})
	empty := f.TempDir()
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := decode(payload)
		if err == nil && string(p.encode()) != string(payload) {
			t.Fatalf("%x encodes as %x", payload, p.encode())
		}
		v := newServer(&Stream{config: Config{
			Dir: empty, Clock: clock.NewFake(time.Unix(0, 0)), Logger: slog.New(slog.DiscardHandler),
		}})
		if answer := v.answer(&p); err == nil && answer.kind != giveNone {
			t.Fatalf("answer %d from an empty directory", answer.kind)
		}
		if p.kind == giveSums {
			if s, err := checkpoint.DecodeSums("there", p.content); err == nil && s.Pieces() > len(payload) {
				t.Fatalf("%d pieces in %d bytes", s.Pieces(), len(payload))
			}
		}
		got := &fetch{name: name, asked: map[int]time.Duration{3: 0}, partial: &partial{}}
		if err := got.take(&p); err != nil && !errors.Is(err, ErrGone) {
			t.Fatal(err)
		}
	})
}
