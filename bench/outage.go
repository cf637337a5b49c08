package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// A disturbance is something that happens to a leader.
type disturbance struct {
	name string
	// happen disturbs; again: the node has to be started again afterwards.
	happen func(t *trio, leader, successor *node) error
	again  bool
}

var disturbances = []disturbance{
	{"kill -9", func(_ *trio, leader, _ *node) error { return leader.end(syscall.SIGKILL) }, true},
	{"transfer", func(t *trio, leader, successor *node) error {
		ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
		defer cancel()
		return t.transfer(ctx, leader, successor)
	}, false},
	{"SIGTERM", func(_ *trio, leader, _ *node) error { return leader.end(syscall.SIGTERM) }, true},
}

// outage measures for how long one client of a follower has no write acknowledged when something happens to the
// leader.
func outage(o *options) error {
	o.report.note("outage: longest time between two acknowledged writes of one client that writes to a follower, "+
		"one after the other; default settings (election timeout of etcd: 1 s); a write to etcd is given up after %v",
		etcdWriteTimeout)
	table := o.report.table("outage", "cluster", "leader's fate", "turns", "median ms", "max ms", "failed writes")
	trios, err := startTrios(o)
	if err != nil {
		return err
	}
	defer killAll(trios)
	for _, d := range disturbances {
		var gaps [2][]time.Duration
		var failed [2]int
		var refused [2]error
		for range o.turns {
			for i, t := range trios {
				if refused[i] != nil {
					continue
				}
				gap, misses, err := disturb(t, d)
				if err != nil && !d.again { // not every cluster can be told to transfer
					refused[i] = err
					continue
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.name(), d.name, err)
				}
				gaps[i], failed[i] = append(gaps[i], gap), failed[i]+misses
			}
		}
		for i, t := range trios {
			if refused[i] != nil {
				o.report.note("%s, %s: %v", t.name(), d.name, refused[i])
				continue
			}
			slices.Sort(gaps[i])
			table.row(t.name(), d.name, len(gaps[i]), ms(percentile(gaps[i], 500)), ms(gaps[i][len(gaps[i])-1]),
				failed[i])
		}
	}
	return nil
}

const (
	writesBefore = 50 // acknowledged before the disturbance
	writesAfter  = 50 // acknowledged under the new leader
)

// disturb lets something happen to the leader while a client writes.
func disturb(t *trio, d disturbance) (gap time.Duration, failed int, err error) {
	leader, err := t.settled()
	if err != nil {
		return 0, 0, err
	}
	asked := t.follower(leader)
	write, end := t.writer(asked)
	defer end()
	w := watchWrites(write)
	if err := w.acknowledges(writesBefore); err != nil {
		return 0, 0, err
	}
	w.begin()
	if err := d.happen(t, leader, asked); err != nil {
		w.end()
		return 0, 0, err
	}
	err = eventually("a new leader of "+t.name(), func() bool {
		now, err := t.leader()
		return err == nil && now != leader
	})
	if err == nil {
		err = w.acknowledges(writesAfter)
	}
	gap, failed = w.end()
	if err == nil && d.again {
		if err = t.start(leader); err == nil {
			_, err = t.settled()
		}
	}
	return gap, failed, err
}
