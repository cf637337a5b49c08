package grpcapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHost knows who calls, and nothing else of what a host knows.
type fakeHost struct {
	command.Host
	auth.Authenticator
}

func (h fakeHost) Authenticate(token string, now time.Time) (*auth.Principal, error) {
	return h.Authenticator.Authenticate(token, now)
}

func (h fakeHost) Now() time.Time { return time.Now() }

// script answers a command.
type script = func(ctx context.Context, line string, out *command.Reply)

// fakeExecutor answers SELECT as the real one does and everything else by a script. It notes each command as
// "credential namespace> words".
type fakeExecutor struct {
	answer script

	mu    sync.Mutex
	lines []string
}

func (f *fakeExecutor) Do(
	ctx context.Context, s *command.Session, calls []command.Call, out *command.Reply,
) int {
	line := string(bytes.Join(calls[0].Args, []byte(" ")))
	f.mu.Lock()
	note := s.Principal.Credential + " " + s.Namespace.Name + "> " + short(line)
	if s.Stale {
		note += " (stale)"
	}
	f.lines = append(f.lines, note)
	f.mu.Unlock()
	if name, isSelect := strings.CutPrefix(line, "SELECT "); isSelect {
		switch name {
		case "nowhere":
			out.Error(command.Errorf(command.NoNamespace, "no namespace is named %q", name))
			return 1
		case "", "16", strings.Repeat("7", 129):
			out.Error(command.Errorf(command.Invalid, "DB index is out of range"))
			return 1
		}
		s.Namespace.Name = name
		out.OK()
		return 1
	}
	f.answer(ctx, line, out)
	return 1
}

func short(line string) string { return line[:min(len(line), 100)] }

// taken returns the commands noted since the last time.
func (f *fakeExecutor) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.lines
	f.lines = nil
	return lines
}

// fixture is a server on a connection in memory, and a client of it.
type fixture struct {
	*fakeExecutor
	server *Server
	conn   *grpc.ClientConn
	client primatomicv1.KeyValueClient
}

func start(t *testing.T, who auth.Authenticator, answer script) fixture {
	t.Helper()
	f := fixture{fakeExecutor: &fakeExecutor{answer: answer}}
	f.server = New(Options{
		Executor: f.fakeExecutor, Host: fakeHost{Authenticator: who},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	listener := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MessageBytesMax), grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	f.conn, f.client = conn, primatomicv1.NewKeyValueClient(conn)
	t.Cleanup(func() {
		conn.Close()
		f.server.Stop(t.Context())
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return f
}

func answerOK(_ context.Context, _ string, out *command.Reply) { out.OK() }

// reasonOf returns the reason in an error's ErrorInfo.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "primatomic" {
			return info.Reason
		}
	}
	return ""
}

func TestHealthFollowsSetServing(t *testing.T) {
	f := start(t, auth.Off(), answerOK)
	client := healthv1.NewHealthClient(f.conn)
	for _, serving := range []bool{false, true, false} {
		f.server.SetServing(serving)
		for _, name := range []string{"", "primatomic.v1.KeyValue"} {
			reply, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err != nil || (reply.Status == healthv1.HealthCheckResponse_SERVING) != serving {
				t.Errorf("service %q, serving %v: %v, %v", name, serving, reply, err)
			}
		}
	}
}

func TestStopDoesNotWaitForWatchersOfHealth(t *testing.T) {
	f := start(t, auth.Off(), answerOK)
	stream, err := healthv1.NewHealthClient(f.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	f.server.Stop(context.Background())
	for err == nil { // a last word may come first
		_, err = stream.Recv()
	}
}

func TestReflectionListsTheService(t *testing.T) {
	f := start(t, auth.Off(), answerOK)
	stream, err := reflectionv1.NewServerReflectionClient(f.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil || !strings.Contains(reply.String(), "primatomic.v1.KeyValue") {
		t.Errorf("got %v, %v", reply, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestStopWaitsForCallsOnTheirWay(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) {
		close(entered)
		<-finish
		out.OK()
	})
	answered := make(chan error, 1)
	go func() {
		_, err := f.client.PutKey(t.Context(), &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0"})
		answered <- err
	}()
	<-entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		f.server.Stop(context.Background())
	}()
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("a call on its way was broken off: %v", err)
	}
	<-stopped
}

func TestStopBreaksOffWhenItsTimeIsUp(t *testing.T) {
	entered := make(chan struct{})
	f := start(t, auth.Off(), func(ctx context.Context, _ string, out *command.Reply) {
		close(entered)
		<-ctx.Done()
		out.Error(command.Errorf(command.Uncertain, "stopped"))
	})
	answered := make(chan error, 1)
	go func() {
		_, err := f.client.PutKey(t.Context(), &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0"})
		answered <- err
	}()
	<-entered
	over, cancel := context.WithCancel(context.Background())
	cancel()
	f.server.Stop(over)
	if err := <-answered; status.Code(err) == codes.OK || reasonOf(err) == reasonNotApplied {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}
