package main

import "context"

// memory measures what each process holds when it is full of keys.
func memory(o *options) error {
	o.report.note("memory: resident MB of each process after %d keys of 16 + %d bytes", o.keys, valueBytes)
	table := o.report.table("memory", "cluster", "node", "leads", "resident MB")
	trios, err := startTrios(o)
	if err != nil {
		return err
	}
	defer killAll(trios)
	for _, t := range trios {
		if err := memoryOf(o, table, t); err != nil {
			return err
		}
	}
	peer := redisServer(o)
	if err := peer.fresh(o); err != nil {
		return err
	}
	if _, err := peer.start(); err != nil {
		return err
	}
	defer peer.kill()
	if err := fill(peer, o.keys); err != nil {
		return err
	}
	resident, err := peer.resident()
	if err != nil {
		return err
	}
	table.row(peer.name, "-", nil, float64(resident)/1e6)
	return nil
}

func memoryOf(o *options, table *table, t *trio) error {
	leader, err := t.leader()
	if err != nil {
		return err
	}
	if err := t.fill(context.Background(), leader, o.keys); err != nil {
		return err
	}
	if leader, err = t.settled(); err != nil {
		return err
	}
	for _, n := range t.nodes {
		resident, err := n.resident()
		if err != nil {
			return err
		}
		table.row(t.name(), n.name, n == leader, float64(resident)/1e6)
	}
	return nil
}
