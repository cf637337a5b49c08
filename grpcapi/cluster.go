package grpcapi

import (
	"context"
	"strconv"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// clusterService answers the calls of the Cluster service with the subcommands of CLUSTER.
type clusterService struct {
	primatomicv1.UnimplementedClusterServer
	calls *service
}

// change carries out a subcommand of CLUSTER that answers OK.
func (s *clusterService) change(ctx context.Context, words ...string) error {
	args := [][]byte{word("CLUSTER")}
	for _, w := range words {
		args = append(args, []byte(w))
	}
	if _, err := s.calls.run(ctx, s.calls.session(ctx), args...); err != nil {
		return refusal(err)
	}
	return nil
}

// Status is CLUSTER STATUS.
func (s *clusterService) Status(
	ctx context.Context, _ *primatomicv1.ClusterStatusRequest,
) (*primatomicv1.ClusterStatusResponse, error) {
	answer, err := s.calls.run(ctx, s.calls.session(ctx), word("CLUSTER"), word("STATUS"))
	if err != nil {
		return nil, refusal(err)
	}
	reply := &primatomicv1.ClusterStatusResponse{Status: ok}
	eachPair(answer, func(name string, value command.Value) {
		switch name {
		case "node":
			reply.Node = string(value.Bytes)
		case "leader":
			reply.Leader = string(value.Bytes)
		case "term":
			reply.Term = uint64(value.Int)
		case "commit":
			reply.CommitIndex = uint64(value.Int)
		case "applied":
			reply.AppliedIndex = uint64(value.Int)
		case "lease":
			reply.LeaseMs = uint32(value.Int)
		case "members":
			for _, m := range value.Elems {
				reply.Members = append(reply.Members, member(m))
			}
		}
	})
	return reply, nil
}

var memberRoles = map[string]primatomicv1.MemberRole{
	"learner": primatomicv1.MemberRole_MEMBER_ROLE_LEARNER,
	"voter":   primatomicv1.MemberRole_MEMBER_ROLE_VOTER,
	"leader":  primatomicv1.MemberRole_MEMBER_ROLE_LEADER,
}

// member makes a member of what CLUSTER STATUS tells of it.
func member(answer command.Value) *primatomicv1.Member {
	m := &primatomicv1.Member{}
	eachPair(answer, func(name string, value command.Value) {
		text := string(value.Bytes)
		switch name {
		case "id":
			m.Id = text
		case "name":
			m.Name = text
		case "role":
			m.Role = memberRoles[text]
		case "resp":
			m.RespAddr = text
		case "grpc":
			m.GrpcAddr = text
		case "peer":
			m.PeerAddr = text
		case "connected":
			m.Connected = value.Int == 1
		case "match":
			m.MatchIndex = uint64(value.Int)
		case "quarantined":
			m.Quarantined = value.Int == 1
		case "clock-ahead":
			m.ClockAheadMs = value.Int
		}
	})
	return m
}

// eachPair calls fn for the names and values of an answer that stand in turn.
func eachPair(answer command.Value, fn func(name string, value command.Value)) {
	for i := 0; i+1 < len(answer.Elems); i += 2 {
		fn(string(answer.Elems[i].Bytes), answer.Elems[i+1])
	}
}

// AddNode is CLUSTER ADD.
func (s *clusterService) AddNode(
	ctx context.Context, q *primatomicv1.AddNodeRequest,
) (*primatomicv1.AddNodeResponse, error) {
	if err := s.change(ctx, "ADD", q.PeerAddr); err != nil {
		return nil, err
	}
	return &primatomicv1.AddNodeResponse{Status: ok}, nil
}

// PromoteNode is CLUSTER PROMOTE.
func (s *clusterService) PromoteNode(
	ctx context.Context, q *primatomicv1.PromoteNodeRequest,
) (*primatomicv1.PromoteNodeResponse, error) {
	if err := s.change(ctx, "PROMOTE", q.Node); err != nil {
		return nil, err
	}
	return &primatomicv1.PromoteNodeResponse{Status: ok}, nil
}

// RemoveNode is CLUSTER REMOVE.
func (s *clusterService) RemoveNode(
	ctx context.Context, q *primatomicv1.RemoveNodeRequest,
) (*primatomicv1.RemoveNodeResponse, error) {
	words := []string{"REMOVE", q.Node}
	if q.Force {
		words = append(words, "FORCE")
	}
	if err := s.change(ctx, words...); err != nil {
		return nil, err
	}
	return &primatomicv1.RemoveNodeResponse{Status: ok}, nil
}

// TransferLeadership is CLUSTER TRANSFER.
func (s *clusterService) TransferLeadership(
	ctx context.Context, q *primatomicv1.TransferLeadershipRequest,
) (*primatomicv1.TransferLeadershipResponse, error) {
	words := []string{"TRANSFER"}
	if q.Node != "" {
		words = append(words, q.Node)
	}
	if err := s.change(ctx, words...); err != nil {
		return nil, err
	}
	return &primatomicv1.TransferLeadershipResponse{Status: ok}, nil
}

// ReplaceNode is CLUSTER REPLACE.
func (s *clusterService) ReplaceNode(
	ctx context.Context, q *primatomicv1.ReplaceNodeRequest,
) (*primatomicv1.ReplaceNodeResponse, error) {
	if err := s.change(ctx, "REPLACE", q.Old, q.New); err != nil {
		return nil, err
	}
	return &primatomicv1.ReplaceNodeResponse{Status: ok}, nil
}

// SetReads is CLUSTER READS.
func (s *clusterService) SetReads(
	ctx context.Context, q *primatomicv1.SetReadsRequest,
) (*primatomicv1.SetReadsResponse, error) {
	words := []string{"READS", "QUORUM"}
	if q.LeaseMs > 0 {
		words = []string{"READS", "LEASE", strconv.FormatUint(uint64(q.LeaseMs), 10)}
	}
	if err := s.change(ctx, words...); err != nil {
		return nil, err
	}
	return &primatomicv1.SetReadsResponse{Status: ok}, nil
}
