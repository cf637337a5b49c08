package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// Options are what a Node is made of. DB, Clock, Random and Logger are required, and with a Listener Receive too.
type Options struct {
	DB *nodedb.DB
	// Name is this node's among the others. "" keeps the one it has, or makes one of its id.
	Name string
	// Founders found a cluster, this node among them. They count only until the node belongs to a cluster.
	Founders []Founder

	// Listener is where peers connect; the Node closes it. nil is a node alone, which nobody can join.
	Listener net.Listener
	// Dial, Secret, TLSClient and TLSServer are transport.Config's.
	Dial                 func(ctx context.Context, addr string) (net.Conn, error)
	Secret               []byte
	TLSClient, TLSServer *tls.Config

	// Receive and Unreachable are transport.Config's, and Kinds are carried beside raft. They are called from Run
	// on, not before.
	Receive     func(group raft.GroupID, from transport.NodeID, m *pb.Message) error
	Unreachable func(peer transport.NodeID, group raft.GroupID)
	Kinds       map[transport.Kind]transport.KindConfig

	Clock  clock.Clock
	Random io.Reader
	Logger *slog.Logger
}

// Node is this process' place in a cluster. All methods are safe for concurrent use.
type Node struct {
	options   Options
	db        *nodedb.DB
	clock     clock.Clock
	logger    *slog.Logger
	transport *transport.Transport // nil: no listener

	mu          sync.Mutex
	record      record        // as node.db has it; guarded by mu
	refusedText string        // guarded by mu
	refusedAt   time.Duration // boot clock; guarded by mu
}

// Open reads what the node knows of its cluster and begins to listen. It takes the listener over, also if it
// fails. Nothing is asked or answered before Settle.
func Open(o Options) (_ *Node, err error) {
	defer func() {
		if err != nil && o.Listener != nil {
			err = errors.Join(err, o.Listener.Close())
		}
	}()
	n := &Node{options: o, db: o.DB, clock: o.Clock, logger: o.Logger}
	known, err := readRecord(o.DB)
	if err != nil {
		return nil, err
	}
	if err := n.begin(known); err != nil {
		return nil, err
	}
	if o.Listener == nil {
		return n, nil
	}
	id := o.DB.Identity()
	n.transport, err = transport.New(transport.Config{
		Cluster: id.Cluster, Self: transport.NodeID(id.Node), Incarnation: id.Incarnation, Process: id.Process,
		Listener: o.Listener, Dial: o.Dial, Secret: o.Secret, TLSClient: o.TLSClient, TLSServer: o.TLSServer,
		VerifyPeer: certified,
		Clock:      o.Clock, Random: o.Random, Logger: o.Logger,
		Receive: o.Receive, Unreachable: o.Unreachable, Kinds: o.Kinds,
		Introduction: n.introduced,
	})
	return n, err
}

// certified takes a certificate of the authorities for any node: they sign those of nodes only.
func certified(transport.NodeID, tls.ConnectionState) error { return nil }

// begin finds out what the node is to be, from what it knows and what it is told.
func (n *Node) begin(known *record) error {
	o := &n.options
	switch {
	case known != nil:
		n.record = *known
		return n.resume()
	case n.db.Founded() && len(o.Founders) > 0:
		return errors.New("this data directory is of a node that was started alone, --cluster founds a new cluster: " +
			"give an empty data directory, or start without --cluster and with --peer-addr, and let others --join it")
	}
	if len(o.Founders) > 0 && o.Listener == nil {
		return errors.New("a founder needs an address for its peers")
	}
	n.record = record{Name: o.Name}
	if n.record.Name == "" {
		n.record.Name = fmt.Sprintf("node-%08x", n.db.Identity().Node>>32)
	}
	if len(o.Founders) == 0 {
		return nil
	}
	if o.Name == "" || findFounder(o.Founders, o.Name) < 0 {
		return fmt.Errorf("--name %q is none of the founders in --cluster %s", o.Name, describe(o.Founders))
	}
	l := newList(o.Founders, o.Name, n.self())
	n.record.Founding = &l
	return n.record.keep(n.db, 0)
}

