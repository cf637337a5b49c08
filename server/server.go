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

	segmentBytes int64        // of the log; 0: its default. Tests take less, to be quick
	tailBytes    int          // of the log behind a checkpoint and in memory; 0: the defaults
	logFS        vfs.FS       // where the log is; nil: the machine's. For tests
	peerListener net.Listener // instead of one at --peer-addr; for tests
	removed      func(error)  // see cluster.Options.Removed
}

// Server is a running node.
type Server struct {
	config  Config
	logger  *slog.Logger
	core    *core
	node    *node
	door    *resp.Server
	ended   chan error      // gets what makes it impossible to go on, if that is no fault
	grpc    *grpcapi.Server // nil: none
	health  *health         // nil: none
	cancel  context.CancelFunc
	running sync.WaitGroup // of background goroutines, which end with cancel
}

const (
	// drainTimeout bounds how long a stop waits for calls that run.
	drainTimeout = 10 * time.Second
	// readyInterval is how often a start that replays a long log says how far it has come.
	readyInterval = 5 * time.Second
)

// Start brings a node up: it loads the data, joins the log, and opens the doors once it can serve. A node of several
// opens them at once: what it is asked before there is a leader waits its time, and administration does not.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	keys, err := newKeys(o.Config.Security, o.Logger) // before anything that takes long
	if err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.Background())
	s := &Server{config: o.Config, logger: o.Logger, cancel: cancel, ended: make(chan error, 1)}
	o.removed = func(why error) {
		select {
		case s.ended <- why:
		default:
		}
	}
	heap := newHeapTuner() // from the start, because loading is when the heap grows most
	s.running.Go(func() { every(background, clock.System, heapInterval, heap.tune) })
	if s.core, err = startCore(ctx, o); err != nil {
		cancel()
		s.running.Wait()
		return nil, err
	}
	if s.core.alone() {
		err = s.ready(ctx)
	}
	if err == nil {
		s.watchDisk(background)
		s.watchClock(background)
		err = s.open(keys)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	s.watch(background, keys)
	return s, nil
}

// ready waits until the log has been replayed and the node can serve, however long that takes, and says how far
// it has come. Only ctx, or the log, ends it.
func (s *Server) ready(ctx context.Context) error {
	for {
		look, cancel := context.WithTimeout(ctx, readyInterval)
		err := s.core.group.Read(look)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("stopped while the log was replayed: %w", err)
		}
		status := s.core.group.Status()
		s.logger.Info("replaying the log", "applied", uint64(status.Applied), "of", uint64(status.Last))
	}
}

// open opens the doors.
func (s *Server) open(keys *keys) (err error) {
	s.fitConnections()
	grpcListener, err := s.listenGRPC()
	if err != nil {
		return err
	}
	n := newNode(s.config, s.core)
	s.node = n
	h := &host{clock: clock.System, authenticator: keys.authenticator, store: s.core.store, node: n}
	l, meters := s.config.Limits, s.core.meters
	meters.calls = newCallMeter(s.core.store, s.core.store.Registry())
	s.door, err = resp.New(resp.Options{
		Addr: s.config.Listen.RespAddr, TLS: keys.tls, Executor: meters.calls, Host: h, Logger: s.logger,
		Errors: &meters.errors,
		Limits: resp.Limits{Connections: l.MaxConnections, IdleTimeout: l.IdleTimeout},
	})
	if err != nil {
		if grpcListener != nil {
			err = errors.Join(err, grpcListener.Close())
		}
		return err
	}
	n.door = s.door
	n.cluster = newTopology(s.core, &s.config, s.door.Addr())
	s.advertise()
	s.goRun("RESP", s.door.Serve)
	if grpcListener != nil {
		s.grpc = grpcapi.New(grpcapi.Options{
			Executor: meters.calls, Host: h, TLS: keys.tls, ConnectionsMax: l.MaxConnections, Logger: s.logger,
			Errors: &meters.errors,
		})
		n.grpc = s.grpc
		s.goRun("gRPC", func() error { return s.grpc.Serve(grpcListener) })
		s.grpc.SetServing(true)
	}
	if addr := s.config.Listen.HTTPAddr; addr != "" {
		if s.health, err = startHealth(&s.config.Listen, n, s.logger); err != nil {
			return err
		}
	}
	return nil
}

// listenGRPC binds the address for gRPC clients, nil if there is none.
func (s *Server) listenGRPC() (net.Listener, error) {
	if s.config.Listen.GrpcAddr == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", s.config.Listen.GrpcAddr)
	if err == nil {
		s.config.Listen.GrpcAddr = listener.Addr().String()
	}
	return listener, err
}

