package transport

import (
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// BenchmarkLoopback sends messages between two transports on this machine, at most window of them on
// their way. An operation is one message, received.
func BenchmarkLoopback(b *testing.B) {
	for _, bench := range []struct {
		name          string
		window, batch int
		m             *pb.Message
	}{
		{"heartbeat", 1024, 16, heartbeat(1, 2, 3)},
		{"heartbeat one by one", 1, 1, heartbeat(1, 2, 3)},
		{"append 10 of 100 B", 1024, 4, appendOf(1, 2, 1, slices.Repeat([][]byte{value(100, 'x')}, 10)...)},
		{"append 256 KiB", 64, 1, appendOf(1, 2, 1, value(256<<10, 'x'))},
		{"append 16 MiB", 2, 1, appendOf(1, 2, 1, value(16<<20, 'x'))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			window := make(chan struct{}, bench.window)
			from := newNode(b, 1, nil)
			to := newNode(b, 2, func(c *Config) {
				c.Receive = func(wal.GroupID, NodeID, *pb.Message) error { <-window; return nil }
			})
			connect(b, from, to)
			batch := slices.Repeat([]*pb.Message{bench.m}, bench.batch)
			b.ReportAllocs()
			b.SetBytes(int64(len(encode(b, bench.m))))
			for sent := 0; sent < b.N; sent += len(batch) {
				for range batch {
					window <- struct{}{}
				}
				from.Send(testGroup, batch)
			}
			for range bench.window { // until all have arrived
				window <- struct{}{}
			}
		})
	}
}
