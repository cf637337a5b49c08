package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

// options are what a seed gives a whole run, so that each run is much of some things and nothing of others.
type options struct {
	steps           int
	clients         int
	segmentBytes    int64
	checkpointBytes int64
	memoryBytes     int64
	large           bool // some values take many sectors
	// How often, in a thousand steps.
	ask, advance, stall, jump, power, powerSoon, badSync, short, fill, leave, restart int
}

func drawOptions(rng *rand.Rand) options {
	some := func(most int) int { // nothing in half of the runs
		return max(0, rng.IntN(2*most+1)-most)
	}
	o := options{
		steps: 1500, clients: 1 + rng.IntN(6), segmentBytes: 16 << 10 << rng.IntN(3),
		checkpointBytes: 1 << 50, large: rng.IntN(2) == 0,
		ask: 50 + rng.IntN(300), advance: 20 + rng.IntN(100), stall: some(6), jump: some(10),
		power: some(6), powerSoon: some(10), badSync: some(4), short: some(4), fill: some(10), leave: some(10),
		restart: some(4),
	}
	if rng.IntN(2) == 0 {
		o.checkpointBytes = int64(1000 << rng.IntN(6))
	}
	if rng.IntN(4) == 0 {
		o.memoryBytes = 2000 + int64(500<<rng.IntN(6))
	}
	return o
}

// world is one run.
type world struct {
	rng     *rand.Rand
	options options
	dir     string // for checkpoints
	dirs    int
	clock   *clock.Fake
	node    *node
	asker   asker
	history history
	waiting []*submission
	now     int  // steps
	full    bool // the disk
	mending bool // no more faults

	starts, checks, checkpoints int
	trace                       uint64 // hash of all that happened
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// runWorld runs a seed in the bubble it is called in; dir is its own.
func runWorld(seed uint64, dir string, p plant) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{rng: rng, options: drawOptions(rng), dir: dir, clock: clock.NewFake(epoch)}
	w.history.exact = w.options.jump == 0
	w.asker = asker{rng: rng, history: &w.history, large: w.options.large}
	w.node = &node{
		id: 1, disk: newDisk(rng.Uint64(), w.directory()), clock: w.clock, options: &w.options, plant: p,
	}
	err := w.run()
	w.abandon()
	w.node.die()
	return w, err
}

