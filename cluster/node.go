package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// Group is what a Node needs of the raft group that all members have in common; *raft.Group has it.
type Group interface {
	Status() raft.Status
	ProposeMember(ctx context.Context, m raft.Member) error
	ProposeConfChange(ctx context.Context, changes ...raft.Change) error
	Transfer(ctx context.Context, to raft.ReplicaID) error
	ProposeReads(ctx context.Context, r raft.Reads) error
}

// NodeDB is where a Node keeps what it knows, and each call is durable when it returns; *nodedb.DB has it.
type NodeDB interface {
	Identity() nodedb.Identity
	Founded() bool
	Document(name string) []byte
	Keep(name string, document []byte) error
	Enter(cluster uint64, name string, document []byte) error
}

// Options are what a Node is made of. DB, Clock, Random and Logger are required, and with a Listener Receive too.
type Options struct {
	DB NodeDB
	// Name is this node's among the others. "" keeps the one it has, or makes one of its id.
	Name string
	// Founders found a cluster, this node among them. Join are addresses of members of a cluster that is to take this
	// node in. Invited waits until a member asks it to join. At most one of the three is given, and they count only
	// until the node belongs to a cluster.
	Founders []Founder
	Join     []string
	Invited  bool

	// Listener is where peers connect; the Node closes it. nil is a node alone, which nobody can join. PeerAddr is
	// where they reach it; "" keeps what they were told last.
	Listener net.Listener
	PeerAddr string
	// Dial, Secret, TLSClient and TLSServer are transport.Config's.
	Dial                 func(ctx context.Context, addr string) (net.Conn, error)
	Secret               []byte
	TLSClient, TLSServer *tls.Config

	// Receive and Unreachable are transport.Config's, and Kinds are carried beside raft. They are called from Run
	// on, not before.
	Receive     func(group raft.GroupID, from transport.NodeID, m *pb.Message) error
	Unreachable func(peer transport.NodeID, group raft.GroupID)
	Kinds       map[transport.Kind]transport.KindConfig
	// Removed is called when it turns out that this node was removed from the cluster: it must stop, and never comes
	// back. It must not block, and must not call Close.
	Removed func(error)
	// Wrong reports whether a member's data is known to be wrong: it must not lead. nil: of nobody. Called from Run on.
	Wrong func(node uint64) bool

	Clock  clock.Clock
	Random io.Reader
	Logger *slog.Logger
}

// Node is this process' place in a cluster. All methods are safe for concurrent use.
type Node struct {
	options     Options
	db          NodeDB
	self        disk
	clock       clock.Clock
	logger      *slog.Logger
	transport   *transport.Transport // nil: no listener
	complaints  complaints
	invitations chan invitation // holds one

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	changing sync.Mutex // held by the leader while it makes a change of the members

	mu        sync.Mutex
	record    record        // as node.db has it; guarded by mu
	joining   bool          // waits to be taken in; guarded by mu
	group     Group         // nil before Run; guarded by mu
	peers     []Member      // as the transport has them, this node among them; guarded by mu
	ledTerm   raft.Term     // in which this node led last; guarded by mu
	ledFrom   time.Duration // boot clock, when that was noticed; guarded by mu
	addresses Member        // RESP and GRPC as Advertise was told; guarded by mu
}

// Open reads what the node knows of its cluster and begins to listen. It takes the listener over, also if it
// fails. Nothing is asked or answered before Settle.
func Open(o Options) (_ *Node, err error) {
	defer func() {
		if err != nil && o.Listener != nil {
			err = errors.Join(err, o.Listener.Close())
		}
	}()
	id := o.DB.Identity()
	n := &Node{
		options: o, db: o.DB, self: disk{id.Node, id.Incarnation}, clock: o.Clock, logger: o.Logger,
		invitations: make(chan invitation, 1),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	known, err := readRecord(o.DB)
	if err == nil {
		err = n.begin(known)
	}
	if err == nil && o.Listener != nil {
		err = n.listen(&id)
	}
	if err != nil {
		n.cancel()
		return nil, err
	}
	return n, nil
}

// listen makes the transport.
func (n *Node) listen(id *nodedb.Identity) (err error) {
	o := &n.options
	if o.PeerAddr == "" {
		for _, m := range n.record.Members {
			if m.Node == id.Node {
				o.PeerAddr = m.Peer
			}
		}
	}
	if o.PeerAddr == "" {
		return fmt.Errorf("peers cannot connect to %s, where they are listened for: give --advertise-peer-addr, the "+
			"address at which they reach this node", o.Listener.Addr())
	}
	if err := CheckAddr(o.PeerAddr); err != nil {
		return err
	}
	n.transport, err = transport.New(transport.Config{
		Cluster: id.Cluster, Self: transport.NodeID(id.Node), Incarnation: id.Incarnation, Process: id.Process,
		Listener: o.Listener, Dial: o.Dial, Secret: o.Secret, TLSClient: o.TLSClient, TLSServer: o.TLSServer,
		VerifyPeer: certified,
		Clock:      o.Clock, Random: o.Random, Logger: o.Logger,
		Receive: o.Receive, Unreachable: o.Unreachable, Kinds: o.Kinds,
		Removed: n.hasRemoved, Introduction: n.introduced,
	})
	return err
}

// hasRemoved reports whether a node was removed from the cluster.
func (n *Node) hasRemoved(id transport.NodeID) bool {
	group := n.joined()
	if group == nil {
		return false
	}
	s := group.Status()
	return s.Charter.HasRemoved(raft.ReplicaID(id))
}

// joined returns the group, nil before Run.
func (n *Node) joined() Group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.group
}

