package grpcapi

import (
	"context"
	"strconv"
	"unicode/utf8"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// GetKey is GET.
func (s *service) GetKey(
	ctx context.Context, q *primatomicv1.GetKeyRequest,
) (*primatomicv1.GetKeyResponse, error) {
	answer, err := s.onKey(ctx, q, "GET")
	switch {
	case err != nil:
		return nil, refusal(err)
	case answer.Kind == command.KindNull:
		return nil, refusef(command.NoKey, "the key does not exist")
	}
	return &primatomicv1.GetKeyResponse{
		Key: echo(q), KeyBytes: q.KeyBytes, Namespace: q.Namespace, Value: answer.Bytes, Status: ok,
	}, nil
}

// PutKey is SET, with PX if the key is to expire.
func (s *service) PutKey(
	ctx context.Context, q *primatomicv1.PutKeyRequest,
) (*primatomicv1.PutKeyResponse, error) {
	args := [][]byte{q.Value}
	if ttl := q.GetTtlMs(); ttl > 0 {
		args = append(args, word("PX"), strconv.AppendUint(nil, ttl, 10))
	}
	if _, err := s.onKey(ctx, q, "SET", args...); err != nil {
		return nil, refusal(err)
	}
	return &primatomicv1.PutKeyResponse{Key: echo(q), KeyBytes: q.KeyBytes, Status: ok}, nil
}

// DeleteKey is DEL.
func (s *service) DeleteKey(
	ctx context.Context, q *primatomicv1.DeleteKeyRequest,
) (*primatomicv1.DeleteKeyResponse, error) {
	if _, err := s.onKey(ctx, q, "DEL"); err != nil {
		return nil, refusal(err)
	}
	return &primatomicv1.DeleteKeyResponse{Key: echo(q), KeyBytes: q.KeyBytes, Status: ok}, nil
}

// CompareAndSwap is CAS.
func (s *service) CompareAndSwap(
	ctx context.Context, q *primatomicv1.CompareAndSwapRequest,
) (*primatomicv1.CompareAndSwapResponse, error) {
	answer, err := s.onKey(ctx, q, "CAS", q.Expected, q.NewValue)
	if err != nil {
		return nil, refusal(err)
	}
	return &primatomicv1.CompareAndSwapResponse{
		Key: echo(q), KeyBytes: q.KeyBytes, Namespace: q.Namespace, Swapped: answer.Int == 1, Status: ok,
	}, nil
}

// keyed is a request about one key.
type keyed interface {
	GetKey() string
	GetKeyBytes() []byte
}

// onKey carries out a command whose first argument is the request's key.
func (s *service) onKey(
	ctx context.Context, q interface {
		keyed
		GetNamespace() string
	}, name string, rest ...[]byte,
) (command.Value, *command.Error) {
	key, err := keyOf(q.GetKey(), q.GetKeyBytes())
	if err != nil {
		return command.Value{}, err
	}
	return s.runIn(ctx, q.GetNamespace(), append([][]byte{word(name), key}, rest...)...)
}

// echo is the key as text, empty if it is none.
func echo(q keyed) string {
	if key := q.GetKeyBytes(); len(key) > 0 && utf8.Valid(key) {
		return string(key)
	}
	return q.GetKey()
}
