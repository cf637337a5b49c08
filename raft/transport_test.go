package raft

import (
	"errors"
	"math"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func message(kind pb.MessageType, change func(m *pb.Message)) *pb.Message {
	m := &pb.Message{Type: kind.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(3))}
	if change != nil {
		change(m)
	}
	return m
}

func entriesOf(terms ...uint64) []*pb.Entry {
	var entries []*pb.Entry
	for i, term := range terms {
		entries = append(entries, &pb.Entry{Term: new(term), Index: new(uint64(11 + i))})
	}
	return entries
}

func appendOf(entries []*pb.Entry) *pb.Message {
	return message(pb.MsgApp, func(m *pb.Message) {
		m.Index, m.LogTerm, m.Entries = new(uint64(10)), new(uint64(2)), entries
	})
}

func TestAdmit(t *testing.T) {
	context := func(n int) func(m *pb.Message) {
		return func(m *pb.Message) { m.Context = make([]byte, n) }
	}
	badChange := entriesOf(3)
	badChange[0].Type, badChange[0].Data = pb.EntryConfChangeV2.Enum(), []byte{0xff}
	gap := entriesOf(2, 2)
	gap[1].Index = new(uint64(13))
	cases := map[string]struct {
		m  *pb.Message
		ok bool
	}{
		"append":                    {appendOf(entriesOf(2, 2, 3)), true},
		"append without entries":    {appendOf(nil), true},
		"append with a gap":         {appendOf(gap), false},
		"append of falling terms":   {appendOf(entriesOf(3, 2)), false},
		"append below its base":     {appendOf(entriesOf(1)), false},
		"append above its term":     {appendOf(entriesOf(4)), false},
		"append of nothing":         {appendOf([]*pb.Entry{nil}), false},
		"append of a bad change":    {appendOf(badChange), false},
		"append response":           {message(pb.MsgAppResp, nil), true},
		"vote":                      {message(pb.MsgVote, nil), true},
		"vote without a term":       {message(pb.MsgVote, func(m *pb.Message) { m.Term = nil }), false},
		"prevote response":          {message(pb.MsgPreVoteResp, nil), true},
		"heartbeat":                 {message(pb.MsgHeartbeat, context(8)), true},
		"heartbeat without context": {message(pb.MsgHeartbeat, nil), true},
		"heartbeat short context":   {message(pb.MsgHeartbeat, context(7)), false},
		"heartbeat response":        {message(pb.MsgHeartbeatResp, context(8)), true},
		"heartbeat response long":   {message(pb.MsgHeartbeatResp, context(9)), false},
		"heartbeat with entries": {message(pb.MsgHeartbeat, func(m *pb.Message) {
			m.Entries = entriesOf(3)
		}), false},
		"read index": {message(pb.MsgReadIndex, func(m *pb.Message) {
			m.Term, m.Entries = nil, []*pb.Entry{{Data: []byte("x")}}
		}), true},
		"read index without context": {message(pb.MsgReadIndex, nil), false},
		"timeout now":                {message(pb.MsgTimeoutNow, nil), true},
		"proposal":                   {message(pb.MsgProp, nil), false},
		"transfer":                   {message(pb.MsgTransferLeader, nil), false},
		"forget leader":              {message(pb.MsgForgetLeader, nil), false},
		"snapshot of nothing":        {message(pb.MsgSnap, nil), false},
		"hup":                        {message(pb.MsgHup, nil), false},
		"storage append response":    {message(pb.MsgStorageAppendResp, nil), false},
		"storage apply response":     {message(pb.MsgStorageApplyResp, nil), false},
		"unknown type":               {message(pb.MessageType(99), nil), false},
		"from the append thread": {message(pb.MsgAppResp, func(m *pb.Message) {
			m.From = new(uint64(math.MaxUint64))
		}), false},
		"from the apply thread": {message(pb.MsgAppResp, func(m *pb.Message) {
			m.From = new(uint64(math.MaxUint64 - 1))
		}), false},
		"from nobody":  {message(pb.MsgAppResp, func(m *pb.Message) { m.From = nil }), false},
		"from another": {message(pb.MsgAppResp, func(m *pb.Message) { m.From = new(uint64(4)) }), false},
		"to another":   {message(pb.MsgAppResp, func(m *pb.Message) { m.To = new(uint64(4)) }), false},
		"carries its responses": {message(pb.MsgAppResp, func(m *pb.Message) {
			m.Responses = []*pb.Message{{}}
		}), false},
		"nothing": {nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := admit(c.m, 2, 1)
			if c.ok != (err == nil) || (err != nil && !errors.Is(err, errMessageRefused)) {
				t.Fatalf("admitted: %v", err)
			}
		})
	}
}

func TestAdmitNothingFromItself(t *testing.T) {
	if admit(message(pb.MsgAppResp, func(m *pb.Message) { m.From = new(uint64(1)) }), 1, 1) == nil {
		t.Fatal("a replica may not hear itself from the network")
	}
}

