package grpcapi

import (
	"context"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// CreateNamespace is NAMESPACE CREATE.
func (s *service) CreateNamespace(
	ctx context.Context, q *primatomicv1.CreateNamespaceRequest,
) (*primatomicv1.CreateNamespaceResponse, error) {
	if _, err := s.onNamespace(ctx, "CREATE", q.Namespace); err != nil {
		return nil, refusal(err)
	}
	return &primatomicv1.CreateNamespaceResponse{Namespace: q.Namespace, Status: ok}, nil
}

// DropNamespace is NAMESPACE DROP.
func (s *service) DropNamespace(
	ctx context.Context, q *primatomicv1.DropNamespaceRequest,
) (*primatomicv1.DropNamespaceResponse, error) {
	if _, err := s.onNamespace(ctx, "DROP", q.Namespace); err != nil {
		return nil, refusal(err)
	}
	return &primatomicv1.DropNamespaceResponse{Namespace: q.Namespace, Status: ok}, nil
}

// ListNamespaces is NAMESPACE LIST.
func (s *service) ListNamespaces(
	ctx context.Context, _ *primatomicv1.ListNamespacesRequest,
) (*primatomicv1.ListNamespacesResponse, error) {
	answer, err := s.onNamespace(ctx, "LIST")
	if err != nil {
		return nil, refusal(err)
	}
	reply := &primatomicv1.ListNamespacesResponse{Status: ok}
	for _, name := range answer.Elems {
		reply.Namespaces = append(reply.Namespaces, string(name.Bytes))
	}
	return reply, nil
}

// GetNamespace is NAMESPACE INFO.
func (s *service) GetNamespace(
	ctx context.Context, q *primatomicv1.GetNamespaceRequest,
) (*primatomicv1.GetNamespaceResponse, error) {
	answer, err := s.onNamespace(ctx, "INFO", q.Namespace)
	if err != nil {
		return nil, refusal(err)
	}
	reply := &primatomicv1.GetNamespaceResponse{Namespace: q.Namespace, Status: ok}
	for i := 0; i+1 < len(answer.Elems); i += 2 {
		count := uint64(answer.Elems[i+1].Int)
		switch string(answer.Elems[i].Bytes) {
		case "keys":
			reply.Keys = count
		case "bytes":
			reply.Bytes = count
		case "revision":
			reply.Revision = count
		}
	}
	return reply, nil
}

// onNamespace carries out a subcommand of NAMESPACE.
func (s *service) onNamespace(
	ctx context.Context, subcommand string, names ...string,
) (command.Value, *command.Error) {
	args := [][]byte{word("NAMESPACE"), word(subcommand)}
	for _, name := range names {
		args = append(args, []byte(name))
	}
	return s.run(ctx, s.session(ctx), args...)
}
