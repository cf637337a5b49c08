package integration

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// expectStatus checks the code and the reason of a gRPC error.
func expectStatus(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	if status.Code(err) != code || reasonOf(err) != reason {
		t.Errorf("got %v with reason %q, want %v with reason %q", err, reasonOf(err), code, reason)
	}
}

// TestCanonicalCalls goes through the calls of the API as a client uses them.
func TestCanonicalCalls(t *testing.T) {
	kv, ctx := startNode(t).keyValue(t, ""), t.Context()
	created, err := kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "myapp"})
	if err != nil || created.Namespace != "myapp" || created.Status.GetCode() != 0 {
		t.Fatalf("create: %v, %v", created, err)
	}
	if _, err := kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "myapp"}); err != nil {
		t.Errorf("create again: %v", err)
	}
	for key, value := range map[string]string{"user:2": "two", "user:1": "one", "user:10": "ten", "v": ""} {
		put, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "myapp", Key: key, Value: []byte(value)})
		if err != nil || put.Key != key || put.Status == nil {
			t.Errorf("put: %v, %v", put, err)
		}
	}
	got, err := kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "myapp", Key: "user:1"})
	want := &pb.GetKeyResponse{Key: "user:1", Namespace: "myapp", Value: []byte("one"), Status: &pb.Status{}}
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("get: %v, %v", got, err)
	}
	for _, test := range []struct {
		request *pb.ListKeysRequest
		want    []string
	}{
		{&pb.ListKeysRequest{}, []string{"user:1", "user:10", "user:2", "v"}},
		{&pb.ListKeysRequest{Prefix: "user:"}, []string{"user:1", "user:10", "user:2"}},
		{&pb.ListKeysRequest{Prefix: "user:", Limit: proto.Uint64(2)}, []string{"user:1", "user:10"}},
		{&pb.ListKeysRequest{Prefix: "user:", StartAfter: []byte("user:10")}, []string{"user:2"}},
		{&pb.ListKeysRequest{Prefix: "none"}, nil},
	} {
		test.request.Namespace = "myapp"
		list, err := kv.ListKeys(ctx, test.request)
		if diff := cmp.Diff(test.want, list.GetKeys()); err != nil || diff != "" {
			t.Errorf("list %v: %v (-want +got):\n%s", test.request, err, diff)
		}
	}
	for range 2 { // the second time it is missing
		if _, err := kv.DeleteKey(ctx, &pb.DeleteKeyRequest{Namespace: "myapp", Key: "v"}); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	_, err = kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "myapp", Key: "v"})
	expectStatus(t, err, codes.NotFound, "NO_KEY")
	about, err := kv.GetNamespace(ctx, &pb.GetNamespaceRequest{Namespace: "myapp"})
	if err != nil || about.Keys != 3 || about.Bytes == 0 || about.Revision < 5 {
		t.Errorf("about the namespace: %v, %v", about, err)
	}
	all, err := kv.ListNamespaces(ctx, &pb.ListNamespacesRequest{})
	if err != nil || !slices.Equal(all.Namespaces, []string{"myapp"}) {
		t.Errorf("namespaces: %v, %v", all, err)
	}
	if _, err := kv.DropNamespace(ctx, &pb.DropNamespaceRequest{Namespace: "myapp"}); err != nil {
		t.Errorf("drop: %v", err)
	}
	_, err = kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "myapp", Key: "user:1"})
	expectStatus(t, err, codes.NotFound, "NO_NAMESPACE")
	if _, err := kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: "myapp"}); err != nil {
		t.Errorf("create after drop: %v", err)
	}
	list, err := kv.ListKeys(ctx, &pb.ListKeysRequest{Namespace: "myapp"})
	if err != nil || len(list.Keys) != 0 {
		t.Errorf("a namespace made anew holds %v, %v", list.GetKeys(), err)
	}
}

