package server

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/primatomic/primatomic/cluster"
)

// ClusterConfig says which other nodes this one belongs with, and how it tells them from strangers.
type ClusterConfig struct {
	Name    string   `placeholder:"NAME" help:"Name of this node among the others. A node that has one keeps it."`
	Cluster []string `placeholder:"NAME=HOST:PORT" help:"Found a cluster of these nodes, each with the address where its peers connect: n1=10.0.0.1:8379,n2=10.0.0.2:8379,n3=10.0.0.3:8379. The same list on each of them, this node (--name) among them. It counts until the cluster is founded."`
	Join    []string `placeholder:"HOST:PORT" help:"Join the cluster that these nodes are members of; one that answers is enough. It counts until this node is a member."`
	Invited bool     `help:"Wait until a member invites this node into its cluster: primatomic cluster add, or replace."`

	PeerAddr          string `placeholder:"HOST:PORT" help:"Address to listen on for other nodes. Without it a node of --cluster listens at its address in the list, one that is to join at 127.0.0.1:8379, and a node alone does not listen for others."`
	AdvertisePeerAddr string `placeholder:"HOST:PORT" help:"Address where other nodes connect, if it is not the one that is listened on."`
	AdvertiseRespAddr string `placeholder:"HOST:PORT" help:"Address that Redis clients are told for this node, if it is not the one that is listened on."`
	AdvertiseGrpcAddr string `placeholder:"HOST:PORT" help:"Address that gRPC clients are told for this node, if it is not the one that is listened on."`

	DigestInterval time.Duration `default:"10m" help:"While it leads, have all nodes hash their data and compare this often; 0 for never. A node that differs from the majority stops serving."`

	ClusterSecretFile string `type:"existingfile" placeholder:"FILE" help:"File with a secret of 16 bytes or more that all nodes of the cluster know: a node without it is not let in. What nodes send each other is not encrypted."`
	PeerTLSCert       string `name:"peer-tls-cert" type:"existingfile" placeholder:"FILE" help:"Certificate of this node, in PEM, for servers and clients. With it nodes speak TLS with each other, and none without a certificate is let in."`
	PeerTLSKey        string `name:"peer-tls-key" type:"existingfile" placeholder:"FILE" help:"Private key of that certificate, in PEM."`
	PeerTLSCA         string `name:"peer-tls-ca" type:"existingfile" placeholder:"FILE" help:"Authorities, in PEM, that sign the certificates of nodes."`
}

// validate refuses settings that contradict each other.
func (c *ClusterConfig) validate() error {
	if c.DigestInterval < 0 {
		return errors.New("--digest-interval must not be negative: 0 is for never")
	}
	tls := 0
	for _, file := range []string{c.PeerTLSCert, c.PeerTLSKey, c.PeerTLSCA} {
		if file != "" {
			tls++
		}
	}
	if tls != 0 && tls != 3 {
		return errors.New("--peer-tls-cert, --peer-tls-key and --peer-tls-ca go together: give all three or none")
	}
	if c.Name != "" {
		if err := cluster.CheckName(c.Name); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	for flag, addr := range map[string]string{
		"advertise-peer-addr": c.AdvertisePeerAddr, "advertise-resp-addr": c.AdvertiseRespAddr,
		"advertise-grpc-addr": c.AdvertiseGrpcAddr,
	} {
		if addr == "" {
			continue
		}
		if err := cluster.CheckAddr(addr); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
	}
	return c.validateWay()
}

// validateWay checks how the node comes to belong to a cluster: there is one way at most.
func (c *ClusterConfig) validateWay() error {
	ways := 0
	for _, given := range []bool{len(c.Cluster) > 0, len(c.Join) > 0, c.Invited} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("--cluster founds a cluster, --join joins one, --invited waits to be asked: give one of them")
	}
	for _, addr := range c.Join {
		if err := cluster.CheckAddr(addr); err != nil {
			return fmt.Errorf("--join: %w", err)
		}
	}
	return c.validateFounders()
}

// validateFounders checks the list of founders and this node's place in it.
func (c *ClusterConfig) validateFounders() error {
	if len(c.Cluster) == 0 {
		return nil
	}
	founders, err := cluster.ParseFounders(c.Cluster)
	if err != nil {
		return fmt.Errorf("--cluster: %w", err)
	}
	if c.Name == "" {
		return errors.New("--cluster needs --name: which of its nodes is this one?")
	}
	for _, f := range founders {
		if f.Name != c.Name {
			continue
		}
		if c.AdvertisePeerAddr != "" && c.AdvertisePeerAddr != f.Addr {
			return fmt.Errorf("--advertise-peer-addr %s is not the address of %s in --cluster, %s",
				c.AdvertisePeerAddr, f.Name, f.Addr)
		}
		return nil
	}
	return fmt.Errorf("--name %s is none of the nodes in --cluster", c.Name)
}

// founders returns the list of founders, which has been validated.
func (c *ClusterConfig) founders() []cluster.Founder {
	if len(c.Cluster) == 0 {
		return nil
	}
	founders, _ := cluster.ParseFounders(c.Cluster)
	return founders
}

// peerAddrDefault is where a node that is to join listens for peers.
const peerAddrDefault = "127.0.0.1:8379"

// listenAddr returns where to listen for peers, "" for nowhere.
func (c *ClusterConfig) listenAddr() string {
	switch {
	case c.PeerAddr != "":
		return c.PeerAddr
	case len(c.Join) > 0 || c.Invited:
		return peerAddrDefault
	}
	return c.listedAddr()
}

// listedAddr returns the address of this node in the list of founders, "" if it is none.
func (c *ClusterConfig) listedAddr() string {
	for _, f := range c.founders() {
		if f.Name == c.Name {
			return f.Addr
		}
	}
	return ""
}

// advertisedAddr returns where peers reach a node that listens for them at an address; "" if that cannot be told.
func (c *ClusterConfig) advertisedAddr(listens net.Addr) string {
	addr := cmp.Or(c.AdvertisePeerAddr, c.listedAddr(), listens.String())
	if cluster.CheckAddr(addr) != nil {
		return ""
	}
	return addr
}

// proves reports whether peers prove that they belong to the cluster.
func (c *ClusterConfig) proves() bool { return c.ClusterSecretFile != "" || c.PeerTLSCert != "" }

// validateOpen refuses to let just anyone who reaches the port be a peer.
func (c *ClusterConfig) validateOpen(insecure bool) error {
	addr := c.listenAddr()
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--peer-addr %q is no address: write HOST:PORT, as in 127.0.0.1:8379", addr)
	}
	if !loopback(host) && !c.proves() && !insecure {
		return fmt.Errorf("peers can reach %s from other machines and need not prove that they belong to the "+
			"cluster: give --cluster-secret-file (`openssl rand -base64 32 > cluster.secret`) or --peer-tls-cert, "+
			"--peer-tls-key and --peer-tls-ca, or --insecure if the network is trusted", addr)
	}
	return nil
}
