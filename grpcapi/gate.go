package grpcapi

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// gate is passed by every call of the KeyValue and Cluster services before its message is read from the network:
// who shows no good token cannot make the server hold more than a flow-control window of a message.
type gate struct {
	host command.Host
	log  *slog.Logger
}

type principalKey struct{}

// principalOf returns who calls. Behind the gate there is always one.
func principalOf(ctx context.Context) *auth.Principal {
	p, _ := ctx.Value(principalKey{}).(*auth.Principal)
	return p
}

// guard returns the service's description with every method behind the gate. An interceptor would run
// only after the message has been read and decoded.
func (g gate) guard(desc grpc.ServiceDesc) *grpc.ServiceDesc {
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		desc.Methods[i].Handler = g.method(desc.ServiceName+"/"+desc.Methods[i].MethodName, desc.Methods[i].Handler)
	}
	return &desc
}

func (g gate) method(name string, next grpc.MethodHandler) grpc.MethodHandler {
	return func(
		srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor,
	) (reply any, err error) {
		defer func() {
			if fault := recover(); fault != nil {
				g.log.Error("a gRPC call panicked", "method", name, "fault", fault, "stack", string(debug.Stack()))
				reply, err = nil, refusef(command.Internal, "a fault of the server: the outcome is unknown")
			}
		}()
		p, err := g.authenticate(ctx)
		if err != nil {
			return nil, err
		}
		if ctx, err = chooseConsistency(context.WithValue(ctx, principalKey{}, p)); err != nil {
			return nil, err
		}
		return next(srv, ctx, dec, interceptor)
	}
}

// authenticate takes the token from "authorization: Bearer <jwt>" (RFC 6750). A call without one is
// for the host to judge: without authentication it needs none.
func (g gate) authenticate(ctx context.Context) (*auth.Principal, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	token := ""
	switch len(values) {
	case 0:
	case 1:
		scheme, rest, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return nil, refusef(command.WrongPass, "authorization must be: Bearer <token>")
		}
		token = strings.TrimSpace(rest)
	default:
		return nil, refusef(command.WrongPass, "authorization is given %d times", len(values))
	}
	p, err := g.host.Authenticate(token, g.host.Now())
	switch {
	case err == nil:
		return p, nil
	case auth.ReasonOf(err) == auth.NoToken:
		return nil, refusef(command.NoAuth, "no token: send the metadata authorization: Bearer <token>")
	}
	return nil, refusef(command.WrongPass, "%v", err)
}