func TestReceiveIsBounded(t *testing.T) {
	n := newNode(t)
	n.limits.InboxBytesMax = 1000
	n.found(1, 2, 3).start()
	for range 1000 {
		if err := n.host.Receive(testGroup, 2, message(pb.MsgHeartbeat, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if d := n.group.Status().Dropped; d == 0 || d >= 1000 {
		t.Fatalf("%d of 1000 dropped", d)
	}
	if err := n.host.Receive(99, 2, message(pb.MsgHeartbeat, nil)); err == nil {
		t.Fatal("a message for an unknown group was taken")
	}
	n.settle()
	if s := n.group.Status(); s.Leader != 2 || s.Term != 3 {
		t.Fatalf("%+v", s)
	}
}

// A leader that knows more of this log as acknowledged than there is: entries were lost.
func TestLostEntriesAreFound(t *testing.T) {
	n := newNode(t).found(1, 2, 3).start()
	m := message(pb.MsgHeartbeat, func(m *pb.Message) { m.Commit = new(uint64(9)) })
	if err := n.host.Receive(testGroup, 2, m); err != nil {
		t.Fatal(err)
	}
	n.settle()
	if !errors.Is(n.fatal, ErrGroupState) {
		t.Fatalf("fatal: %v", n.fatal)
	}
}

// While the writer stands still, nothing more is stepped, and time does not make it worse.
func TestStandsStillBehindTheWriter(t *testing.T) {
	n := newNode(t)
	n.limits.AppendsInflightMax = 4
	n.found(1, 2, 3).start()
	shard := n.host.shards[0]
	for i := range 100 {
		m := appendOf(nil)
		m.Index, m.LogTerm = new(uint64(1+i)), new(uint64(1))
		if i > 0 {
			m.LogTerm = new(uint64(3))
		}
		m.Entries = []*pb.Entry{{Term: new(uint64(3)), Index: new(uint64(2 + i)), Data: payload(uint64(i), 8)}}
		if err := n.host.Receive(testGroup, 2, m); err != nil {
			t.Fatal(err)
		}
		shard.Turn()
	}
	if n.group.appends != 4 {
		t.Fatalf("%d appends in flight", n.group.appends)
	}
	n.clock.Advance(100 * time.Millisecond)
	shard.Turn()
	n.settle()
	if last := n.group.Status().Last; last != 101 {
		t.Fatalf("log ends at %d", last)
	}
}

// A vote leaves only when it is durable.
func TestVoteIsDurableBeforeItIsSent(t *testing.T) {
	n := newNode(t)
	votes := 0
	n.net = sendFunc(func(m *pb.Message) {
		if m.GetType() != pb.MsgVoteResp || m.GetReject() {
			return
		}
		votes++
		if h := n.log.crash(0).hard(testGroup); h.Vote != m.GetTo() || h.Term != m.GetTerm() {
			t.Errorf("vote for %d in term %d sent, durable is %+v", m.GetTo(), m.GetTerm(), h)
		}
	})
	n.found(1, 2, 3).start()
	n.settle()
	ask := message(pb.MsgVote, func(m *pb.Message) { m.Index, m.LogTerm = new(uint64(5)), new(uint64(2)) })
	if err := n.host.Receive(testGroup, 2, ask); err != nil {
		t.Fatal(err)
	}
	n.settle()
	if votes != 1 {
		t.Fatalf("%d votes", votes)
	}
}

// More entries than one append may hold are stepped over several turns.
func TestManySmallEntriesAtOnce(t *testing.T) {
	n := newNode(t).found(1, 2, 3).start()
	const each = turnEntriesMax/2 + 1
	for i := range uint64(3) {
		m := appendOf(nil)
		m.Index, m.LogTerm = new(1+i*each), new(1+2*min(i, 1))
		for j := range uint64(each) {
			m.Entries = append(m.Entries, &pb.Entry{Term: new(uint64(3)), Index: new(2 + i*each + j)})
		}
		if err := n.host.Receive(testGroup, 2, m); err != nil {
			t.Fatal(err)
		}
	}
	n.settle()
	if last := n.log.LastIndex(testGroup); last != 1+3*each {
		t.Fatalf("log ends at %d", last)
	}
	for _, r := range n.log.records {
		if len(r.Entries) > 2*turnEntriesMax {
			t.Fatalf("%d entries in a record", len(r.Entries))
		}
	}
}

// Hostile messages from an authenticated peer must not bring the process down.
func FuzzReceive(f *testing.F) {
	for _, m := range []*pb.Message{
		message(pb.MsgVote, nil), message(pb.MsgHeartbeat, nil), appendOf(entriesOf(2, 3)),
		message(pb.MsgHeartbeatResp, func(m *pb.Message) { m.Context = make([]byte, 8) }),
		message(pb.MsgAppResp, func(m *pb.Message) { m.Reject, m.RejectHint = new(true), new(uint64(1<<63)) }),
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(pb.Message)
		if proto.Unmarshal(data, m) != nil {
			return
		}
		n := newNode(t).found(1, 2, 3).start()
		if n.host.Receive(testGroup, 2, m) == nil {
			n.settle()
		}
		n.host.Stop()
	})
}