// TestCompareAndSwap: what the API promises of each case.
func TestCompareAndSwap(t *testing.T) {
	n := startNode(t)
	kv, w, ctx := n.keyValue(t, ""), n.wire(t), t.Context()
	for _, test := range []struct {
		name, before, expected, after string // "-" is a missing key
		swapped                       bool
	}{
		{"missing, not empty", "-", "x", "-", false},
		{"missing, empty", "-", "", "new", true},
		{"equal", "old", "old", "new", true},
		{"not equal", "old", "other", "old", false},
		{"not empty, empty expected", "old", "", "old", false},
		{"empty value, empty expected", "", "", "new", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.do(t, "DEL", "k")
			if test.before != "-" {
				w.do(t, "SET", "k", test.before, "EX", "1000")
			}
			reply, err := kv.CompareAndSwap(ctx, &pb.CompareAndSwapRequest{
				Namespace: "0", Key: "k", Expected: []byte(test.expected), NewValue: []byte("new"),
			})
			if err != nil || reply.Swapped != test.swapped || reply.Key != "k" || reply.Namespace != "0" {
				t.Errorf("%v, %v", reply, err)
			}
			got := w.do(t, "GET", "k")
			if got.null != (test.after == "-") || !got.null && got.text != test.after {
				t.Errorf("after it the value is %q", got.raw)
			}
			if ttl := w.do(t, "TTL", "k"); test.before != "-" && ttl.int() < 990 {
				t.Errorf("the TTL is %d", ttl.int())
			}
		})
	}
}

// TestTTLOverGRPC: a deadline is kept by neither 0 nor absence, and holds.
func TestTTLOverGRPC(t *testing.T) {
	n := startNode(t)
	kv, w, ctx := n.keyValue(t, ""), n.wire(t), t.Context()
	put := func(ttl *uint64) error {
		_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: "k", Value: []byte("v"), TtlMs: ttl})
		return err
	}
	for _, test := range []struct {
		ttl  *uint64
		want func(left int64) bool
	}{
		{proto.Uint64(3_600_000), func(left int64) bool { return left > 3_500_000 && left <= 3_600_000 }},
		{nil, func(left int64) bool { return left == -1 }},
		{proto.Uint64(3_600_000), func(left int64) bool { return left > 3_500_000 }},
		{proto.Uint64(0), func(left int64) bool { return left == -1 }},
	} {
		if err := put(test.ttl); err != nil {
			t.Fatal(err)
		}
		if left := w.do(t, "PTTL", "k"); !test.want(left.int()) {
			t.Errorf("ttl_ms %v: PTTL is %d", test.ttl, left.int())
		}
	}
	for _, ttl := range []uint64{1<<64 - 1, 1<<63 - 1, 1 << 63} {
		expectStatus(t, put(&ttl), codes.InvalidArgument, "INVALID")
	}
	if err := put(proto.Uint64(50)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the key has expired", func() bool {
		_, err := kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "0", Key: "k"})
		return status.Code(err) == codes.NotFound
	})
}

// TestInvalidRequests: what is refused, and how.
func TestInvalidRequests(t *testing.T) {
	n := startNode(t)
	kv, ctx := n.keyValue(t, ""), t.Context()
	put := func(namespace, key string, value []byte) error {
		_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: namespace, Key: key, Value: value})
		return err
	}
	create := func(name string) error {
		_, err := kv.CreateNamespace(ctx, &pb.CreateNamespaceRequest{Namespace: name})
		return err
	}
	drop := func(name string) error {
		_, err := kv.DropNamespace(ctx, &pb.DropNamespaceRequest{Namespace: name})
		return err
	}
	_, noKey := kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "0", Key: "missing"})
	_, twoKeys := kv.GetKey(ctx, &pb.GetKeyRequest{Namespace: "0", Key: "a", KeyBytes: []byte("b")})
	_, noNamespace := kv.DeleteKey(ctx, &pb.DeleteKeyRequest{Namespace: "nowhere", Key: "k"})
	for _, test := range []struct {
		name   string
		err    error
		code   codes.Code
		reason string
	}{
		{"largest value", put("0", "k", make([]byte, 16<<20)), codes.OK, ""},
		{"value too large", put("0", "k", make([]byte, 16<<20+1)), codes.InvalidArgument, "TOO_LARGE"},
		{"longest key", put("0", strings.Repeat("k", 1024), nil), codes.OK, ""},
		{"key too long", put("0", strings.Repeat("k", 1025), nil), codes.InvalidArgument, "TOO_LARGE"},
		{"key empty", put("0", "", nil), codes.InvalidArgument, "INVALID"},
		{"key twice", twoKeys, codes.InvalidArgument, "INVALID"},
		{"no key", noKey, codes.NotFound, "NO_KEY"},
		{"no namespace", noNamespace, codes.NotFound, "NO_NAMESPACE"},
		{"number too high", put("16", "k", nil), codes.NotFound, "NO_NAMESPACE"},
		{"namespace empty", put("", "k", nil), codes.InvalidArgument, "INVALID"},
		{"namespace with a blank", put("a b", "k", nil), codes.InvalidArgument, "INVALID"},
		{"create numbered", create("15"), codes.OK, ""},
		{"create empty", create(""), codes.InvalidArgument, "INVALID"},
		{"create longest", create(strings.Repeat("n", 128)), codes.OK, ""},
		{"create too long", create(strings.Repeat("n", 129)), codes.InvalidArgument, "INVALID"},
		{"create with a slash", create("a/b"), codes.InvalidArgument, "INVALID"},
		{"drop numbered", drop("3"), codes.InvalidArgument, "INVALID"},
		{"drop nothing", drop("nothing"), codes.NotFound, "NO_NAMESPACE"},
	} {
		t.Run(test.name, func(t *testing.T) { expectStatus(t, test.err, test.code, test.reason) })
	}
	if a := n.wire(t).do(t, "STRLEN", "k"); a.int() != 16<<20 {
		t.Errorf("a refused value was stored: %d bytes", a.int())
	}
}

