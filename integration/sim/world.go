package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
)

// world is one run.
type world struct {
	rng     *rand.Rand
	options options
	dir     string // for checkpoints
	dirs    int
	clock   *clock.Fake // true time
	nodes   []*node     // that are not gone for good
	made    int         // nodes, gone ones included
	gone    int         // nodes that are gone for good
	change  change      // of the members, the last one
	network *network
	asker   asker
	history history
	clients clients
	waiting []*submission
	now     int           // steps
	mending bool          // no more faults
	hunting time.Duration // of true time: until then clients hunt

	leaders map[raft.Term]raft.ReplicaID // who has been seen to lead a term
	logs    logs
	ledger  *ledger

	audit                       *audit
	starts, checks, checkpoints int
	trace                       *trace
}

// stepsMax bounds a run in which much happens in little time.
const stepsMax = 50_000

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// runWorld runs a seed in the bubble it is called in; dir is its own. One of several nodes goes on for span at least.
// What clients were told is not checked yet: that may take long, by a clock that does not stand still.
func runWorld(seed uint64, span time.Duration, dir string, t *trace) (*world, error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &world{
		rng: rng, options: drawOptions(rng), dir: dir, clock: clock.NewFake(epoch),
		leaders: map[raft.Term]raft.ReplicaID{}, trace: t,
		logs: logs{entries: map[slot]content{}}, ledger: newLedger(),
	}
	o := &w.options
	if o.nodes > 1 {
		o.span = span
	}
	w.history.exact = o.jump == 0 && o.skew == 0 && o.off == 0
	w.asker = asker{rng: rng, history: &w.history, large: o.large}
	voters := ids(o.nodes)
	if w.network = newNetwork(nil, w.clock.Boot, t); o.nodes > 1 {
		w.network = newNetwork(ids(nodesMax), w.clock.Boot, t)
	}
	for range voters {
		w.newNode(voters)
	}
	err := w.run()
	err = errors.Join(err, w.abandon(w.nodes...))
	for _, n := range w.nodes {
		n.die()
	}
	for _, s := range w.clients.left {
		s.end()
	}
	return w, err
}

func (w *world) run() error {
	for _, n := range w.nodes {
		if err := w.start(n); err != nil {
			return err
		}
	}
	for w.now = 1; w.now < w.options.steps || w.now < stepsMax && w.clock.Boot() < w.options.span; w.now++ {
		if err := w.step(); err != nil {
			return fmt.Errorf("step %d: %w", w.now, err)
		}
	}
	return w.finish()
}

// check holds what clients were told against itself and against the log.
func (w *world) check() error {
	if err := w.history.check(); err != nil {
		return err
	}
	var err error
	w.audit, err = auditAll(w.ledger, w.clients.calls, w.history.exact)
	return err
}

// newNode makes a node with an empty disk and an id that none had before: a founder, or with no voters one that is to
// join.
func (w *world) newNode(voters []raft.ReplicaID) *node {
	w.made++
	n := &node{
		id: uint64(w.made), disk: newDisk(w.rng.Uint64(), w.directory(), w.trace), clock: clock.NewFake(w.wallOf()),
		rate: 1 + w.options.skew*w.rng.Float64(), options: &w.options, voters: voters,
		network: w.network, trace: w.trace, logs: &w.logs, ledger: w.ledger,
	}
	w.nodes = append(w.nodes, n)
	return n
}

// wallOf draws what the wall clock of a new node shows: mostly about the true time.
func (w *world) wallOf() time.Time {
	off := w.options.off
	if off > 0 && w.rng.IntN(4) > 0 {
		off /= 100
	}
	return w.clock.Now().Add(time.Duration((2*w.rng.Float64() - 1) * float64(off)))
}

// node returns the one with an id; nil if it is gone.
func (w *world) node(id raft.ReplicaID) *node {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.replica() == id })
	if i < 0 {
		return nil
	}
	return w.nodes[i]
}

// ids are the first n.
func ids(n int) []raft.ReplicaID {
	var all []raft.ReplicaID
	for id := range n {
		all = append(all, raft.ReplicaID(id+1))
	}
	return all
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
	if err := w.listen(); err != nil {
		return err
	}
	for _, n := range w.nodes {
		if n.disk.full && w.options.nodes > 1 && w.clock.Boot() > n.disk.fullUntil {
			n.disk.empty()
		}
	}
	w.setReads()
	if gone := w.removed(); gone != nil && w.rng.IntN(300) == 0 {
		if err := w.retire(gone); err != nil {
			return err
		}
	}
	return w.look()
}

// wait lets everything in all nodes go on until it waits for the world.
func (w *world) wait() {
	synctest.Wait()
	w.network.post()
	for _, n := range w.nodes {
		n.disk.report()
	}
}

// act chooses what happens.
func (w *world) act() error {
	o, d := &w.options, w.any().disk
	if w.clock.Boot() < w.hunting && w.rng.IntN(6) == 0 {
		w.hunt()
		return nil
	}
	at := w.rng.IntN(1000)
	chosen := func(weight int) bool {
		at -= weight
		return at < 0 && at >= -weight
	}
	switch {
	case chosen(o.ask):
		if len(w.waiting) < o.clients {
			w.ask()
		}
	case chosen(o.hunt):
		w.hunt()
	case chosen(o.advance):
		w.advance(time.Duration(w.rng.IntN(20_000)) * time.Microsecond)
	case chosen(o.stall):
		w.advance(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	case chosen(o.jump):
		w.jump(w.any())
	case chosen(o.power):
		return w.crash(w.any())
	case chosen(o.powerSoon):
		d.powerIn = 1 + w.rng.IntN(20)
	case chosen(o.fail):
		d.fail = failable[w.rng.IntN(len(failable))]
	case chosen(o.flip):
		return d.rot(w.rng)
	case chosen(o.short):
		d.short = true
	case chosen(o.fill):
		w.fill(d)
	case chosen(o.leave):
		if len(w.waiting) > 0 {
			w.waiting[w.rng.IntN(len(w.waiting))].leave()
		}
	case chosen(o.restart):
		return w.restart(w.any())
	case chosen(o.pause):
		w.victim().asleep = w.clock.Boot() + w.spell()
	case chosen(o.starve):
		w.starve(w.any())
	case chosen(o.depose):
		w.depose()
	case chosen(o.network):
		w.disturb()
	case chosen(o.member):
		return w.changeMembers()
	default:
		return w.turn()
	}
	return nil
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
		if n.asleep > w.clock.Boot() && !w.mending {
			continue
		}
		actors := n.host.Actors()
		first := w.rng.IntN(len(actors))
		for j := range actors {
			a := actors[(first+j)%len(actors)]
			if (n.starved[a] <= w.clock.Boot() || w.mending) && a.Turn() {
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
	to := w.node(r.to)
	switch {
	case to == nil: // gone for good
		w.network.take(r)
		return nil
	case w.mending:
	case to.asleep > w.clock.Boot():
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
		failed = errors.Join(failed, s.settle(w.now, w.clock.Now()))
		s.left = true
		s.cancel()
		s.node.wait()
		s.goOn()
		w.clients.left = append(w.clients.left, s)
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
		if err := n.disk.repair(); err != nil {
			return err
		}
		if n.disk.full && w.rng.IntN(2) == 0 {
			n.disk.empty()
		}
	}
	if len(w.nodes) > 1 || w.rng.IntN(3) > 0 {
		return nil
	}
	return w.settleAndCompare(n)
}
