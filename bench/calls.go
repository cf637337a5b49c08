package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// callConnections are shared by all clients of a measurement: so many go to the leader, or a third to each node.
const callConnections = 9

// calls measures put and get over gRPC beside etcd's.
func calls(o *options) error {
	trios, err := startTrios(o)
	if err != nil {
		return err
	}
	defer killAll(trios)
	keys := min(keySpace, o.keys)
	for _, t := range trios {
		leader, err := t.leader()
		if err != nil {
			return err
		}
		if err := t.fill(context.Background(), leader, keys); err != nil {
			return err
		}
	}
	o.report.note("gRPC: clients share %d connections, %d-byte values, %d keys that exist; get is linearizable",
		callConnections, valueBytes, keys)
	table := o.report.table("calls", "call", "clients", "asked", "primatomic/s", "etcd/s", "ratio",
		"p50 ms", "etcd p50 ms", "p99 ms", "etcd p99 ms", "errors", "etcd errors")
	for _, call := range []string{"put", "get"} {
		for _, clients := range []int{50, 800} {
			for _, asked := range []string{"leader", "all nodes"} {
				if err := compareCall(o, table, trios, callLoad{call, asked, clients, keys}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// callLoad is what clients are to do.
type callLoad struct {
	call    string // put or get
	asked   string // leader or all nodes
	clients int
	keys    int // to choose from
}

// compareCall measures one call on all clusters, round by round in turn.
func compareCall(o *options, table *table, trios []*trio, l callLoad) error {
	var figures [2][]figure
	var errors [2]int
	for range o.rounds {
		for i, t := range trios {
			f, failed, err := measureCall(o, t, l)
			if err != nil {
				return err
			}
			figures[i] = append(figures[i], f)
			errors[i] += failed
		}
	}
	ours, theirs, theirErrors := median(figures[0]), figure{}, any(nil)
	if len(trios) > 1 {
		theirs, theirErrors = median(figures[1]), errors[1]
	}
	table.row(l.call, l.clients, l.asked, ours.perSecond, known(theirs.perSecond),
		ratio(ours.perSecond, theirs.perSecond), ours.p50, known(theirs.p50), ours.p99, known(theirs.p99),
		errors[0], theirErrors)
	return nil
}

func measureCall(o *options, t *trio, l callLoad) (f figure, failed int, err error) {
	conns, err := callConns(t, l.asked)
	if err != nil {
		return figure{}, 0, err
	}
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	value := make([]byte, valueBytes)
	call := func(conn *grpc.ClientConn) error {
		key := keyName(rand.IntN(l.keys))
		if l.call == "put" {
			return t.put(context.Background(), conn, key, value)
		}
		return t.get(context.Background(), conn, key)
	}
	for _, conn := range conns { // connect before the clock runs
		if err := call(conn); err != nil {
			return figure{}, 0, err
		}
	}
	began := time.Now()
	took, failed := callUntil(began.Add(o.callTime), l.clients, conns, call)
	f = figure{float64(len(took)) / time.Since(began).Seconds(), ms(percentile(took, 500)), ms(percentile(took, 990))}
	return f, failed, nil
}

// callConns opens connections, to the leader or to each node in turn.
func callConns(t *trio, asked string) (conns []*grpc.ClientConn, err error) {
	leader, err := t.leader()
	if err != nil {
		return nil, err
	}
	for i := range callConnections {
		n := leader
		if asked != "leader" {
			n = t.nodes[i%len(t.nodes)]
		}
		conn, err := dial(n.grpc)
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

// callUntil has clients call until end. It returns how long the calls took that succeeded, sorted.
func callUntil(end time.Time, clients int, conns []*grpc.ClientConn, call func(*grpc.ClientConn) error) (
	all []time.Duration, failed int,
) {
	var (
		mu   sync.Mutex
		work sync.WaitGroup
	)
	for i := range clients {
		work.Go(func() {
			var took []time.Duration
			misses := 0
			for began := time.Now(); began.Before(end); {
				err := call(conns[i%len(conns)])
				now := time.Now()
				if err == nil {
					took = append(took, now.Sub(began))
				} else {
					misses++
				}
				began = now
			}
			mu.Lock()
			defer mu.Unlock()
			all, failed = append(all, took...), failed+misses
		})
	}
	work.Wait()
	slices.Sort(all)
	return all, failed
}
