package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/primatomic/primatomic/grpcapi"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/resp"
)

// Options say what a node is made from.
type Options struct {
	Config Config
	Logger *slog.Logger
	// Fatal ends the process at once. It is called when going on would contradict what was said: the disk
	// has failed, or the log holds what this binary cannot read.
	Fatal func(error)
}

// Server is a running node.
type Server struct {
	config  Config
	logger  *slog.Logger
	core    *core
	door    *resp.Server
	grpc    *grpcapi.Server // nil: none
	health  *health         // nil: none
	cancel  context.CancelFunc
	running sync.WaitGroup // of background goroutines, which end with cancel
}

const (
	// drainTimeout bounds how long a stop waits for calls that run.
	drainTimeout = 10 * time.Second
	// readyTimeout bounds how long a start waits until the node leads and can be read.
	readyTimeout = 5 * time.Minute
)

// Start brings a node up: it loads the data, joins the log, and opens the doors once it can serve.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	s := &Server{config: o.Config, logger: o.Logger, cancel: cancel}
	heap := newHeapTuner() // from the start, because loading is when the heap grows most
	s.running.Go(func() { every(background, clock.System, heapInterval, heap.tune) })
	var err error
	if s.core, err = startCore(o); err != nil {
		cancel()
		s.running.Wait()
		return nil, err
	}
	if err := s.open(ctx, background); err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	return s, nil
}

// open waits until the node can serve, and opens the doors.
func (s *Server) open(ctx, background context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.core.group.Read(ctx); err != nil {
		return fmt.Errorf("the log could not be replayed: %w", err)
	}
	authenticator, watch, err := newAuthenticator(s.config.Security, s.logger)
	if err != nil {
		return err
	}
	tls, err := newTLS(s.config.Security)
	if err != nil {
		return err
	}
	n := newNode(s.config, s.core)
	h := &host{clock: clock.System, authenticator: authenticator, store: s.core.store, node: n}
	l := s.config.Limits
	s.door, err = resp.New(resp.Options{
		Addr: s.config.Listen.RespAddr, TLS: tls, Executor: s.core.store, Host: h, Logger: s.logger,
		Limits: resp.Limits{Connections: l.MaxConnections, IdleTimeout: l.IdleTimeout},
	})
	if err != nil {
		return err
	}
	n.door = s.door
	s.goRun("RESP", s.door.Serve)
	if addr := s.config.Listen.GrpcAddr; addr != "" {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		s.config.Listen.GrpcAddr = listener.Addr().String()
		s.grpc = grpcapi.New(grpcapi.Options{
			Executor: s.core.store, Host: h, TLS: tls, ConnectionsMax: l.MaxConnections, Logger: s.logger,
		})
		s.goRun("gRPC", func() error { return s.grpc.Serve(listener) })
		s.grpc.SetServing(true)
	}
	if addr := s.config.Listen.HTTPAddr; addr != "" {
		if s.health, err = startHealth(addr, s.core.group, s.logger); err != nil {
			return err
		}
	}
	s.watch(background, n, watch)
	return nil
}

// watch starts what runs beside the doors.
func (s *Server) watch(ctx context.Context, n *node, keys func(context.Context, clock.Clock)) {
	guard := &diskGuard{
		fs: vfs.OS, dir: s.config.Storage.DataDir, reserve: int64(s.config.Storage.DiskReserve),
		store: s.core.store, logger: s.logger,
	}
	guard.look() // before the first write
	s.running.Go(func() { every(ctx, clock.System, diskInterval, guard.look) })
	s.running.Go(func() {
		every(ctx, clock.System, meterInterval, func() { n.meter.sample(n.counts()) })
	})
	if keys != nil {
		s.running.Go(func() { keys(ctx, clock.System) })
	}
}

// goRun serves at a door until it is closed.
func (s *Server) goRun(door string, serve func() error) {
	s.running.Go(func() {
		if err := serve(); err != nil {
			s.logger.Error("a door has failed", "door", door, "error", err)
		}
	})
}

// Announce says where to connect.
func (s *Server) Announce(w io.Writer) {
	host, port, _ := net.SplitHostPort(s.door.Addr().String())
	fmt.Fprintf(w, "primatomic %s is ready, data in %s\n", Version(), s.config.Storage.DataDir)
	fmt.Fprintf(w, "  Redis  %-22s redis-cli -h %s -p %s\n", s.door.Addr(), reachable(host), port)
	if s.grpc != nil {
		fmt.Fprintf(w, "  gRPC   %-22s primatomic kv list 0 --grpc-addr %[1]s\n", s.config.Listen.GrpcAddr)
	}
	if s.health != nil {
		fmt.Fprintf(w, "  health http://%s/readyz\n", s.health.addr)
	}
}

// reachable names a host that a client on this machine can use for an address that is listened on.
func reachable(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

// Stop drains the node: it takes no more connections, finishes what runs, writes a checkpoint and lets go of
// the data directory.
func (s *Server) Stop(ctx context.Context) error {
	drain, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var failed error
	if s.door != nil {
		failed = s.door.Shutdown(drain)
	}
	if s.grpc != nil {
		s.grpc.Stop(drain)
	}
	if s.health != nil {
		failed = errors.Join(failed, s.health.stop(drain))
	}
	s.cancel()
	s.running.Wait()
	return errors.Join(failed, s.core.stop(ctx))
}
