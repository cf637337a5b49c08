package grpcapi

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// TestClusterChanges holds each call against the command that it becomes.
func TestClusterChanges(t *testing.T) {
	x := t.Context()
	for _, tt := range []struct {
		want string
		call func(primatomicv1.ClusterClient) error
	}{
		{"CLUSTER ADD h:1", func(c primatomicv1.ClusterClient) error {
			_, err := c.AddNode(x, &primatomicv1.AddNodeRequest{PeerAddr: "h:1"})
			return err
		}},
		{"CLUSTER PROMOTE n", func(c primatomicv1.ClusterClient) error {
			_, err := c.PromoteNode(x, &primatomicv1.PromoteNodeRequest{Node: "n"})
			return err
		}},
		{"CLUSTER REMOVE n", func(c primatomicv1.ClusterClient) error {
			_, err := c.RemoveNode(x, &primatomicv1.RemoveNodeRequest{Node: "n"})
			return err
		}},
		{"CLUSTER REMOVE n FORCE", func(c primatomicv1.ClusterClient) error {
			_, err := c.RemoveNode(x, &primatomicv1.RemoveNodeRequest{Node: "n", Force: true})
			return err
		}},
		{"CLUSTER TRANSFER", func(c primatomicv1.ClusterClient) error {
			_, err := c.TransferLeadership(x, &primatomicv1.TransferLeadershipRequest{})
			return err
		}},
		{"CLUSTER TRANSFER n", func(c primatomicv1.ClusterClient) error {
			_, err := c.TransferLeadership(x, &primatomicv1.TransferLeadershipRequest{Node: "n"})
			return err
		}},
		{"CLUSTER REPLACE a b", func(c primatomicv1.ClusterClient) error {
			_, err := c.ReplaceNode(x, &primatomicv1.ReplaceNodeRequest{Old: "a", New: "b"})
			return err
		}},
		{"CLUSTER READS LEASE 250", func(c primatomicv1.ClusterClient) error {
			_, err := c.SetReads(x, &primatomicv1.SetReadsRequest{LeaseMs: 250})
			return err
		}},
		{"CLUSTER READS QUORUM", func(c primatomicv1.ClusterClient) error {
			_, err := c.SetReads(x, &primatomicv1.SetReadsRequest{})
			return err
		}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			f := start(t, auth.Off(), answerOK)
			if err := tt.call(primatomicv1.NewClusterClient(f.conn)); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"default > " + tt.want}, f.taken()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			refused := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) {
				out.Error(command.Errorf(command.Precondition, "two of three cannot be reached"))
			})
			err := tt.call(primatomicv1.NewClusterClient(refused.conn))
			if status.Code(err) != codes.FailedPrecondition || reasonOf(err) != "PRECONDITION" {
				t.Errorf("a refusal becomes %v, reason %s", err, reasonOf(err))
			}
		})
	}
}

func TestClusterStatus(t *testing.T) {
	f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) {
		bulks := func(texts ...string) {
			for _, text := range texts {
				out.BulkString(text)
			}
		}
		out.Map(6)
		bulks("node", "a1", "leader", "a2", "term")
		out.Int(7)
		bulks("commit")
		out.Int(9)
		bulks("later versions tell more")
		out.Array(0)
		bulks("members")
		out.Array(1)
		out.Map(4)
		bulks("id", "a2", "name", "n2", "role", "leader", "connected")
		out.Bool(true)
	})
	got, err := primatomicv1.NewClusterClient(f.conn).Status(t.Context(), &primatomicv1.ClusterStatusRequest{})
	want := &primatomicv1.ClusterStatusResponse{
		Node: "a1", Leader: "a2", Term: 7, CommitIndex: 9, Status: fine,
		Members: []*primatomicv1.Member{{
			Id: "a2", Name: "n2", Role: primatomicv1.MemberRole_MEMBER_ROLE_LEADER, Connected: true,
		}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("%v, reply (-want +got):\n%s", err, diff)
	}
}

// TestConsistency: reads are stale if the caller says so, in those words.
func TestConsistency(t *testing.T) {
	for value, want := range map[string]string{"": "", "linearizable": "", "stale": " (stale)"} {
		f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) { out.BulkString("v") })
		ctx := t.Context()
		if value != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "primatomic-consistency", value)
		}
		if _, err := f.client.GetKey(ctx, &primatomicv1.GetKeyRequest{Key: "k", Namespace: "n"}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"default > SELECT n" + want, "default n> GET k" + want}, f.taken()); diff != "" {
			t.Errorf("%q: commands (-want +got):\n%s", value, diff)
		}
	}
	f := start(t, auth.Off(), answerOK)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "primatomic-consistency", "eventual")
	_, err := f.client.GetKey(ctx, &primatomicv1.GetKeyRequest{Key: "k", Namespace: "n"})
	if status.Code(err) != codes.InvalidArgument || len(f.taken()) != 0 {
		t.Errorf("an unknown word: %v", err)
	}
}
