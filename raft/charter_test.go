package raft

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

func TestCharterEncoding(t *testing.T) {
	served := Charter{
		Serving: 7, Voters: []ReplicaID{1, 1 << 60}, Reads: Reads{ReadByQuorum, time.Second},
	}
	withMembers := served
	withMembers.Members = []Member{{1, []byte("one")}, {1 << 62, make([]byte, MemberBytesMax)}}
	withMembers.Removed = []ReplicaID{2, 1 << 61}
	tests := []struct {
		name    string
		charter Charter
		want    Charter
	}{
		{"nothing settled", Charter{}, Charter{Reads: DefaultReads}},
		{"defaults", Charter{Reads: DefaultReads}, Charter{Reads: DefaultReads}},
		{"served", served, served},
		{"members", withMembers, withMembers},
		{"members and no more", Charter{Members: withMembers.Members},
			Charter{Members: withMembers.Members, Reads: DefaultReads}},
		{"removed", Charter{Removed: []ReplicaID{3}}, Charter{Removed: []ReplicaID{3}, Reads: DefaultReads}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.charter.Encode()
			got, err := DecodeCharter(data)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("%+v, %v", got, err)
			}
			more := len(tt.want.Members)+len(tt.want.Removed) > 0
			if len(data) > 0 && (data[0] == charterVersion) != more {
				t.Fatalf("version %d", data[0])
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
		{kind: hostMember, member: Member{1 << 50, []byte("data")}},
		{kind: hostMember, member: Member{1, []byte{}}},
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
	f.Add(hostEntry{kind: hostMember, member: Member{1, []byte("data")}}.encode())
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

// Charters that no replica has written are refused.
func TestCharterRefused(t *testing.T) {
	many := Charter{}
	for r := range MembersMax + 1 {
		many.Members = append(many.Members, Member{ReplicaID(r + 1), []byte("x")})
	}
	for name, c := range map[string]Charter{
		"members out of order": {Members: []Member{{2, []byte("x")}, {1, []byte("x")}}},
		"a member twice":       {Members: []Member{{1, []byte("x")}, {1, []byte("x")}}},
		"a member without":     {Members: []Member{{1, nil}}},
		"too large a member":   {Members: []Member{{1, make([]byte, MemberBytesMax+1)}}},
		"removed out of order": {Removed: []ReplicaID{2, 1}},
		"too many members":     many,
	} {
		if _, err := DecodeCharter(c.Encode()); err == nil {
			t.Errorf("%s: decodes", name)
		}
	}
	if _, err := DecodeCharter([]byte{charterVersion + 1}); err == nil {
		t.Error("a later version decodes")
	}
}

func FuzzCharter(f *testing.F) {
	f.Add(Charter{Serving: 7, Voters: []ReplicaID{1}}.Encode())
	f.Add(Charter{Members: []Member{{1, []byte("one")}}, Removed: []ReplicaID{2}}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeCharter(data)
		if err != nil {
			return
		}
		again, err := DecodeCharter(c.Encode())
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v, %+v, %v", c, again, err)
		}
	})
}
