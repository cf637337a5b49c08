package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primatomic/primatomic/raft"
)

// settleAndCompare lets the node come to rest and replays its log beside it.
func (w *world) settleAndCompare(n *node) error {
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
	d.empty()
	twin := &node{
		id: n.id, disk: d, clock: n.clock, options: n.options,
		voters: n.voters, process: n.process + 1000, network: newNetwork(nil, w.clock.Boot, w.trace), trace: w.trace,
		logs: &logs{entries: map[slot]content{}}, ledger: newLedger(),
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

// compare lets all nodes come to rest and holds their states against each other.
func (w *world) compare() error {
	if len(w.nodes) == 1 {
		return w.settleAndCompare(w.nodes[0])
	}
	var same [32]byte
	for i, n := range w.nodes {
		digest, err := n.store.Verify()
		if err != nil {
			return fmt.Errorf("node %d: %w", n.id, err)
		}
		if i == 0 {
			same = digest
		}
		if digest != same {
			return fmt.Errorf("nodes 1 and %d have applied the same and differ", n.id)
		}
	}
	w.checks++
	return w.lookAtRest()
}

// finish mends everything, waits for all answers, and reads every key: before a last power failure, after
// it, and after a stop in order.
func (w *world) finish() error {
	w.mending = true
	w.network.heal()
	for _, n := range w.nodes {
		n.disk.fail = 0
		n.disk.empty()
		if err := n.disk.repair(); err != nil {
			return err
		}
		if err := w.crash(n); err != nil {
			return err
		}
	}
	if err := w.dismiss(); err != nil {
		return err
	}
	for _, again := range []func(*node) error{w.crash, w.restart, nil} {
		if err := w.readAll(); err != nil {
			return err
		}
		if err := w.compare(); err != nil {
			return err
		}
		w.now++
		for _, n := range w.nodes {
			if again == nil {
				break
			}
			if err := again(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAll reads every key. What is refused, for want of a leader, is asked again.
func (w *world) readAll() error {
	for range 20 {
		c := w.connect(w.any())
		s := w.send(c, w.asker.everything(c, w.now, w.clock.Now()))
		if err := w.rest(); err != nil {
			return err
		}
		if s.applied() {
			return nil
		}
	}
	return errors.New("nobody answers reads any more")
}

// rest lets time pass until every client has its answer, and all nodes have applied the same.
func (w *world) rest() error {
	for range 2000 + len(w.history.records) {
		w.now++
		if err := w.settle(); err != nil {
			return err
		}
		if err := w.listen(); err != nil {
			return err
		}
		if len(w.waiting) == 0 && w.even() {
			return nil
		}
		w.advance(10 * time.Millisecond)
	}
	return fmt.Errorf("there is no rest: %d clients wait, %d members, all even: %v",
		len(w.waiting), len(w.members()), w.even())
}

// settle gives turns and delivers until nobody has anything to do.
func (w *world) settle() error {
	for worked := true; worked; {
		worked = false
		for _, n := range w.nodes {
			if n.settle(); n.fatal != nil {
				return n.fatal
			}
		}
		for _, r := range w.network.busy() {
			worked = true
			if err := w.deliver(r); err != nil {
				return err
			}
			w.wait()
		}
	}
	return nil
}

// even reports whether all members have applied the whole log.
func (w *world) even() bool {
	members := w.members()
	if len(members) == 0 {
		return false
	}
	last := members[0].group.Status().Last
	return !slices.ContainsFunc(members, func(n *node) bool {
		s := n.group.Status()
		return s.Applied != last || s.Last != last
	})
}
