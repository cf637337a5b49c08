package store

import (
	"fmt"
	"testing"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
)

// entryOf makes an entry of SETs of keys of the benchmark.
func entryOf(at int, sets, keys int, value string, digest bool) []byte {
	var e envelope
	e.begin(nil, header{LogTime: epoch.UnixMilli(), Digest: digest})
	for i := range sets {
		key := fmt.Sprintf("key:%d", (at*sets+i)*7919%keys)
		c := command.Call{Credential: "default", Args: [][]byte{[]byte("set"), []byte(key), []byte(value)}}
		e.add(origin{1, 1, uint64(i)}, &c)
	}
	return e.buf
}

// BenchmarkApplyDuringDigest applies SETs of existing keys, 16 to an entry, to a state of 300 000 keys: without a
// digest, and with one always under way. It is the hot path's whole cost of a digest: pre-images, and the locks and the
// share of the machine that the walk takes.
func BenchmarkApplyDuringDigest(b *testing.B) {
	const keys, sets, entries = 300_000, 16, 4096
	value := string(make([]byte, 64))
	for _, digest := range []bool{false, true} {
		b.Run(fmt.Sprintf("digest=%v", digest), func(b *testing.B) {
			n, _ := benchNode(b)
			n.host.Stop()
			s := n.store
			index := s.applied.Index
			apply := func(data []byte) {
				index++
				s.Apply(s.applied.Term, []raft.Entry{{Term: s.applied.Term, Index: index, Data: data}})
			}
			for at := range keys / sets {
				apply(entryOf(at, sets, keys, value, false))
			}
			var ready [entries][]byte
			for at := range ready {
				ready[at] = entryOf(at, sets, keys, value, digest)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				apply(ready[i%entries])
			}
			b.ReportMetric(float64(b.N*sets)/b.Elapsed().Seconds(), "sets/s")
		})
	}
}
