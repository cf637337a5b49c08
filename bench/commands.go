package main

import (
	"slices"
	"strings"
	"sync"
)

// commands measures SET and GET with redis-benchmark: on the leader, spread over all nodes, and on redis-server.
func commands(o *options) error {
	t, err := startTrio(o, primatomicKind{binary: o.binary})
	if err != nil {
		return err
	}
	defer t.kill()
	peer := redisServer(o)
	if err := peer.fresh(o); err != nil {
		return err
	}
	if _, err := peer.start(); err != nil {
		return err
	}
	defer peer.kill()
	o.report.note("SET and GET: %d connections in all, %d-byte values, %d keys; all nodes: a redis-benchmark for "+
		"each at once, rates summed, median of their p50 and worst of their p99", connections, valueBytes, keySpace)
	table := o.report.table("commands", "command", "pipeline", "asked", "primatomic/s", "redis/s", "ratio",
		"p50 ms", "redis p50 ms", "p99 ms", "redis p99 ms")
	for _, pipeline := range []int{1, 16} {
		for _, test := range []string{"set", "get"} {
			l := load{test, pipeline, connections, o.requests}
			if err := compareCommand(o, table, t, peer, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareCommand measures one command, round by round in turn.
func compareCommand(o *options, table *table, t *trio, peer *server, l load) error {
	var onLeader, onAll, onPeer []figure
	for range o.rounds {
		leader, err := t.leader() // a starved machine may have changed it
		if err != nil {
			return err
		}
		for _, m := range []struct {
			figures *[]figure
			servers []*server
		}{
			{&onLeader, []*server{&leader.server}}, {&onPeer, []*server{peer}}, {&onAll, t.servers()},
		} {
			f, err := benchmarkAll(m.servers, l)
			if err != nil {
				return err
			}
			*m.figures = append(*m.figures, f)
		}
	}
	theirs := median(onPeer)
	for _, asked := range []struct {
		name    string
		figures []figure
	}{{"leader", onLeader}, {"all nodes", onAll}} {
		ours := median(asked.figures)
		table.row(strings.ToUpper(l.test), l.pipeline, asked.name, ours.perSecond, theirs.perSecond,
			ratio(ours.perSecond, theirs.perSecond), ours.p50, theirs.p50, ours.p99, theirs.p99)
	}
	return nil
}

func (t *trio) servers() []*server {
	var servers []*server
	for _, n := range t.nodes {
		servers = append(servers, &n.server)
	}
	return servers
}

// benchmarkAll divides a load among servers, and makes one figure of what each has done at the same time.
func benchmarkAll(servers []*server, l load) (figure, error) {
	figures, errs := make([]figure, len(servers)), make([]error, len(servers))
	var work sync.WaitGroup
	for i, s := range servers {
		share := l
		share.connections = (l.connections + len(servers) - 1 - i) / len(servers)
		share.requests = l.requests / len(servers)
		work.Go(func() { figures[i], errs[i] = benchmark(s, share) })
	}
	work.Wait()
	whole := figure{p50: median(figures).p50}
	for i, f := range figures {
		if errs[i] != nil {
			return figure{}, errs[i]
		}
		whole.perSecond += f.perSecond
	}
	whole.p99 = slices.MaxFunc(figures, func(a, b figure) int { return int(1e6 * (a.p99 - b.p99)) }).p99
	return whole, nil
}
