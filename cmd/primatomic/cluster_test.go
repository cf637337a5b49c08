package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

func testStatus() *primatomicv1.ClusterStatusResponse {
	return &primatomicv1.ClusterStatusResponse{
		Node: "00000000000000a1", Leader: "00000000000000a1", Term: 7, CommitIndex: 40, AppliedIndex: 39,
		LeaseMs: 300,
		Members: []*primatomicv1.Member{
			{Id: "00000000000000a1", Name: "n1", Role: primatomicv1.MemberRole_MEMBER_ROLE_LEADER, Connected: true,
				MatchIndex: 42, RespAddr: "10.0.0.1:6379", GrpcAddr: "10.0.0.1:7379", PeerAddr: "10.0.0.1:8379"},
			{Id: "00000000000000a2", Name: "n2", Role: primatomicv1.MemberRole_MEMBER_ROLE_VOTER, Connected: true,
				MatchIndex: 40, RespAddr: "10.0.0.2:6379", GrpcAddr: "10.0.0.2:7379", PeerAddr: "10.0.0.2:8379"},
			{Id: "00000000000000a3", Role: primatomicv1.MemberRole_MEMBER_ROLE_LEARNER, MatchIndex: 30},
		},
	}
}

// TestClusterTable: the leader knows how far each has come; who asks another is told whom to ask.
func TestClusterTable(t *testing.T) {
	var b bytes.Buffer
	if err := newClusterState(testStatus()).print(&b); err != nil {
		t.Fatal(err)
	}
	want := `3 members, 2 voters, led by n1 in term 7; committed 40, applied 39 here
reads are served under leases of 300 ms

NAME  ID                ROLE     STATE         LAG  REDIS          GRPC           PEERS
n1    00000000000000a1  leader   asked         0    10.0.0.1:6379  10.0.0.1:7379  10.0.0.1:8379
n2    00000000000000a2  voter    connected     0    10.0.0.2:6379  10.0.0.2:7379  10.0.0.2:8379
-     00000000000000a3  learner  not heard of  10   -              -              -
`
	if b.String() != want {
		t.Errorf("the leader's table is\n%s", b.String())
	}
	follower := testStatus()
	follower.Node = "00000000000000a2"
	b.Reset()
	_ = newClusterState(follower).print(&b)
	for _, want := range []string{"n2    00000000000000a2  voter    asked         ?", "--grpc-addr 10.0.0.1:7379"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	follower.Members[2].Quarantined = true
	b.Reset()
	_ = newClusterState(follower).print(&b)
	for _, want := range []string{"learner  quarantined", "primatomic cluster remove 00000000000000a3"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	follower.Members[0].ClockAheadMs, follower.Members[1].ClockAheadMs = 15_000, -3_600_000
	b.Reset()
	_ = newClusterState(follower).print(&b)
	for _, want := range []string{
		"The wall clock of n1 is 15s ahead of those of the others", "The wall clock of n2 is 1h0m0s behind those",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	follower.Leader = ""
	b.Reset()
	_ = newClusterState(follower).print(&b)
	if !strings.Contains(b.String(), "no leader is known in term 7") || strings.Contains(b.String(), "ask it") {
		t.Errorf("without a leader the table is\n%s", b.String())
	}
}

// TestClusterAdvice: a refusal that changed nothing is told apart from one that may have.
func TestClusterAdvice(t *testing.T) {
	f := &dialFlags{GrpcAddr: "h:1"}
	refused, err := status.New(codes.Unavailable, "no leader").
		WithDetails(&errdetails.ErrorInfo{Reason: "NOT_APPLIED", Domain: "primatomic"})
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]*status.Status{
		"nothing was changed":    refused,
		"no node answers at h:1": status.New(codes.Unavailable, "connection refused"),
		"may have happened":      status.New(codes.DeadlineExceeded, "late"),
		"--scope admin":          status.New(codes.PermissionDenied, "no"),
		"another version":        status.New(codes.Unimplemented, "unknown service"),
		"show a token":           status.New(codes.Unauthenticated, "no token"),
		"":                       status.New(codes.FailedPrecondition, "the message says it"),
	} {
		if got := f.advice(s); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: the advice is %q, want %q", s.Code(), got, want)
		}
	}
}

// TestClusterIsPatient: changes of members take longer than reads of keys.
func TestClusterIsPatient(t *testing.T) {
	c := new(commands)
	parser := newParser(c)
	for _, line := range [][]string{{"cluster", "add", "h:1"}, {"kv", "list", "0"}} {
		if _, err := parser.Parse(line); err != nil {
			t.Fatal(err)
		}
	}
	if c.Cluster.Add.Timeout != time.Minute || c.KV.List.Timeout != 5*time.Second {
		t.Errorf("cluster add waits %v, kv list %v", c.Cluster.Add.Timeout, c.KV.List.Timeout)
	}
}
