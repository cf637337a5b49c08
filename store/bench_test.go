package store

import (
	"fmt"
	"testing"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/internal/clock"
)

// benchNode is a node that runs by itself, on the clock of the machine and a file system in memory.
func benchNode(b *testing.B) (*node, *command.Session) {
	b.Helper()
	n := &node{t: b, limits: DefaultLimits(), dir: b.TempDir()}
	n.openOn(clock.System, 1<<30)
	n.host.Start()
	session := command.NewSession(1, testHost{n, auth.Off()}, "peer", "local")
	out := command.NewReply(2, nil)
	for i := range 1000 {
		out.Reset()
		n.store.Do(b.Context(), session, calls(fmt.Sprintf("SET key:%d value", i)), out)
	}
	b.Cleanup(n.kill)
	return n, session
}

// BenchmarkDo measures one connection, so SET shows the whole way through the log and back, without a
// disk. allocs/op are of the whole process: gate, batcher, library, log, apply.
func BenchmarkDo(b *testing.B) {
	value := make([]byte, 64)
	for i := range value {
		value[i] = 'v'
	}
	set, get := "SET key:%d "+string(value), "GET key:%d"
	tests := []struct {
		name  string
		lines []string
		times int
	}{
		{"SET", []string{set}, 1},
		{"SETx16", []string{set}, 16},
		{"SETx256", []string{set}, 256},
		{"GET", []string{get}, 1},
		{"GETx16", []string{get}, 16},
		{"SET+GETx16", []string{set, get}, 8},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			n, session := benchNode(b)
			var lines []string
			for i := range tt.times {
				for _, line := range tt.lines {
					lines = append(lines, fmt.Sprintf(line, i*17))
				}
			}
			all, again := calls(lines...), make([]command.Call, len(lines))
			out := command.NewReply(2, nil)
			b.ReportAllocs()
			for b.Loop() {
				for i := range all {
					again[i] = command.Call{Args: all[i].Args}
				}
				out.Reset()
				if done := n.store.Do(b.Context(), session, again, out); done != len(again) {
					b.Fatalf("%d of %d calls were answered", done, len(again))
				}
			}
			b.ReportMetric(float64(b.N*len(lines))/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