// resume holds what the node knows against what it is told.
func (n *Node) resume() error {
	o, r := &n.options, &n.record
	if o.Listener == nil {
		return fmt.Errorf("%s is a node of a cluster and needs an address for its peers: give --peer-addr", r.Name)
	}
	if o.Name != "" && o.Name != r.Name {
		return fmt.Errorf("this data directory is of the node %s, not of %s", r.Name, o.Name)
	}
	if r.Founding == nil || r.Founding.Sealed {
		return nil
	}
	flags := r.Founding.flags()
	switch {
	case len(o.Founders) == 0:
		return fmt.Errorf("this node has begun to found a cluster and has not finished: start it with --cluster %s, "+
			"or empty its data directory", describe(flags))
	case describe(flags) != describe(o.Founders):
		return fmt.Errorf("%w: this node has begun to found a cluster with --cluster %s: start it so, or empty its "+
			"data directory", ErrFlags, describe(flags))
	}
	return nil
}

// self is this node with its disk.
func (n *Node) self() disk {
	id := n.db.Identity()
	return disk{id.Node, id.Incarnation}
}

// Place is what a node begins its log with.
type Place struct {
	Cluster uint64
	// Seed is what the founders of the cluster have begun from.
	Seed raft.Seed
}

// Settle waits until the node belongs to a cluster, as long as ctx lasts.
func (n *Node) Settle(ctx context.Context) (Place, error) {
	if n.transport != nil {
		n.transport.Start()
	}
	n.mu.Lock()
	founding := n.record.Founding
	n.mu.Unlock()
	if founding != nil && !founding.Sealed {
		if err := n.found(ctx); err != nil {
			return Place{}, err
		}
	}
	return n.place()
}

// place is the place of a node that has settled.
func (n *Node) place() (p Place, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.Cluster = n.db.Identity().Cluster
	if n.transport != nil {
		n.transport.SetCluster(p.Cluster)
	}
	if l := n.record.Founding; l != nil {
		p.Seed, err = l.seed()
	} else {
		p.Seed, err = raft.Founding(raft.ReplicaID(n.db.Identity().Node))
	}
	return p, err
}

// Name is this node's among the others.
func (n *Node) Name() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.record.Name
}

// Transport carries the messages of the raft host; nil for a node that has no listener.
func (n *Node) Transport() raft.Transport {
	if n.transport == nil {
		return nil
	}
	return n.transport
}

// SendTo queues a packet of one of Options.Kinds for a peer. See transport.Transport.SendTo.
func (n *Node) SendTo(to transport.NodeID, kind transport.Kind, payload []byte) error {
	if n.transport == nil {
		return transport.ErrUnknownPeer
	}
	return n.transport.SendTo(to, kind, payload)
}

// Run connects the node with its peers. What they send may arrive from now on.
func (n *Node) Run() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transport == nil || n.record.Founding == nil {
		return nil
	}
	for i := range n.record.Founding.Founders {
		f := &n.record.Founding.Founders[i]
		err := n.transport.SetPeer(transport.Peer{
			ID: transport.NodeID(f.Node), Addr: f.Addr, Incarnation: f.Incarnation,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close ends all connections. Nothing is called back afterwards.
func (n *Node) Close() {
	if n.transport != nil {
		n.transport.Close()
	}
}

// pause waits, at most as long as ctx lasts.
func (n *Node) pause(ctx context.Context, d time.Duration) {
	timer := n.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// noteRefusal logs a question that was refused. Who repeats itself gets one line a minute.
func (n *Node) noteRefusal(from transport.Remote, why error) {
	n.mu.Lock()
	now, text := n.clock.Boot(), why.Error()
	news := text != n.refusedText || now-n.refusedAt >= time.Minute
	if news {
		n.refusedText, n.refusedAt = text, now
	}
	n.mu.Unlock()
	if news {
		n.logger.Warn("another node was refused", slog.String("node", fmt.Sprintf("%016x", uint64(from.Node))),
			slog.String("reason", text))
	}
}