// TestLongList: a list beyond a message is refused, and comes in pages.
func TestLongList(t *testing.T) {
	n := startNode(t)
	kv, ctx := n.keyValue(t, ""), t.Context()
	const keys = 17 << 10
	pipe := n.redis(t).Pipeline()
	for i := range keys {
		pipe.Set(ctx, fmt.Sprintf("%01024d", i), "", 0)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := kv.ListKeys(ctx, &pb.ListKeysRequest{Namespace: "0"})
	expectStatus(t, err, codes.ResourceExhausted, "LIST_TOO_LARGE")
	met, after := 0, []byte(nil)
	for {
		page, err := kv.ListKeys(ctx, &pb.ListKeysRequest{
			Namespace: "0", Limit: proto.Uint64(5000), StartAfter: after,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range page.Keys {
			if want := fmt.Sprintf("%01024d", met); key != want {
				t.Fatalf("key %d is %s", met, key)
			}
			met++
		}
		if after = page.NextStartAfter; len(after) == 0 {
			break
		}
	}
	if met != keys {
		t.Errorf("%d keys of %d were listed", met, keys)
	}
}

// TestCallDeadline: a call whose time is up ends at once, and the connection goes on.
func TestCallDeadline(t *testing.T) {
	kv := startNode(t).keyValue(t, "")
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: "k", Value: []byte("v")})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a deadline that has passed: %v", err)
	}
	for range 200 { // some end on the way, in either direction
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Microsecond)
		_, err := kv.PutKey(ctx, &pb.PutKeyRequest{Namespace: "0", Key: "k", Value: []byte("v")})
		cancel()
		code := status.Code(err)
		if code != codes.OK && code != codes.DeadlineExceeded && reasonOf(err) != "NOT_APPLIED" {
			t.Fatalf("a short deadline: %v", err)
		}
	}
	if _, err := kv.PutKey(t.Context(), &pb.PutKeyRequest{Namespace: "0", Key: "k"}); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// TestHealthAndReflection: what load balancers and grpcurl ask.
func TestHealthAndReflection(t *testing.T) {
	conn := startNode(t).dial(t, "")
	for _, service := range []string{"", "primatomic.v1.KeyValue"} {
		ask := &healthv1.HealthCheckRequest{Service: service}
		reply, err := healthv1.NewHealthClient(conn).Check(t.Context(), ask)
		if err != nil || reply.Status != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", service, reply, err)
		}
	}
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "primatomic.v1.KeyValue",
		},
	}); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	files := reply.GetFileDescriptorResponse().GetFileDescriptorProto()
	if len(files) == 0 || !bytes.Contains(files[0], []byte("CompareAndSwap")) {
		t.Errorf("reflection answers %v", reply)
	}
}
