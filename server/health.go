package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"golang.org/x/net/netutil"

	"github.com/primatomic/primatomic/store"
)

// health is the side door over HTTP: /healthz says that the process lives, /readyz that it can serve,
// /metrics what it does and, if that is wanted, /debug/pprof what its time and memory go to.
type health struct {
	server *http.Server
	addr   net.Addr // that is listened on
}

// probesMax bounds the connections of this door, which asks nobody who they are. More wait.
const probesMax = 64

// probeTimeout bounds what a probe may wait for a read point.
const probeTimeout = time.Second

// answerTimeout bounds an answer of the door, and with it how long the processor can be profiled.
const answerTimeout = time.Minute

func startHealth(c *ListenConfig, n *node, logger *slog.Logger) (*health, error) {
	listener, err := net.Listen("tcp", c.HTTPAddr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
		defer cancel()
		if err := n.canServe(ctx); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", metricsHandler(n, c.MetricsNamespaces))
	if c.Profiles {
		addProfiles(mux)
	}
	h := &health{addr: listener.Addr(), server: &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: answerTimeout,
		IdleTimeout: 15 * time.Second, MaxHeaderBytes: 16 << 10,
	}}
	go func() {
		err := h.server.Serve(netutil.LimitListener(listener, probesMax))
		if !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the HTTP door has failed", "error", err)
		}
	}()
	return h, nil
}

// addProfiles lets net/http/pprof answer.
func addProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// canServe waits until the node could answer a read. An error says why it cannot.
func (n *node) canServe(ctx context.Context) error {
	if reason, yes := n.store.Quarantined(); yes {
		return fmt.Errorf("this node is in quarantine: %s; %s", reason, store.RebuildHelp(n.core.identity.Node))
	}
	return n.group.Read(ctx)
}

func (h *health) stop(ctx context.Context) {
	if h.server.Shutdown(ctx) != nil {
		_ = h.server.Close() // breaks off what still runs
	}
}