func (w *world) run() error {
	if err := w.start(); err != nil {
		return err
	}
	for w.now = 1; w.now < w.options.steps; w.now++ {
		if err := w.step(); err != nil {
			return fmt.Errorf("step %d: %w", w.now, err)
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	return w.history.check()
}

// directory returns the name of a new directory.
func (w *world) directory() string {
	w.dirs++
	return filepath.Join(w.dir, fmt.Sprint(w.dirs))
}

// step does one thing and looks what came of it.
func (w *world) step() error {
	if err := w.act(); err != nil {
		return err
	}
	synctest.Wait()
	if w.node.fatal != nil || w.node.disk.after != nil {
		return w.crash()
	}
	return w.listen()
}

// act chooses what happens.
func (w *world) act() error {
	o, d := &w.options, w.node.disk
	at := w.rng.IntN(1000)
	chosen := func(weight int) bool {
		at -= weight
		return at < 0 && at >= -weight
	}
	switch {
	case chosen(o.ask):
		if len(w.waiting) < o.clients {
			w.waiting = append(w.waiting, w.node.send(w.asker.ask(w.now, w.clock.Now())))
		}
	case chosen(o.advance):
		w.clock.Advance(time.Duration(w.rng.IntN(20_000)) * time.Microsecond)
	case chosen(o.stall):
		w.clock.Advance(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	case chosen(o.jump):
		w.clock.Jump(time.Duration(w.rng.IntN(2000)-1000) * time.Millisecond)
	case chosen(o.power):
		return w.crash()
	case chosen(o.powerSoon):
		d.powerIn = 1 + w.rng.IntN(20)
	case chosen(o.badSync):
		d.badSync = true
	case chosen(o.short):
		d.short = true
	case chosen(o.fill):
		if w.full = !w.full; w.full {
			d.files.SetFree(int64(w.rng.IntN(8 << 10)))
		} else {
			d.files.SetFree(-1)
		}
	case chosen(o.leave):
		if len(w.waiting) > 0 {
			w.waiting[w.rng.IntN(len(w.waiting))].cancel()
		}
	case chosen(o.restart):
		return w.restart()
	default:
		actors := w.node.host.Actors()
		actors[w.rng.IntN(len(actors))].Turn()
	}
	return nil
}

// listen takes the answers of those who have theirs.
func (w *world) listen() error {
	left := w.waiting[:0]
	for _, s := range w.waiting {
		if s.goOn(); !s.ended {
			left = append(left, s)
			continue
		}
		s.cancel()
		w.note(s.reply)
		if err := s.settle(w.now, w.clock.Now()); err != nil {
			return err
		}
	}
	w.waiting = left
	return nil
}

func (w *world) note(b []byte) {
	h := fnv.New64a()
	fmt.Fprint(h, w.trace, w.now, w.node.process)
	h.Write(b)
	w.trace = h.Sum64()
}

// abandon ends all connections: what was answered was answered, all else stays unknown.
func (w *world) abandon() error {
	var failed error
	for _, s := range w.waiting {
		reply := s.reply
		s.cancel()
		synctest.Wait()
		s.goOn()
		s.reply = reply
		failed = errors.Join(failed, s.settle(w.now, w.clock.Now()))
	}
	w.waiting = nil
	return failed
}

// crash ends the process without warning and brings the node up again.
func (w *world) crash() error {
	directory := w.directory()
	if err := w.node.disk.powerFails(directory); err != nil {
		return err
	}
	if err := w.abandon(); err != nil {
		return err
	}
	w.checkpoints += int(min(1, w.node.store.LastCheckpoint().Index))
	w.node.die()
	if !w.mending && w.rng.IntN(4) == 0 {
		w.node.disk.powerIn = 1 + w.rng.IntN(30) // in the middle of the restart
	}
	return w.start()
}

// restart stops the process in order and brings the node up again.
func (w *world) restart() error {
	if err := w.abandon(); err != nil {
		return err
	}
	switch err := w.node.stop(); {
	case err == nil:
		return w.start()
	case w.excused(err) || w.node.disk.after != nil:
		return w.crash()
	default:
		return fmt.Errorf("stop: %w", err)
	}
}

// excused reports whether a disk that was made to fail explains an error.
func (w *world) excused(err error) bool {
	return w.full && (errors.Is(err, wal.ErrNoSpace) || errors.Is(err, syscall.ENOSPC)) ||
		errors.Is(err, io.ErrShortWrite) || errors.Is(err, errPower) || errors.Is(err, syscall.EIO)
}

// start brings the node up, over failures if need be, and now and then holds it against a twin.
func (w *world) start() error {
	for {
		w.starts++
		err := w.node.start()
		if err == nil {
			break
		}
		if w.node.disk.after == nil && !w.excused(err) {
			return fmt.Errorf("start: %w", err)
		}
		if err := w.node.disk.powerFails(w.directory()); err != nil {
			return err
		}
		if w.full && w.rng.IntN(2) == 0 {
			w.full = false
			w.node.disk.files.SetFree(-1)
		}
	}
	if w.rng.IntN(3) > 0 {
		return nil
	}
	return w.settleAndCompare()
}

// settleAndCompare lets the node come to rest and replays its log beside it.
func (w *world) settleAndCompare() error {
	n := w.node
	n.settle()
	if n.fatal != nil || n.disk.after != nil {
		return nil
	}
	status := n.group.Status()
	if status.Applied != status.Last || status.Role != raft.RoleLeader || n.host.Stalled() {
		return nil
	}
	digest, err := n.store.Verify()
	if err != nil {
		return err
	}
	d, err := n.disk.twin(w.directory())
	if err != nil {
		return err
	}
	d.files.SetFree(-1)
	twin := &node{
		id: n.id, disk: d, clock: n.clock, options: n.options, plant: n.plant, process: n.process + 1000,
	}
	if err := twin.start(); err != nil {
		return fmt.Errorf("twin: %w", err)
	}
	defer twin.die()
	replayed, err := twin.digestAt(status.Applied)
	if err != nil {
		return fmt.Errorf("twin: %w", err)
	}
	if replayed != digest {
		return fmt.Errorf("a replay of the log up to %d gives another state", status.Applied)
	}
	w.checks++
	return nil
}

// finish mends everything, waits for all answers, and reads every key: before a last power failure, after
// it, and after a stop in order.
func (w *world) finish() error {
	w.mending, w.full = true, false
	w.node.disk.files.SetFree(-1)
	if err := w.crash(); err != nil {
		return err
	}
	for _, again := range []func() error{w.crash, w.restart, func() error { return nil }} {
		lines := w.asker.everything(w.now, w.clock.Now())
		w.waiting = append(w.waiting, w.node.send(lines))
		if err := w.rest(); err != nil {
			return err
		}
		if err := w.settleAndCompare(); err != nil {
			return err
		}
		w.now++
		if err := again(); err != nil {
			return err
		}
	}
	return nil
}

// rest lets time pass until every client has its answer.
func (w *world) rest() error {
	for range 1000 {
		w.now++
		w.node.settle()
		if err := w.listen(); err != nil || w.node.fatal != nil {
			return errors.Join(err, w.node.fatal)
		}
		if len(w.waiting) == 0 {
			return nil
		}
		w.clock.Advance(10 * time.Millisecond)
		synctest.Wait()
	}
	return fmt.Errorf("%d clients wait for ever", len(w.waiting))
}
