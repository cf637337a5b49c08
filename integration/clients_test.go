package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// TestClusterClient: a client made for Redis Cluster finds the only node and sends everything there. Over RESP2 and
// RESP3, reads sent to replicas included, of which there are none.
func TestClusterClient(t *testing.T) {
	n := startNode(t)
	for _, protocol := range []int{2, 3} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("RESP%d, read-only %v", protocol, readOnly), func(t *testing.T) {
				c := redis.NewClusterClient(&redis.ClusterOptions{
					Addrs: []string{n.respAddr()}, Protocol: protocol, ReadOnly: readOnly, MaxRedirects: -1,
					ReadTimeout: 30 * time.Second,
				})
				t.Cleanup(func() { _ = c.Close() })
				useClusterClient(t, c)
			})
		}
	}
}

func useClusterClient(t *testing.T, c *redis.ClusterClient) {
	t.Helper()
	x := t.Context()
	for i := range 200 {
		key := fmt.Sprintf("cluster:%d", i)
		if err := c.Set(x, key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(x, key).Int(); err != nil || got != i {
			t.Fatalf("%s is %d, %v", key, got, err)
		}
	}
	_, err := c.Pipelined(x, func(p redis.Pipeliner) error { // the client splits it by slots
		for i := range 100 {
			p.Incr(x, fmt.Sprintf("cluster:%d", i))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	_, err = c.TxPipelined(x, func(p redis.Pipeliner) error {
		p.Set(x, "{tx}a", 1, 0)
		p.Set(x, "{tx}b", 2, 0)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	masters := 0
	err = c.ForEachMaster(x, func(x context.Context, m *redis.Client) error {
		masters++
		return m.Ping(x).Err()
	})
	if err != nil || masters != 1 {
		t.Errorf("%d masters, %v", masters, err)
	}
	if size, err := c.DBSize(x).Result(); err != nil || size != 202 {
		t.Errorf("there are %d keys, %v", size, err)
	}
}

// TestTopologyToClients reads what go-redis makes of the commands by which clients learn who leads.
func TestTopologyToClients(t *testing.T) {
	n := startNode(t)
	c, x := n.redis(t), t.Context()
	_, text, _ := net.SplitHostPort(n.respAddr())
	port, _ := strconv.Atoi(text)
	id := c.Do(x, "CLUSTER", "MYID").Val().(string)

	slots, err := c.Do(x, "CLUSTER", "SLOTS").Slice()
	want := []any{[]any{int64(0), int64(16383), []any{"127.0.0.1", int64(port), id, []any{}}}}
	if diff := cmp.Diff(want, slots); diff != "" {
		t.Errorf("CLUSTER SLOTS, %v (-want +got):\n%s", err, diff)
	}
	shards, err := c.ClusterShards(x).Result()
	if err != nil || len(shards) != 1 || len(shards[0].Nodes) != 1 || shards[0].Nodes[0].Port != int64(port) ||
		shards[0].Nodes[0].Role != "master" || shards[0].Nodes[0].Health != "online" {
		t.Errorf("CLUSTER SHARDS: %+v, %v", shards, err)
	}
	if info, err := c.ClusterInfo(x).Result(); err != nil || !strings.Contains(info, "cluster_state:ok\r\n") {
		t.Errorf("CLUSTER INFO: %q, %v", info, err)
	}
	if nodes, err := c.ClusterNodes(x).Result(); err != nil || !strings.HasPrefix(nodes, id+" "+n.respAddr()) {
		t.Errorf("CLUSTER NODES: %q, %v", nodes, err)
	}
	if held, err := c.Wait(x, 1, time.Minute).Result(); err != nil || held != 0 {
		t.Errorf("WAIT: %d, %v", held, err)
	}
	if err := c.Do(x, "CLIENT", "CONSISTENCY", "STALE").Err(); err != nil {
		t.Error(err)
	}
	if info, err := c.Do(x, "INFO", "replication").Text(); err != nil || !strings.Contains(info, "role:master\r\n") {
		t.Errorf("INFO replication: %q, %v", info, err)
	}
	if err := c.Do(x, "CLUSTER", "TRANSFER").Err(); err == nil || !strings.Contains(err.Error(), "alone") {
		t.Errorf("CLUSTER TRANSFER of a lone node: %v", err)
	}
}

// TestClusterCommandLine: primatomic cluster against a lone node, with authentication and without a node.
func TestClusterCommandLine(t *testing.T) {
	n := startNode(t)
	addr := "--grpc-addr=" + n.grpcAddr()
	out, log, status := run(t, n.binary, "cluster", "status", addr)
	if status != 0 || !strings.HasPrefix(out, "1 members, 1 voters, led by ") || !strings.Contains(out, n.respAddr()) {
		t.Errorf("cluster status ends in %d:\n%s%s", status, out, log)
	}
	out, log, status = run(t, n.binary, "cluster", "status", "--json", addr)
	var state struct {
		Node, Leader string
		Members      []struct{ ID, Role, RESP, GRPC string }
	}
	if err := json.Unmarshal([]byte(out), &state); err != nil || status != 0 || state.Leader != state.Node ||
		len(state.Members) != 1 || state.Members[0].Role != "leader" || state.Members[0].GRPC != n.grpcAddr() {
		t.Errorf("cluster status --json ends in %d, %v:\n%s%s", status, err, out, log)
	}
	for _, line := range [][]string{
		{"add", "127.0.0.1:1"}, {"promote", "n2"}, {"remove", "n2"}, {"transfer"}, {"replace", "n1", "n2"},
	} {
		out, log, status = run(t, n.binary, slices.Concat([]string{"cluster"}, line, []string{addr})...)
		if status != 1 || out != "" || !strings.Contains(log, "FailedPrecondition: ") {
			t.Errorf("cluster %q ends in %d:\n%s%s", line, status, out, log)
		}
	}
	_, log, status = run(t, n.binary, "cluster", "status", "--grpc-addr=127.0.0.1:1")
	if status != 1 || !strings.Contains(log, "no node answers at 127.0.0.1:1") {
		t.Errorf("without a node it ends in %d:\n%s", status, log)
	}
}

// TestFailoverClient: a client made for Redis Sentinel finds the only node by any name, and is not thrown out of
// the channels that it listens to.
func TestFailoverClient(t *testing.T) {
	n := startNode(t)
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			c := redis.NewFailoverClient(&redis.FailoverOptions{
				MasterName: "mymaster", SentinelAddrs: []string{n.respAddr()}, Protocol: protocol,
				ReadTimeout: 30 * time.Second, MaxRetries: -1,
			})
			t.Cleanup(func() { _ = c.Close() })
			for i := range 100 {
				key := fmt.Sprintf("failover:%d", i)
				if err := c.Set(t.Context(), key, i, 0).Err(); err != nil {
					t.Fatal(err)
				}
				if got, err := c.Get(t.Context(), key).Int(); err != nil || got != i {
					t.Fatalf("%s is %d, %v", key, got, err)
				}
			}
			watch := n.redis(t)
			listening := func() string {
				for _, line := range strings.Split(watch.ClientList(t.Context()).Val(), "\n") {
					if strings.Contains(line, " sub=2 ") {
						return line
					}
				}
				return ""
			}
			eventually(t, 20*time.Second, "the client listens", func() bool { return listening() != "" })
			id, _, _ := strings.Cut(listening(), " ")
			// Its pings, one every 3 s, are answered as it expects: the connection stays.
			eventually(t, 20*time.Second, "the client has pinged", func() bool {
				return strings.Contains(listening(), " cmd=ping ")
			})
			if now := listening(); !strings.HasPrefix(now, id+" ") {
				t.Errorf("the client that listened as %s listens as %q", id, now)
			}
		})
	}
	for _, protocol := range []int{2, 3} {
		c := n.redis(t, func(o *redis.Options) { o.Protocol = protocol })
		channel := c.Subscribe(t.Context(), "+switch-master")
		defer channel.Close()
		if first, err := channel.Receive(t.Context()); err != nil {
			t.Errorf("RESP%d: SUBSCRIBE is answered with %v, %v", protocol, first, err)
		}
		if err := channel.Ping(t.Context(), "hello"); err != nil {
			t.Error(err)
		}
		if pong, err := channel.Receive(t.Context()); err != nil || fmt.Sprint(pong) != "Pong<hello>" {
			t.Errorf("RESP%d: PING is answered with %v, %v", protocol, pong, err)
		}
	}
	s := redis.NewSentinelClient(&redis.Options{Addr: n.respAddr()})
	defer s.Close()
	if addr, err := s.GetMasterAddrByName(t.Context(), "any name").Result(); err != nil ||
		net.JoinHostPort(addr[0], addr[1]) != n.respAddr() {
		t.Errorf("the leader is at %q, %v", addr, err)
	}
	master, err := s.Master(t.Context(), "any name").Result()
	if err != nil || master["flags"] != "master" || master["name"] != "any name" || master["quorum"] != "1" {
		t.Errorf("SENTINEL MASTER: %v, %v", master, err)
	}
	if replicas, err := s.Replicas(t.Context(), "any name").Result(); err != nil || len(replicas) != 0 {
		t.Errorf("SENTINEL REPLICAS: %v, %v", replicas, err)
	}
}
