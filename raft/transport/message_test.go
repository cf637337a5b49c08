package transport

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

func encode(t testing.TB, m *pb.Message) []byte {
	t.Helper()
	var s segments
	if err := appendMessage(&s, m); err != nil {
		t.Fatal(err)
	}
	s.finish()
	b := slices.Concat(s.parts...)
	if len(b) != s.size || s.size > messageSize(m) {
		t.Fatalf("%d bytes, said %d, bound %d", len(b), s.size, messageSize(m))
	}
	return b
}

func sampleMessages() map[string]*pb.Message {
	most := new(uint64(math.MaxUint64))
	return map[string]*pb.Message{
		"nothing":   {},
		"heartbeat": heartbeat(1, 2, 3),
		"zeros": {
			Type: pb.MsgHup.Enum(), To: new(uint64(0)), From: new(uint64(0)), Term: new(uint64(0)),
			LogTerm: new(uint64(0)), Index: new(uint64(0)), Commit: new(uint64(0)), Vote: new(uint64(0)),
			RejectHint: new(uint64(0)), Reject: new(false), Context: []byte{}, Snapshot: &pb.Snapshot{},
			Entries: []*pb.Entry{{}},
		},
		"largest": {
			Type: pb.MessageType(math.MaxInt32).Enum(), To: most, From: most, Term: most, LogTerm: most,
			Index: most, Commit: most, Vote: most, RejectHint: most, Reject: new(true),
			Context: value(5000, 'c'),
		},
		"negative type": {Type: pb.MessageType(-1).Enum()},
		"entries": appendOf(1, 2, 300, nil, []byte{}, []byte("small"), value(aliasBytesMin-1, 'a'),
			value(aliasBytesMin, 'b'), value(1<<20, 'c'), []byte("end")),
		"many entries": appendOf(1, 2, 1, slices.Repeat([][]byte{[]byte("x")}, 1000)...),
		"snapshot": {
			Type: pb.MsgSnap.Enum(), Snapshot: &pb.Snapshot{
				Data: []byte("data"), Metadata: &pb.SnapshotMetadata{
					Index: new(uint64(4)), Term: new(uint64(2)),
					ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}, AutoLeave: new(true)},
				},
			},
		},
	}
}

func TestMessageRoundTrip(t *testing.T) {
	for name, m := range sampleMessages() {
		t.Run(name, func(t *testing.T) {
			encoded := encode(t, m)
			got, rest, err := decodeMessage(append(encoded, "rest"...))
			if err != nil || string(rest) != "rest" {
				t.Fatalf("%v, rest %q", err, rest)
			}
			if !proto.Equal(m, got) {
				t.Fatal(cmp.Diff(m, got, protocmp.Transform()))
			}
			for cut := range min(len(encoded), 100) {
				if _, _, err := decodeMessage(encoded[:cut]); err == nil {
					t.Fatalf("the first %d bytes decode", cut)
				}
			}
		})
	}
}

func TestMessageNotForPeers(t *testing.T) {
	for name, m := range map[string]*pb.Message{
		"none":      nil,
		"responses": {Responses: []*pb.Message{{}}},
		"too many":  {Entries: make([]*pb.Entry, entriesMax+1)},
	} {
		var s segments
		if err := appendMessage(&s, m); err == nil || s.size != 0 {
			t.Errorf("%s: %v, %d bytes", name, err, s.size)
		}
	}
}

func TestMessageDecodeRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"empty":             {},
		"unknown field":     {0x80, 0x80, 0x01},
		"long form":         {0x80, 0x00},
		"value of no field": {0x80, 0x08},
		"type too large":    {hasType, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"no entries":        {0x80, 0x20, 0},
		"more entries":      {0x80, 0x20, 0xff, 0xff, 0x7f, 0},
		"unknown in entry":  {0x80, 0x20, 1, 16},
		"bad snapshot":      {0x80, 0x40, 1, 0xff},
		"context beyond":    {0x80, 0x10, 4, 'a'},
	} {
		if m, _, err := decodeMessage(b); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// What decodes is what the encoding of the result is; so there is one encoding of a message, a snapshot
// aside, whose protobuf has more than one.
func FuzzMessage(f *testing.F) {
	for _, m := range sampleMessages() {
		if b := encode(f, m); len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := decodeMessage(b)
		if err != nil {
			return
		}
		encoded := encode(t, m)
		if m.Snapshot == nil && !bytes.Equal(encoded, b[:len(b)-len(rest)]) {
			t.Fatalf("%x becomes %x", b[:len(b)-len(rest)], encoded)
		}
		again, rest, err := decodeMessage(encoded)
		if err != nil || len(rest) != 0 || !proto.Equal(m, again) {
			t.Fatalf("%v becomes %v, %v", m, again, err)
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	for _, bench := range []struct {
		name string
		m    *pb.Message
	}{
		{"heartbeat", heartbeat(1, 2, 3)},
		{"append 256 KiB", appendOf(1, 2, 1, value(256<<10, 'x'))},
		{"append 100 of 100 B", appendOf(1, 2, 1, slices.Repeat([][]byte{value(100, 'x')}, 100)...)},
	} {
		encoded := encode(b, bench.m)
		b.Run("encode "+bench.name, func(b *testing.B) {
			var s segments
			b.ReportAllocs()
			b.SetBytes(int64(len(encoded)))
			for b.Loop() {
				s.reset()
				if err := appendMessage(&s, bench.m); err != nil {
					b.Fatal(err)
				}
				s.finish()
			}
		})
		b.Run("decode "+bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(encoded)))
			for b.Loop() {
				if _, _, err := decodeMessage(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("protobuf "+bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data, err := proto.Marshal(bench.m)
				if err != nil {
					b.Fatal(err)
				}
				if err := proto.Unmarshal(data, new(pb.Message)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
