package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// Bounds of the cluster secret.
const (
	secretBytesMin = 16
	secretBytesMax = 4096
)

// openCluster opens the node's place in its cluster, and its port for peers if it has one.
func (c *core) openCluster(o Options) (err error) {
	config := &o.Config.Cluster
	options := cluster.Options{
		DB: c.nodedb, Name: config.Name, Founders: config.founders(), Join: config.Join, Invited: config.Invited,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
		Receive: c.receive, Unreachable: c.unreachable, Kinds: c.kinds(), Removed: o.removed,
		Wrong: func(node uint64) bool { return slices.Contains(c.store.DigestStatus().Wrong, node) },
		Clock: clock.System, Random: rand.Reader, Logger: o.Logger,
	}
	if options.Secret, err = readSecret(config.ClusterSecretFile); err != nil {
		return err
	}
	if options.TLSClient, options.TLSServer, err = peerTLS(config); err != nil {
		return err
	}
	if options.Listener = o.peerListener; options.Listener == nil && config.listenAddr() != "" {
		if options.Listener, err = net.Listen("tcp", config.listenAddr()); err != nil {
			return fmt.Errorf("--peer-addr: %w", err)
		}
	}
	if options.Listener != nil {
		options.PeerAddr = config.advertisedAddr(options.Listener.Addr())
	}
	c.cluster, err = cluster.Open(options)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", o.Config.Storage.DataDir, err)
	}
	return nil
}

// receive gives a message of a peer to the raft host.
func (c *core) receive(group raft.GroupID, from transport.NodeID, m *pb.Message) error {
	return c.host.Receive(group, raft.ReplicaID(from), m)
}

// unreachable tells the raft host that entries for a peer were dropped.
func (c *core) unreachable(peer transport.NodeID, group raft.GroupID) {
	c.host.Unreachable(group, raft.ReplicaID(peer))
}

// Kinds of packets that nodes send each other beside raft's messages. They stand on the wire.
const (
	kindStore      transport.Kind = transport.KindUser     // of the stores; see store.Courier
	kindCheckpoint transport.Kind = transport.KindUser + 1 // pieces of checkpoints; see store.Options.Bulk
)

// kinds says how they are carried, and to whom. What peers send arrives when all that is named here is there.
func (c *core) kinds() map[transport.Kind]transport.KindConfig {
	return map[transport.Kind]transport.KindConfig{
		kindStore: {Deliver: func(from transport.NodeID, packet []byte) { c.store.Receive(uint64(from), packet) }},
		kindCheckpoint: {Bulk: true, Deliver: func(from transport.NodeID, packet []byte) {
			c.store.ReceiveBulk(uint64(from), packet)
		}},
	}
}

// courier carries packets of this node's store, of one kind.
type courier struct {
	node *cluster.Node
	kind transport.Kind
}

// Send queues a packet. See store.Courier.
func (c courier) Send(node uint64, packet []byte) error {
	return c.node.SendTo(transport.NodeID(node), c.kind, packet)
}

// readSecret reads the cluster secret; nil if there is none.
func readSecret(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--cluster-secret-file: %w", err)
	}
	secret := bytes.TrimSpace(content)
	if len(secret) < secretBytesMin || len(secret) > secretBytesMax {
		return nil, fmt.Errorf("--cluster-secret-file %s: the secret has %d bytes, it must have %d to %d",
			file, len(secret), secretBytesMin, secretBytesMax)
	}
	return secret, nil
}

// peerTLS returns how nodes speak TLS with each other, as the one that connects and as the other; nil for not at
// all. A certificate of the authorities is the right to be a node.
func peerTLS(c *ClusterConfig) (client, server *tls.Config, err error) {
	if c.PeerTLSCert == "" {
		return nil, nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(c.PeerTLSCert, c.PeerTLSKey)
	if err != nil {
		return nil, nil, fmt.Errorf("--peer-tls-cert and --peer-tls-key: %w", err)
	}
	pem, err := os.ReadFile(c.PeerTLSCA)
	if err != nil {
		return nil, nil, fmt.Errorf("--peer-tls-ca: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, nil, errors.New("--peer-tls-ca " + c.PeerTLSCA + " holds no certificate in PEM")
	}
	certificates := []tls.Certificate{certificate}
	client = &tls.Config{Certificates: certificates, RootCAs: authorities, MinVersion: tls.VersionTLS13}
	server = &tls.Config{
		Certificates: certificates, ClientCAs: authorities, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert,
	}
	return client, server, nil
}
