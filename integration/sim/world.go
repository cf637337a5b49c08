package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/wal"
)

// world is one run.
type world struct {
	rng     *rand.Rand
	options options
	dir     string // for checkpoints
	dirs    int
	clock   *clock.Fake // true time
	nodes   []*node
	network *network
	asker   asker
	history history
	waiting []*submission
	now     int  // steps
	mending bool // no more faults

	leaders map[raft.Term]raft.ReplicaID // who has been seen to lead a term

	starts, checks, checkpoints int
	trace                       *trace
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// runWorld runs a seed in the bubble it is called in; dir is its own.
func runWorld(seed uint64, dir string, p plant, t *trace) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{
		rng: rng, options: drawOptions(rng), dir: dir, clock: clock.NewFake(epoch),
		leaders: map[raft.Term]raft.ReplicaID{}, trace: t,
	}
	o := &w.options
	w.history.exact = o.jump == 0 && o.skew == 0
	w.asker = asker{rng: rng, history: &w.history, large: o.large}
	var voters []raft.ReplicaID
	for id := 1; id <= o.nodes; id++ {
		voters = append(voters, raft.ReplicaID(id))
	}
	if w.network = newNetwork(nil, t); o.nodes > 1 {
		w.network = newNetwork(voters, t)
	}
	for _, id := range voters {
		w.nodes = append(w.nodes, &node{
			id: uint64(id), disk: newDisk(rng.Uint64(), w.directory(), t), clock: clock.NewFake(epoch),
			rate: 1 + o.skew*rng.Float64(), options: o, plant: p, voters: voters, network: w.network, trace: t,
		})
	}
	err := w.run()
	err = errors.Join(err, w.abandon(w.nodes...))
	for _, n := range w.nodes {
		n.die()
	}
	return w, err
}

