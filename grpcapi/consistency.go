package grpcapi

import (
	"context"

	"github.com/primatomic/primatomic/command"
	"google.golang.org/grpc/metadata"
)

// consistencyKey is the metadata by which a call chooses how its reads are answered.
const consistencyKey = "primatomic-consistency"

type staleKey struct{}

// staleOf reports whether the caller asked for reads from whatever the node's memory holds.
func staleOf(ctx context.Context) bool { return ctx.Value(staleKey{}) != nil }

// chooseConsistency takes note of what the caller asked for. A word that means nothing is refused: the caller
// would get something else than it believes.
func chooseConsistency(ctx context.Context) (context.Context, error) {
	for _, value := range metadata.ValueFromIncomingContext(ctx, consistencyKey) {
		switch value {
		case "linearizable":
		case "stale":
			ctx = context.WithValue(ctx, staleKey{}, true)
		default:
			return nil, refusef(command.Invalid, "%s must be linearizable or stale", consistencyKey)
		}
	}
	return ctx, nil
}
