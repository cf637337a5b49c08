package raft

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

func TestCharterEncoding(t *testing.T) {
	tests := []struct {
		name    string
		charter Charter
		want    Charter
	}{
		{"nothing settled", Charter{}, Charter{Reads: DefaultReads}},
		{"defaults", Charter{Reads: DefaultReads}, Charter{Reads: DefaultReads}},
		{"served", Charter{7, []ReplicaID{1, 1 << 60}, Reads{ReadByQuorum, time.Second}},
			Charter{7, []ReplicaID{1, 1 << 60}, Reads{ReadByQuorum, time.Second}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.charter.Encode()
			got, err := DecodeCharter(data)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("%+v, %v", got, err)
			}
			for n := 1; n < len(data); n++ {
				if _, err := DecodeCharter(data[:n]); err == nil {
					t.Fatalf("%d of %d bytes decode", n, len(data))
				}
			}
			if _, err := DecodeCharter(append(data, 0)); err == nil {
				t.Fatal("decodes with a byte more")
			}
		})
	}
}

func TestHostEntryEncoding(t *testing.T) {
	tests := []hostEntry{
		{kind: hostServe, term: 9, voters: []ReplicaID{3, 1 << 50}},
		{kind: hostRelease},
		{kind: hostResume},
		{kind: hostReads, reads: DefaultReads},
	}
	for _, want := range tests {
		e := &pb.Entry{Data: want.encode()}
		got, err := decodeHostEntry(e.GetData())
		if err != nil || !reflect.DeepEqual(got, want) || !isHost(e) || !isKind(e, want.kind) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// Hostile bytes are refused, and what is taken is in its one form.
func FuzzHostEntry(f *testing.F) {
	f.Add([]byte{hostMark})
	f.Add([]byte{hostMark, 9})
	f.Add([]byte{hostMark, byte(hostServe), 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(hostEntry{kind: hostServe, term: 9, voters: []ReplicaID{3}}.encode())
	f.Add(hostEntry{kind: hostReads, reads: DefaultReads}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || data[0] != hostMark {
			return
		}
		e, err := decodeHostEntry(data)
		if err != nil {
			return
		}
		again, err := decodeHostEntry(e.encode())
		if err != nil || !reflect.DeepEqual(e, again) || len(e.encode()) > len(data) {
			t.Fatalf("%+v, %+v, %v", e, again, err)
		}
		if len(e.encode()) == len(data) && !bytes.Equal(e.encode(), data) {
			t.Fatalf("two forms of %+v", e)
		}
	})
}
