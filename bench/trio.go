package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// kind is what differs between the clusters that are measured.
type kind interface {
	name() string
	// command returns the command line of a node of a trio.
	command(t *trio, n *node) []string
	// status asks a node what it knows.
	status(ctx context.Context, n *node) (nodeStatus, error)
	// transfer asks the leader to let the other node lead.
	transfer(ctx context.Context, leader, successor *node) error
	put(ctx context.Context, conn *grpc.ClientConn, key string, value []byte) error
	get(ctx context.Context, conn *grpc.ClientConn, key string) error
	// fill writes keys with values of the usual sizes.
	fill(ctx context.Context, n *node, keys int) error
	// writer returns a function that makes one small write on a node after another, and one that ends it.
	writer(n *node) (write func(context.Context) error, end func())
}

// nodeStatus is what a node knows of its cluster.
type nodeStatus struct {
	node, leader string // leader: "" if none is known
	applied      uint64
}

// trio is three nodes of one kind.
type trio struct {
	kind
	dir   string
	nodes [3]*node
}

// node is one of them, in a process of its own. It keeps its addresses.
type node struct {
	server
	dir        string
	grpc, peer string // addresses; addr is that for Redis clients
	conn       *grpc.ClientConn
}

const (
	settleTimeout = time.Minute
	askTimeout    = 2 * time.Second
	askAgain      = 5 * time.Millisecond
)

// startTrio starts three nodes with empty disks and waits until they work.
func startTrio(o *options, k kind) (*trio, error) {
	t := &trio{kind: k, dir: filepath.Join(o.dir, k.name()+"-trio")}
	if err := os.RemoveAll(t.dir); err != nil {
		return nil, err
	}
	for i := range t.nodes {
		n := &node{dir: filepath.Join(t.dir, strconv.Itoa(i+1))}
		n.name = "n" + strconv.Itoa(i+1)
		for _, addr := range []*string{&n.addr, &n.grpc, &n.peer} {
			var err error
			if *addr, err = freeAddr(); err != nil {
				return nil, err
			}
		}
		var err error
		if n.conn, err = dial(n.grpc); err != nil {
			return nil, err
		}
		t.nodes[i] = n
	}
	for _, n := range t.nodes {
		if err := t.start(n); err != nil {
			t.kill()
			return nil, err
		}
	}
	if err := t.serves(); err != nil {
		t.kill()
		return nil, err
	}
	return t, nil
}

// serves waits until the cluster takes a write: a new leader may not at once.
func (t *trio) serves() error {
	leader, err := t.settled()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	return t.fill(ctx, leader, 1)
}

// start starts a node, for the first time or again.
func (t *trio) start(n *node) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	n.server.command = t.command(t, n)
	return n.launch()
}

func (t *trio) kill() {
	for _, n := range t.nodes {
		n.kill()
		_ = n.conn.Close()
	}
}

// leader waits for a leader that itself and all running nodes but for one agree on.
func (t *trio) leader() (*node, error) {
	var leader *node
	err := eventually("a leader of "+t.name(), func() bool {
		known := t.statuses()
		for _, n := range t.nodes {
			if s, up := known[n]; up && s.leader == s.node && count(known, s.node) >= 2 {
				leader = n
				return true
			}
		}
		return false
	})
	return leader, err
}

func count(known map[*node]nodeStatus, leader string) (nodes int) {
	for _, s := range known {
		if s.leader == leader {
			nodes++
		}
	}
	return nodes
}

// settled waits until all nodes run, follow one leader and have applied what it has.
func (t *trio) settled() (leader *node, err error) {
	err = eventually("three nodes of "+t.name()+" that follow one leader", func() bool {
		known := t.statuses()
		if len(known) < len(t.nodes) {
			return false
		}
		leader = nil
		least := known[t.nodes[0]].applied
		for n, s := range known {
			if s.leader == s.node && count(known, s.node) == len(t.nodes) {
				leader = n
			}
			least = min(least, s.applied)
		}
		return leader != nil && least >= known[leader].applied
	})
	return leader, err
}

// statuses asks all nodes; those that do not answer are not in it.
func (t *trio) statuses() map[*node]nodeStatus {
	known := map[*node]nodeStatus{}
	for _, n := range t.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		if s, err := t.status(ctx, n); err == nil && n.process != nil {
			known[n] = s
		}
		cancel()
	}
	return known
}

// follower returns a node that is not the leader.
func (t *trio) follower(leader *node) *node {
	if t.nodes[0] == leader {
		return t.nodes[1]
	}
	return t.nodes[0]
}

var errTimeout = errors.New("waited in vain")

// eventually waits until a condition holds, a minute at most.
func eventually(what string, holds func() bool) error { return within(settleTimeout, what, holds) }

func within(limit time.Duration, what string, holds func() bool) error {
	began := time.Now()
	for !holds() {
		if time.Since(began) > limit {
			return fmt.Errorf("%w for %s", errTimeout, what)
		}
		time.Sleep(askAgain)
	}
	return nil
}

// dial makes a connection that is opened when it is used, and again soon after a node has come back.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, MaxDelay: 50 * time.Millisecond},
		}))
}
