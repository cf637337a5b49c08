package grpcapi

import (
	"context"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// healthDoor is the health service. Its watchers stay for as long as their connection; they are sent
// away when the server stops, else it would wait for them.
type healthDoor struct {
	*health.Server
	stopping context.Context // ends when the server stops
	stop     context.CancelFunc
}

func newHealthDoor() *healthDoor {
	h := &healthDoor{Server: health.NewServer()}
	h.stopping, h.stop = context.WithCancel(context.Background())
	return h
}

func (h *healthDoor) set(serving bool) {
	state := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		state = healthv1.HealthCheckResponse_SERVING
	}
	h.SetServingStatus("", state)
	h.SetServingStatus(primatomicv1.KeyValue_ServiceDesc.ServiceName, state)
}

// close says for good that nothing is served, and sends the watchers away.
func (h *healthDoor) close() {
	h.Shutdown()
	h.stop()
}

// Watch is Health.Watch.
func (h *healthDoor) Watch(q *healthv1.HealthCheckRequest, stream healthv1.Health_WatchServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(h.stopping, cancel)()
	return h.Server.Watch(q, watchStream{stream, ctx})
}

// watchStream is a stream that ends earlier than its client wishes.
type watchStream struct {
	healthv1.Health_WatchServer
	ctx context.Context
}

func (s watchStream) Context() context.Context { return s.ctx }
