package main

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// primatomicKind is this store, with further flags.
type primatomicKind struct {
	binary string
	flags  []string
}

// namespace is the numbered database that Redis clients begin in.
const namespace = "0"

func (primatomicKind) name() string { return "primatomic" }

func (k primatomicKind) command(t *trio, n *node) []string {
	var founders []string
	for _, founder := range t.nodes {
		founders = append(founders, founder.name+"="+founder.peer)
	}
	return append([]string{
		k.binary, "serve", "--name", n.name, "--cluster", strings.Join(founders, ","), "--data-dir", n.dir,
		"--resp-addr", n.addr, "--grpc-addr", n.grpc, "--http-addr=", "--log-level", "error",
	}, k.flags...)
}

func (primatomicKind) status(ctx context.Context, n *node) (nodeStatus, error) {
	s, err := primatomicv1.NewClusterClient(n.conn).Status(ctx, &primatomicv1.ClusterStatusRequest{})
	if err != nil {
		return nodeStatus{}, err
	}
	return nodeStatus{s.GetNode(), s.GetLeader(), s.GetAppliedIndex()}, nil
}

func (k primatomicKind) transfer(ctx context.Context, leader, successor *node) error {
	to, err := k.status(ctx, successor)
	if err != nil {
		return err
	}
	_, err = primatomicv1.NewClusterClient(leader.conn).TransferLeadership(ctx,
		&primatomicv1.TransferLeadershipRequest{Node: to.node})
	return err
}

func (primatomicKind) put(ctx context.Context, conn *grpc.ClientConn, key string, value []byte) error {
	_, err := primatomicv1.NewKeyValueClient(conn).PutKey(ctx,
		&primatomicv1.PutKeyRequest{Namespace: namespace, Key: key, Value: value})
	return err
}

func (primatomicKind) get(ctx context.Context, conn *grpc.ClientConn, key string) error {
	_, err := primatomicv1.NewKeyValueClient(conn).GetKey(ctx,
		&primatomicv1.GetKeyRequest{Namespace: namespace, Key: key})
	return err
}

func (primatomicKind) fill(_ context.Context, n *node, keys int) error { return fill(&n.server, keys) }

func (primatomicKind) writer(n *node) (write func(context.Context) error, end func()) {
	client := redis.NewClient(&redis.Options{
		Addr: n.addr, PoolSize: 1, MaxRetries: -1, DialerRetries: 1, ReadTimeout: 5 * time.Second,
	})
	write = func(ctx context.Context) error { return client.Incr(ctx, "counter").Err() }
	return write, func() { _ = client.Close() }
}