// selfLocked is this node as it can say without asking anyone. The caller holds mu.
func (n *Node) selfLocked() Member {
	return Member{
		Node: n.self.Node, Incarnation: n.self.Incarnation, Name: n.record.Name, Peer: n.options.PeerAddr,
		RESP: n.addresses.RESP, GRPC: n.addresses.GRPC,
	}
}

// isPeer reports whether a disk is that of a member, this node among them.
func (n *Node) isPeer(d disk) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.peers, func(m Member) bool { return m.disk() == d })
}

// certified takes a certificate of the authorities for any node: they sign those of nodes only.
func certified(transport.NodeID, tls.ConnectionState) error { return nil }

// begin finds out what the node is to be, from what it knows and what it is told.
func (n *Node) begin(known *record) error {
	o := &n.options
	if known != nil {
		n.record = *known
		return n.resume()
	}
	member := len(o.Founders) > 0 || len(o.Join) > 0 || o.Invited
	switch {
	case n.db.Founded() && member:
		return errors.New("this data directory is of a node that was started alone and has a cluster of its own: " +
			"give an empty data directory, or start it with --peer-addr alone, and let others --join it")
	case member && o.Listener == nil:
		return errors.New("a member of a cluster needs an address for its peers: give --peer-addr")
	}
	n.record = record{Name: o.Name}
	if n.record.Name == "" {
		n.record.Name = fmt.Sprintf("node-%08x", n.self.Node>>32)
	}
	n.joining = len(o.Join) > 0 || o.Invited
	if len(o.Founders) == 0 {
		return nil
	}
	if o.Name == "" || findFounder(o.Founders, o.Name) < 0 {
		return fmt.Errorf("--name %q is none of the founders in --cluster %s", o.Name, describe(o.Founders))
	}
	l := newList(o.Founders, o.Name, n.self)
	next := n.record
	next.Founding = &l
	return n.keep(next, 0)
}

// resume holds what the node knows against what it is told.
func (n *Node) resume() error {
	o, r := &n.options, &n.record
	founds := r.Founding != nil && !r.Founding.Sealed
	switch {
	case r.Removed:
		return fmt.Errorf("%s: %w", r.Name, ErrRemoved)
	case o.Name != "" && o.Name != r.Name:
		return fmt.Errorf("this data directory is of the node %s, not of %s", r.Name, o.Name)
	case o.Listener == nil && (r.Founding != nil || r.Joined || len(r.Members) > 1):
		return fmt.Errorf("%s is a node of a cluster and needs an address for its peers: give --peer-addr", r.Name)
	case !founds:
		return nil
	}
	flags := describe(r.Founding.flags())
	switch {
	case len(o.Founders) == 0:
		return fmt.Errorf("this node has begun to found a cluster and has not finished: start it with --cluster %s, "+
			"or empty its data directory", flags)
	case describe(o.Founders) != flags:
		return fmt.Errorf("%w: this node has begun to found a cluster with --cluster %s: start it so, or empty its "+
			"data directory", ErrFlags, flags)
	}
	return nil
}

// Place is what a node begins its log with.
type Place struct {
	Cluster uint64
	// Joined: others have founded the cluster, and the log begins with nothing.
	Joined bool
	// Seed is what the founders have begun from; zero if Joined.
	Seed raft.Seed
}

// Settle waits until the node belongs to a cluster, as long as ctx lasts.
func (n *Node) Settle(ctx context.Context) (Place, error) {
	if n.transport != nil {
		n.transport.Start()
	}
	n.mu.Lock()
	founds := n.record.Founding != nil && !n.record.Founding.Sealed
	joins := n.joining
	n.mu.Unlock()
	var err error
	switch {
	case founds:
		err = n.found(ctx)
	case joins:
		err = n.join(ctx)
	}
	if err != nil {
		return Place{}, err
	}
	return n.place()
}

// place is the place of a node that has settled.
func (n *Node) place() (p Place, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.joining = false
	p.Cluster = n.db.Identity().Cluster
	if n.transport != nil {
		n.transport.SetCluster(p.Cluster)
	}
	switch {
	case n.record.Joined:
		p.Joined = true
	case n.record.Founding != nil:
		p.Seed, err = n.record.Founding.seed()
	default:
		p.Seed, err = raft.Founding(raft.ReplicaID(n.self.Node))
	}
	return p, err
}

// Name is this node's among the others.
func (n *Node) Name() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.record.Name
}

// PeerAddr is where the others reach this node; "" if it has no listener.
func (n *Node) PeerAddr() string { return n.options.PeerAddr }

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

// Run connects the node with its peers, keeps them as the group's log says, and makes changes of the members while
// this node leads. What peers send may arrive from now on.
func (n *Node) Run(group Group) error {
	n.mu.Lock()
	n.group = group
	n.mu.Unlock()
	if n.transport == nil {
		return nil
	}
	s := group.Status()
	if err := n.syncPeers(&s); err != nil {
		return err
	}
	n.running.Go(n.keepPeers)
	n.running.Go(n.promoteLearners)
	n.running.Go(n.speak)
	return nil
}

// Advertise tells where clients reach this node: resp and, unless it is "", grpc. The others are told.
func (n *Node) Advertise(resp, grpc string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = Member{RESP: resp, GRPC: grpc}
}

// Close ends all connections. Nothing is called back afterwards.
func (n *Node) Close() {
	n.cancel()
	if n.transport != nil {
		n.transport.Close()
	}
	n.running.Wait()
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

// noteRefusal logs a question that was refused for good.
func (n *Node) noteRefusal(from transport.Remote, q *question, why error) {
	asks := ID(uint64(from.Node))
	if q.Origin != nil {
		asks = ID(q.Origin.Node)
	}
	text := why.Error()
	if refused(why) && n.complaints.news(n.clock.Boot(), asks+text) {
		n.logger.Warn("another node was refused", slog.String("node", asks), slog.String("reason", text))
	}
}
