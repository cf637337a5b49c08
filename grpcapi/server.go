package grpcapi

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// MessageBytesMax bounds a message in either direction: two values of 16 MiB, as compare_and_swap sends
// them, and 64 KiB for the rest. Clients need the same limit for what they receive.
const MessageBytesMax = 2*16<<20 + 64<<10

// Bounds of a connection.
const (
	streamsMax       = 256              // calls at one time on one connection
	connectionsMax   = 10_000           // if Options does not say otherwise
	headerBytesMax   = 32 << 10         // a token is at most 8 KiB
	handshakeTimeout = 10 * time.Second // TLS and HTTP/2 settings
	pingInterval     = 30 * time.Second // asked of a silent client
	idleMax          = 5 * time.Minute  // without a call; clients connect again by themselves
	pingTimeout      = 15 * time.Second // then the connection is dead
	pingIntervalMin  = 5 * time.Second  // a client that pings more often is sent away
)

// Options are what a Server needs.
type Options struct {
	Executor       command.Executor
	Host           command.Host
	Errors         *command.ErrorTally // counts the errors in answers; nil: nothing does
	TLS            *tls.Config         // nil: plain text
	ConnectionsMax int                 // connections at one time, more wait to be accepted; 0: 10 000
	Logger         *slog.Logger        // nil: slog.Default()
}

// Server is the gRPC listener.
type Server struct {
	grpc   *grpc.Server
	health *healthDoor
	conns  int
	open   atomic.Int64 // connections
}

// New makes a server. It is not serving by its own health until SetServing says so.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.ConnectionsMax <= 0 {
		o.ConnectionsMax = connectionsMax
	}
	s := &Server{grpc: grpc.NewServer(options(o.TLS)...), health: newHealthDoor(), conns: o.ConnectionsMax}
	s.SetServing(false)
	g := gate{host: o.Host, log: o.Logger}
	calls := &service{executor: o.Executor, host: o.Host, errors: o.Errors, namespaces: newRemembered()}
	s.grpc.RegisterService(g.guard(primatomicv1.KeyValue_ServiceDesc), calls)
	s.grpc.RegisterService(g.guard(primatomicv1.Cluster_ServiceDesc), &clusterService{calls: calls})
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

func options(config *tls.Config) []grpc.ServerOption {
	list := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MessageBytesMax),
		grpc.MaxSendMsgSize(MessageBytesMax),
		grpc.MaxConcurrentStreams(streamsMax),
		grpc.MaxHeaderListSize(headerBytesMax),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingInterval, Timeout: pingTimeout, MaxConnectionIdle: idleMax,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: pingIntervalMin, PermitWithoutStream: true,
		}),
	}
	if config != nil {
		list = append(list, grpc.Creds(credentials.NewTLS(config)))
	}
	return list
}

// Serve accepts connections from l until Stop. It closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.grpc.Serve(countedListener{netutil.LimitListener(l, s.conns), &s.open})
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Connections returns how many connections are open.
func (s *Server) Connections() int { return int(s.open.Load()) }

// SetServing sets what health checks answer, for the whole server ("") and for the KeyValue service.
func (s *Server) SetServing(serving bool) { s.health.set(serving) }

// Stop takes no more calls and waits for those on their way, until ctx ends; then it breaks them off.
func (s *Server) Stop(ctx context.Context) {
	s.health.close()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.grpc.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop()
		<-stopped
	}
}
