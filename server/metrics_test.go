package server

import (
	"bufio"
	"context"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// scrape returns the samples of /metrics by name and labels.
func scrape(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	reply, err := http.Get("http://" + s.health.addr.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	samples := map[string]float64{}
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if _, twice := samples[line[:at]]; twice || err != nil {
			t.Errorf("the line %q is there twice (%v), or no sample: %v", line, twice, err)
		}
		samples[line[:at]] = value
	}
	if reply.StatusCode != http.StatusOK || len(samples) == 0 {
		t.Fatalf("/metrics answers %s with %d samples", reply.Status, len(samples))
	}
	return samples
}

func TestMetrics(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	for _, line := range []string{
		"SET k v", "SET k w", "GET k", "NOSUCH", "INCR k", "CLIENT ID", "CONFIG SET databases 99", "CAS k w x",
	} {
		ask(t, s, strings.Fields(line)...)
	}
	conn, err := grpc.NewClient(s.config.Listen.GrpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = primatomicv1.NewKeyValueClient(conn).GetKey(t.Context(),
		&primatomicv1.GetKeyRequest{Namespace: "0", Key: "none"})
	if err == nil {
		t.Fatal("a key that nobody wrote is there")
	}
	samples := scrape(t, s)
	for name, want := range map[string]float64{
		`primatomic_command_seconds_count{command="set"}`:        2,
		`primatomic_command_seconds_count{command="get"}`:        2,
		`primatomic_command_seconds_count{command="select"}`:     1, // of the gRPC call
		`primatomic_command_seconds_count{command="cas"}`:        1,
		`primatomic_command_seconds_count{command="unknown"}`:    1,
		`primatomic_command_seconds_count{command="client|id"}`:  1,
		`primatomic_command_seconds_count{command="config|set"}`: 1,
		`primatomic_errors_total{code="invalid"}`:                2, // the unknown one, and INCR of no number
		`primatomic_errors_total{code="unsupported"}`:            1,
		`primatomic_errors_total{code="uncertain"}`:              0,
		`primatomic_raft_role{role="leader"}`:                    1,
		`primatomic_raft_role{role="follower"}`:                  0,
		`primatomic_raft_leader_known`:                           1,
		`primatomic_raft_voters`:                                 1,
		`primatomic_keys`:                                        1,
		`primatomic_data_bytes`:                                  2,
		`primatomic_namespaces`:                                  1,
		`primatomic_connections{door="grpc"}`:                    1,
		`primatomic_connections_received_total`:                  8,
		`primatomic_log_stalled`:                                 0,
	} {
		if got, there := samples[name]; !there || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, there, want)
		}
	}
	for _, name := range []string{
		"primatomic_log_sync_seconds_count", "primatomic_commit_seconds_count", "primatomic_commit_seconds_sum",
		"primatomic_log_bytes", "primatomic_disk_free_bytes", "go_goroutines", "process_resident_memory_bytes",
	} {
		if samples[name] <= 0 {
			t.Errorf("%s is %v", name, samples[name])
		}
	}
	if got := samples["primatomic_commit_seconds_count"]; got != 4 { // with the INCR, which was applied with an error
		t.Errorf("%v commits are counted", got)
	}
	if stats := ask(t, s, "INFO", "commandstats"); !strings.Contains(stats, "\r\ncmdstat_unknown:calls=1,usec=") {
		t.Errorf("INFO commandstats is %q", stats)
	}
	for name := range samples {
		if strings.Contains(name, "credential") || strings.Contains(name, "namespace=") {
			t.Errorf("%s names a tenant to everyone", name)
		}
	}
}

// TestMetricsOfNamespaces: names are told when that was asked for.
func TestMetricsOfNamespaces(t *testing.T) {
	o := testOptions(t, t.TempDir())
	o.Config.Listen.MetricsNamespaces = true
	s := mustStart(t, o)
	defer mustStop(t, s)
	ask(t, s, "NAMESPACE", "CREATE", "orders")
	ask(t, s, "SET", "key", "value")
	samples := scrape(t, s)
	for name, want := range map[string]float64{
		`primatomic_namespace_keys{credential="default",namespace="orders"}`: 0,
		`primatomic_namespace_keys{credential="default",namespace="0"}`:      1,
		`primatomic_namespace_bytes{credential="default",namespace="0"}`:     8,
	} {
		if got, there := samples[name]; !there || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, there, want)
		}
	}
}

func TestProbes(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	defer http.DefaultClient.CloseIdleConnections()
	for _, path := range []string{"/healthz", "/readyz"} {
		reply, err := http.Get("http://" + s.health.addr.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		if reply.StatusCode != http.StatusOK || string(body) != "ok\n" {
			t.Errorf("%s answers %s, %q", path, reply.Status, body)
		}
	}
}

// TestProfiles: profiles are told when that was asked for.
func TestProfiles(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	for wanted, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		o := testOptions(t, t.TempDir())
		o.Config.Listen.Profiles = wanted
		s := mustStart(t, o)
		reply, err := http.Get("http://" + s.health.addr.String() + "/debug/pprof/goroutine?debug=1")
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("with profiles %v the answer is %s", wanted, reply.Status)
		}
		mustStop(t, s)
	}
}

// TestHistogram holds the buckets against a plain count.
func TestHistogram(t *testing.T) {
	durations := []time.Duration{
		-1, 0, 1, 999, 7999 * time.Nanosecond, 8 * time.Microsecond, 15999 * time.Nanosecond, 16 * time.Microsecond,
		time.Millisecond, time.Second, 4 * time.Second, 5 * time.Second, math.MaxInt64 / 16,
	}
	var h histogram
	for _, d := range durations {
		h.observe(d, 3)
	}
	var got tally
	got.add(&h)
	buckets := got.cumulative()
	if len(buckets) != bucketCount || got.total() != uint64(3*len(durations)) {
		t.Errorf("%d buckets, %d durations", len(buckets), got.total())
	}
	for bound, count := range buckets {
		want := uint64(0)
		for _, d := range durations {
			if d.Seconds() < bound {
				want += 3
			}
		}
		if count != want {
			t.Errorf("below %v s: %d, want %d", bound, count, want)
		}
	}
}

// idleExecutor answers nothing, at once.
type idleExecutor struct{}

func (idleExecutor) Do(_ context.Context, _ *command.Session, calls []command.Call, _ *command.Reply) int {
	return len(calls)
}

// BenchmarkCallMeter measures what counting costs a submission of one call, and of 16.
func BenchmarkCallMeter(b *testing.B) {
	registry := command.NewRegistry()
	get := registry.Lookup([]byte("get"))
	for _, n := range []int{1, 16} {
		calls := make([]command.Call, n)
		for i := range calls {
			calls[i].Spec = get
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			m, s := newCallMeter(idleExecutor{}, registry), &command.Session{ID: 1}
			b.ReportAllocs()
			for b.Loop() {
				m.Do(b.Context(), s, calls, nil)
			}
		})
	}
}