func (w *world) run() error {
	for _, n := range w.nodes {
		if err := w.start(n); err != nil {
			return err
		}
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

// any returns one of the nodes.
func (w *world) any() *node { return w.nodes[w.rng.IntN(len(w.nodes))] }

// step does one thing and looks what came of it.
func (w *world) step() error {
	if err := w.act(); err != nil {
		return err
	}
	w.wait()
	for _, n := range w.nodes {
		if n.fatal != nil || n.disk.after != nil {
			if err := w.crash(n); err != nil {
				return err
			}
		}
	}
	if w.now%16 == 0 {
		if err := w.look(); err != nil {
			return err
		}
	}
	return w.listen()
}

// wait lets everything in all nodes go on until it waits for the world.
func (w *world) wait() {
	synctest.Wait()
	w.network.post()
	for _, n := range w.nodes {
		n.disk.report()
	}
}

// look checks what must hold of the nodes at any time.
func (w *world) look() error {
	for _, n := range w.nodes {
		s := n.group.Status()
		if reason, yes := n.store.Quarantined(); yes {
			return fmt.Errorf("node %d is in quarantine: %s", n.id, reason)
		}
		if s.Role != raft.RoleLeader {
			continue
		}
		if other, known := w.leaders[s.Term]; known && other != s.Replica {
			return fmt.Errorf("nodes %d and %d lead term %d", other, n.id, s.Term)
		}
		w.leaders[s.Term] = s.Replica
	}
	return nil
}

// act chooses what happens.
func (w *world) act() error {
	o, d := &w.options, w.any().disk
	at := w.rng.IntN(1000)
	chosen := func(weight int) bool {
		at -= weight
		return at < 0 && at >= -weight
	}
	switch {
	case chosen(o.ask):
		if len(w.waiting) < o.clients {
			w.waiting = append(w.waiting, w.any().send(w.asker.ask(w.now, w.clock.Now())))
		}
	case chosen(o.advance):
		w.advance(time.Duration(w.rng.IntN(20_000)) * time.Microsecond)
	case chosen(o.stall):
		w.advance(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	case chosen(o.jump):
		w.any().clock.Jump(time.Duration(w.rng.IntN(2000)-1000) * time.Millisecond)
	case chosen(o.power):
		return w.crash(w.any())
	case chosen(o.powerSoon):
		d.powerIn = 1 + w.rng.IntN(20)
	case chosen(o.badSync):
		d.badSync = true
	case chosen(o.short):
		d.short = true
	case chosen(o.fill):
		w.fill(d)
	case chosen(o.leave):
		if len(w.waiting) > 0 {
			w.waiting[w.rng.IntN(len(w.waiting))].cancel()
		}
	case chosen(o.restart):
		return w.restart(w.any())
	case chosen(o.pause):
		w.any().asleep = w.now + w.rng.IntN(w.options.steps/4)
	case chosen(o.network):
		w.disturb()
	default:
		return w.turn()
	}
	return nil
}

// fill makes a disk full, or a full one empty again.
func (w *world) fill(d *disk) {
	if d.full = !d.full; d.full {
		d.files.SetFree(int64(w.rng.IntN(8 << 10)))
	} else {
		d.files.SetFree(-1)
	}
}

// disturb does something to the network.
func (w *world) disturb() {
	a, b := w.any(), w.any()
	switch w.rng.IntN(6) {
	case 0:
		w.network.disconnect(a.replica(), b.replica())
	case 1: // a and b, one way or both
		both := w.rng.IntN(2) == 0
		w.network.each(a.replica(), b.replica(), func(r route, l *link) {
			l.cut = l.cut || both || r.from == a.replica()
		})
	case 2: // a from all, one way or both
		in, out := w.rng.IntN(3) > 0, w.rng.IntN(3) > 0
		w.network.each(a.replica(), 0, func(r route, l *link) {
			l.cut = l.cut || in && r.to == a.replica() || out && r.from == a.replica()
		})
	case 3:
		w.network.each(a.replica(), b.replica(), func(_ route, l *link) { l.down, l.letters = true, nil })
	default:
		w.network.heal()
	}
}

// turn lets one actor that has something to do go on, or one letter arrive.
func (w *world) turn() error {
	if w.rng.IntN(2) == 0 {
		if busy := w.network.busy(); len(busy) > 0 {
			return w.deliver(busy[w.rng.IntN(len(busy))])
		}
	}
	from := w.rng.IntN(len(w.nodes))
	for i := range w.nodes {
		n := w.nodes[(from+i)%len(w.nodes)]
		if n.asleep > w.now && !w.mending {
			continue
		}
		actors := n.host.Actors()
		first := w.rng.IntN(len(actors))
		for j := range actors {
			if actors[(first+j)%len(actors)].Turn() {
				return nil
			}
		}
	}
	if len(w.nodes) > 1 { // everybody waits for time to pass
		w.advance(time.Duration(1+w.rng.IntN(20)) * time.Millisecond)
	}
	return nil
}

// deliver lets the next letter of a link arrive, or plays a trick with it.
func (w *world) deliver(r route) error {
	to := w.nodes[r.to-1]
	switch {
	case w.mending:
	case to.asleep > w.now:
		return nil
	case w.options.tricks > 0 && w.rng.IntN(1000) < w.options.tricks:
		w.network.trick(r, w.rng)
		return nil
	}
	l, arrives := w.network.take(r)
	if !arrives {
		return nil
	}
	return to.receive(r, l)
}

// advance lets time pass, by everybody's clock.
func (w *world) advance(d time.Duration) {
	w.clock.Advance(d)
	for _, n := range w.nodes {
		for left := time.Duration(float64(d) * n.rate); left > 0; n.wait() {
			left = n.clock.Step(left)
		}
	}
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
		w.note(s)
		if err := s.settle(w.now, w.clock.Now()); err != nil {
			return err
		}
	}
	w.waiting = left
	return nil
}

func (w *world) note(s *submission) {
	w.trace.note("step %d: node %d in process %d answers %x", w.now, s.node.id, s.node.process, digestOf(s.reply))
}

// abandon ends all connections to nodes: what was answered was answered, all else stays unknown.
func (w *world) abandon(nodes ...*node) error {
	var failed error
	left := w.waiting[:0]
	for _, s := range w.waiting {
		if !slices.Contains(nodes, s.node) {
			left = append(left, s)
			continue
		}
		reply := s.reply
		s.cancel()
		s.node.wait()
		s.goOn()
		s.reply = reply
		failed = errors.Join(failed, s.settle(w.now, w.clock.Now()))
	}
	w.waiting = left
	return failed
}

// crash ends a process without warning and brings the node up again.
func (w *world) crash(n *node) error {
	if n.fatal != nil && !w.excused(n, n.fatal) {
		return fmt.Errorf("node %d: %w", n.id, n.fatal)
	}
	directory := w.directory()
	if err := n.disk.powerFails(directory); err != nil {
		return err
	}
	if err := w.abandon(n); err != nil {
		return err
	}
	w.checkpoints += int(min(1, n.store.LastCheckpoint().Index))
	n.die()
	w.network.breaks(n.replica())
	if n.plant == forgets && len(w.nodes) > 1 {
		n.disk = newDisk(w.rng.Uint64(), w.directory(), w.trace)
	}
	if !w.mending && w.rng.IntN(4) == 0 {
		n.disk.powerIn = 1 + w.rng.IntN(30) // in the middle of the restart
	}
	return w.start(n)
}

// restart stops a process in order and brings the node up again.
func (w *world) restart(n *node) error {
	if err := w.abandon(n); err != nil {
		return err
	}
	err := n.stop()
	w.network.breaks(n.replica())
	switch {
	case err == nil:
		return w.start(n)
	case w.excused(n, err) || n.disk.after != nil:
		return w.crash(n)
	default:
		return fmt.Errorf("stop node %d: %w", n.id, err)
	}
}

// excused reports whether a disk that was made to fail explains an error.
func (w *world) excused(n *node, err error) bool {
	return n.disk.full && (errors.Is(err, wal.ErrNoSpace) || errors.Is(err, syscall.ENOSPC)) ||
		errors.Is(err, io.ErrShortWrite) || errors.Is(err, errPower) || errors.Is(err, syscall.EIO)
}

// start brings a node up, over failures if need be, and now and then holds one that is alone against a twin.
func (w *world) start(n *node) error {
	for {
		w.starts++
		err := n.start()
		if err == nil {
			break
		}
		if n.disk.after == nil && !w.excused(n, err) {
			return fmt.Errorf("start node %d: %w", n.id, err)
		}
		if err := n.disk.powerFails(w.directory()); err != nil {
			return err
		}
		if n.disk.full && w.rng.IntN(2) == 0 {
			n.disk.full = false
			n.disk.files.SetFree(-1)
		}
	}
	if len(w.nodes) > 1 || w.rng.IntN(3) > 0 {
		return nil
	}
	return w.settleAndCompare(n)
}