// watchDisk keeps an eye on free space, from before the first client on.
func (s *Server) watchDisk(ctx context.Context) {
	guard := &diskGuard{
		fs: vfs.OS, dir: s.config.Storage.DataDir, reserve: int64(s.config.Storage.DiskReserve),
		store: s.core.store, logger: s.logger,
	}
	guard.look()
	s.running.Go(func() { every(ctx, clock.System, diskInterval, guard.look) })
}

// watchClock holds the wall clock against the other voters', from before this node can lead.
func (s *Server) watchClock(ctx context.Context) {
	if s.core.cluster.Transport() == nil {
		return
	}
	s.core.clock = &clockGuard{
		clock: clock.System, cluster: s.core.cluster, group: s.core.group, store: s.core.store, logger: s.logger,
	}
	s.running.Go(func() { every(ctx, clock.System, clockInterval, s.core.clock.look) })
}

// watch starts what runs beside the doors.
func (s *Server) watch(ctx context.Context, keys *keys) {
	s.running.Go(func() {
		every(ctx, clock.System, meterInterval, func() { s.node.meter.sample(s.node.counts()) })
	})
	leader := &leaderWatch{cluster: s.node.cluster, publish: s.door.Publish}
	s.running.Go(func() { every(ctx, clock.System, leaderInterval, leader.look) })
	if keys.watch != nil {
		s.running.Go(func() { keys.watch(ctx, clock.System) })
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

// advertise tells the other nodes where clients reach this one.
func (s *Server) advertise() {
	c, peer := &s.config.Cluster, s.core.cluster.PeerAddr()
	grpc := ""
	if s.config.Listen.GrpcAddr != "" {
		grpc = told(c.AdvertiseGrpcAddr, s.config.Listen.GrpcAddr, peer)
	}
	s.core.cluster.Advertise(told(c.AdvertiseRespAddr, s.door.Addr().String(), peer), grpc)
}

// Announce says where to connect.
func (s *Server) Announce(w io.Writer) {
	host, port, _ := net.SplitHostPort(s.door.Addr().String())
	state := "is ready"
	if !s.core.alone() {
		state = "runs as " + s.core.cluster.Name()
	}
	fmt.Fprintf(w, "primatomic %s %s, data in %s\n", Version(), state, s.config.Storage.DataDir)
	secure := ""
	if s.config.Security.TLSCert != "" {
		secure = " --tls"
	}
	fmt.Fprintf(w, "  Redis  %-22s redis-cli%s -h %s -p %s\n", s.door.Addr(), secure, reachable(host), port)
	if s.grpc != nil {
		fmt.Fprintf(w, "  gRPC   %-22s primatomic kv list 0%s --grpc-addr %[1]s\n", s.config.Listen.GrpcAddr, secure)
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

// fitConnections lowers the bound on connections to what the process may have open: without a free file
// neither the log nor a checkpoint could go on.
func (s *Server) fitConnections() {
	files := filesMax()
	wanted := &s.config.Limits.MaxConnections
	if fits := connectionsThatFit(files); fits < *wanted {
		s.logger.Warn("fewer connections than --max-connections: the process may open too few files",
			"files", files, "connections", fits, "wanted", *wanted, "help", "raise the limit (ulimit -n)")
		*wanted = fits
	}
}

// Ended delivers the reason why the node must be stopped, when there is one: it was removed from its cluster.
func (s *Server) Ended() <-chan error { return s.ended }

// leaveTimeout bounds how long a stop waits for another node to lead.
const leaveTimeout = 3 * time.Second

// Stop drains the node: it gives the leadership away, takes no more connections, finishes what runs, writes a
// checkpoint and lets go of the data directory.
func (s *Server) Stop(ctx context.Context) error {
	leave, cancel := context.WithTimeout(ctx, leaveTimeout)
	s.core.cluster.Leave(leave)
	cancel()
	s.closeDoors(ctx)
	s.cancel()
	s.running.Wait()
	return s.core.stop(ctx)
}

// closeDoors closes all doors at one time, so that each has the whole time for what runs behind it. Clients
// that do not take their answers in that time are cut off, which is no failure of the node.
func (s *Server) closeDoors(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var doors sync.WaitGroup
	if s.door != nil {
		doors.Go(func() {
			if err := s.door.Shutdown(ctx); err != nil {
				s.logger.Warn("Redis clients were cut off: what they asked for took too long to finish or to take",
					"error", err)
			}
		})
	}
	if s.grpc != nil {
		doors.Go(func() { s.grpc.Stop(ctx) })
	}
	if s.health != nil {
		doors.Go(func() { s.health.stop(ctx) })
	}
	doors.Wait()
}
