package grpcapi

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"google.golang.org/grpc/codes"
)

// keyBytesMax bounds a key. A longer prefix can have no key.
const keyBytesMax = 1024

// ListKeys is LISTKEYS. One key more than the limit is asked for, to know whether the list goes on.
func (s *service) ListKeys(
	ctx context.Context, q *primatomicv1.ListKeysRequest,
) (*primatomicv1.ListKeysResponse, error) {
	prefix, err := keyOf(q.Prefix, q.PrefixBytes)
	if err != nil {
		return nil, refusef(command.Invalid, "prefix and prefix_bytes differ: give one of them")
	}
	if len(prefix) > keyBytesMax || len(q.StartAfter) > keyBytesMax {
		return nil, refusef(command.Invalid, "prefix and start_after are at most %d bytes", keyBytesMax)
	}
	args := [][]byte{word("LISTKEYS"), prefix}
	if len(q.StartAfter) > 0 {
		args = append(args, word("AFTER"), q.StartAfter)
	}
	limit := q.GetLimit()
	if limit >= math.MaxInt64 {
		limit = 0
	}
	if limit > 0 {
		args = append(args, word("LIMIT"), strconv.AppendUint(nil, limit+1, 10))
	}
	answer, err := s.runIn(ctx, q.Namespace, args...)
	switch {
	case err != nil && err.Code == command.TooLarge:
		v := verdict{codes.ResourceExhausted, reasonLongList}
		return nil, v.err("the list is larger than a message: ask for pages, with limit and start_after")
	case err != nil:
		return nil, refusal(err)
	}
	return list(answer.Elems, limit), nil
}

// list makes the reply of a list that was asked for with one key more than limit, if limit is not 0.
func list(keys []command.Value, limit uint64) *primatomicv1.ListKeysResponse {
	reply := &primatomicv1.ListKeysResponse{Status: ok}
	if limit > 0 && uint64(len(keys)) > limit {
		keys = keys[:limit]
		reply.NextStartAfter = keys[limit-1].Bytes
	}
	reply.Keys = make([]string, 0, len(keys))
	for _, key := range keys {
		if utf8.Valid(key.Bytes) {
			reply.Keys = append(reply.Keys, string(key.Bytes))
		}
	}
	others := len(keys) - len(reply.Keys)
	if others == 0 {
		return reply
	}
	reply.KeysBytes = make([][]byte, len(keys))
	for i, key := range keys {
		reply.KeysBytes[i] = key.Bytes
	}
	reply.Status = &primatomicv1.Status{
		Message: fmt.Sprintf("%d keys are not UTF-8: keys_bytes holds all keys, keys only the others", others),
	}
	return reply
}
