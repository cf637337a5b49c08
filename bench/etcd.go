package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// etcdKind is etcd with its default settings, but for a larger quota.
type etcdKind struct{}

func (etcdKind) name() string { return "etcd" }

func (etcdKind) command(t *trio, n *node) []string {
	var members []string
	for _, member := range t.nodes {
		members = append(members, member.name+"=http://"+member.peer)
	}
	return []string{
		"etcd", "--name", n.name, "--data-dir", n.dir, "--initial-cluster", strings.Join(members, ","),
		"--listen-peer-urls", "http://" + n.peer, "--initial-advertise-peer-urls", "http://" + n.peer,
		"--listen-client-urls", "http://" + n.grpc, "--advertise-client-urls", "http://" + n.grpc,
		"--quota-backend-bytes", strconv.Itoa(8 << 30), "--logger", "zap", "--log-level", "error",
	}
}

func (etcdKind) status(ctx context.Context, n *node) (nodeStatus, error) {
	s, err := etcdserverpb.NewMaintenanceClient(n.conn).Status(ctx, &etcdserverpb.StatusRequest{})
	if err != nil {
		return nodeStatus{}, err
	}
	known := nodeStatus{node: memberText(s.GetHeader().GetMemberId()), applied: s.GetRaftAppliedIndex()}
	if s.GetLeader() != 0 {
		known.leader = memberText(s.GetLeader())
	}
	return known, nil
}

func memberText(id uint64) string { return strconv.FormatUint(id, 16) }

func (k etcdKind) transfer(ctx context.Context, leader, successor *node) error {
	to, err := k.status(ctx, successor)
	if err != nil {
		return err
	}
	id, err := strconv.ParseUint(to.node, 16, 64)
	if err != nil {
		return err
	}
	_, err = etcdserverpb.NewMaintenanceClient(leader.conn).MoveLeader(ctx,
		&etcdserverpb.MoveLeaderRequest{TargetID: id})
	return err
}

func (etcdKind) put(ctx context.Context, conn *grpc.ClientConn, key string, value []byte) error {
	_, err := etcdserverpb.NewKVClient(conn).Put(ctx, &etcdserverpb.PutRequest{Key: []byte(key), Value: value})
	return err
}

// get is linearizable: that is etcd's default.
func (etcdKind) get(ctx context.Context, conn *grpc.ClientConn, key string) error {
	_, err := etcdserverpb.NewKVClient(conn).Range(ctx, &etcdserverpb.RangeRequest{Key: []byte(key)})
	return err
}

// etcdFill is how many operations etcd takes in a transaction.
const etcdFill = 128

func (etcdKind) fill(ctx context.Context, n *node, keys int) error {
	client, value := etcdserverpb.NewKVClient(n.conn), make([]byte, valueBytes)
	for first := 0; first < keys; first += etcdFill {
		var txn etcdserverpb.TxnRequest
		for i := first; i < min(first+etcdFill, keys); i++ {
			put := &etcdserverpb.PutRequest{Key: []byte(keyName(i)), Value: value}
			txn.Success = append(txn.Success, &etcdserverpb.RequestOp{
				Request: &etcdserverpb.RequestOp_RequestPut{RequestPut: put},
			})
		}
		if _, err := client.Txn(ctx, &txn); err != nil {
			return fmt.Errorf("fill etcd: %w", err)
		}
	}
	return nil
}

// etcdWriteTimeout is after how long a client gives a write up: a node of etcd that has sent it to a leader that is
// gone says so after 7 seconds only.
const etcdWriteTimeout = 250 * time.Millisecond

func (k etcdKind) writer(n *node) (write func(context.Context) error, end func()) {
	write = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, etcdWriteTimeout)
		defer cancel()
		return k.put(ctx, n.conn, "counter", []byte("1"))
	}
	return write, func() {}
}
