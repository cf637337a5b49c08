package grpcapi

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// call sends any request of the service.
func call(ctx context.Context, f fixture, request proto.Message) (proto.Message, error) {
	switch q := request.(type) {
	case *primatomicv1.GetKeyRequest:
		return f.client.GetKey(ctx, q)
	case *primatomicv1.PutKeyRequest:
		return f.client.PutKey(ctx, q)
	case *primatomicv1.DeleteKeyRequest:
		return f.client.DeleteKey(ctx, q)
	case *primatomicv1.ListKeysRequest:
		return f.client.ListKeys(ctx, q)
	case *primatomicv1.CompareAndSwapRequest:
		return f.client.CompareAndSwap(ctx, q)
	case *primatomicv1.CreateNamespaceRequest:
		return f.client.CreateNamespace(ctx, q)
	case *primatomicv1.DropNamespaceRequest:
		return f.client.DropNamespace(ctx, q)
	case *primatomicv1.ListNamespacesRequest:
		return f.client.ListNamespaces(ctx, q)
	case *primatomicv1.GetNamespaceRequest:
		return f.client.GetNamespace(ctx, q)
	}
	panic(fmt.Sprintf("no call for %T", request))
}

type v1Status = primatomicv1.Status

// callCase is a request, the command in namespace "n" that it becomes, the answer to that, and the reply.
type callCase struct {
	name    string
	request proto.Message
	line    string
	answer  func(*command.Reply)
	want    proto.Message
}

func testCalls(t *testing.T, cases []callCase) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) { tc.answer(out) })
			got, err := call(t.Context(), f, tc.request)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			want := []string{"default > SELECT n", "default n> " + tc.line}
			if diff := cmp.Diff(want, f.taken()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// fine is the status of a reply without a remark.
var fine = &v1Status{}

func TestKeyCalls(t *testing.T) {
	okReply := (*command.Reply).OK
	integer := func(n int64) func(*command.Reply) { return func(r *command.Reply) { r.Int(n) } }
	testCalls(t, []callCase{
		{"get", &primatomicv1.GetKeyRequest{Key: "k", Namespace: "n"}, "GET k",
			func(r *command.Reply) { r.Bulk([]byte{0, 255}) },
			&primatomicv1.GetKeyResponse{Key: "k", Namespace: "n", Value: []byte{0, 255}, Status: fine}},
		{"get an empty value", &primatomicv1.GetKeyRequest{Key: "k", Namespace: "n"}, "GET k",
			func(r *command.Reply) { r.Bulk(nil) },
			&primatomicv1.GetKeyResponse{Key: "k", Namespace: "n", Status: fine}},
		{"get by bytes", &primatomicv1.GetKeyRequest{KeyBytes: []byte{0xff}, Namespace: "n"}, "GET \xff",
			func(r *command.Reply) { r.BulkString("v") },
			&primatomicv1.GetKeyResponse{KeyBytes: []byte{0xff}, Namespace: "n", Value: []byte("v"), Status: fine}},
		{"get by bytes that are text", &primatomicv1.GetKeyRequest{KeyBytes: []byte("k"), Namespace: "n"}, "GET k",
			func(r *command.Reply) { r.BulkString("v") }, &primatomicv1.GetKeyResponse{
				Key: "k", KeyBytes: []byte("k"), Namespace: "n", Value: []byte("v"), Status: fine}},
		{"put", &primatomicv1.PutKeyRequest{Key: "k", Namespace: "n", Value: []byte("v")}, "SET k v",
			okReply, &primatomicv1.PutKeyResponse{Key: "k", Status: fine}},
		{"put with TTL", &primatomicv1.PutKeyRequest{Key: "k", Namespace: "n", TtlMs: proto.Uint64(5)},
			"SET k  PX 5", okReply, &primatomicv1.PutKeyResponse{Key: "k", Status: fine}},
		{"put with TTL 0", &primatomicv1.PutKeyRequest{Key: "k", Namespace: "n", TtlMs: proto.Uint64(0)}, "SET k ",
			okReply, &primatomicv1.PutKeyResponse{Key: "k", Status: fine}},
		{"delete", &primatomicv1.DeleteKeyRequest{Key: "k", Namespace: "n"}, "DEL k",
			integer(0), &primatomicv1.DeleteKeyResponse{Key: "k", Status: fine}},
		{"swap", &primatomicv1.CompareAndSwapRequest{
			Key: "k", Namespace: "n", Expected: []byte("a"), NewValue: []byte("b")},
			"CAS k a b", integer(1),
			&primatomicv1.CompareAndSwapResponse{Key: "k", Namespace: "n", Swapped: true, Status: fine}},
		{"no swap", &primatomicv1.CompareAndSwapRequest{Key: "k", Namespace: "n"}, "CAS k  ",
			integer(0), &primatomicv1.CompareAndSwapResponse{Key: "k", Namespace: "n", Status: fine}},
	})
}

func TestListKeys(t *testing.T) {
	bulks := func(keys ...string) func(*command.Reply) {
		return func(r *command.Reply) {
			r.Array(len(keys))
			for _, key := range keys {
				r.BulkString(key)
			}
		}
	}
	testCalls(t, []callCase{
		{"list", &primatomicv1.ListKeysRequest{Prefix: "a", Namespace: "n"}, "LISTKEYS a",
			bulks("a", "ab"), &primatomicv1.ListKeysResponse{Keys: []string{"a", "ab"}, Status: fine}},
		{"list nothing", &primatomicv1.ListKeysRequest{Namespace: "n", Limit: proto.Uint64(0)}, "LISTKEYS ",
			bulks(), &primatomicv1.ListKeysResponse{Status: fine}},
		{"list up to a limit", &primatomicv1.ListKeysRequest{Namespace: "n", Limit: proto.Uint64(2)},
			"LISTKEYS  LIMIT 3", bulks("a", "b", "c"),
			&primatomicv1.ListKeysResponse{Keys: []string{"a", "b"}, NextStartAfter: []byte("b"), Status: fine}},
		{"list less than a limit", &primatomicv1.ListKeysRequest{Namespace: "n", Limit: proto.Uint64(2)},
			"LISTKEYS  LIMIT 3", bulks("a", "b"),
			&primatomicv1.ListKeysResponse{Keys: []string{"a", "b"}, Status: fine}},
		{"list a page", &primatomicv1.ListKeysRequest{
			PrefixBytes: []byte{0xff}, Namespace: "n", StartAfter: []byte("\xffa")},
			"LISTKEYS \xff AFTER \xffa", bulks(), &primatomicv1.ListKeysResponse{Status: fine}},
		{"list with the largest limit",
			&primatomicv1.ListKeysRequest{Namespace: "n", Limit: proto.Uint64(1<<64 - 1)},
			"LISTKEYS ", bulks("a"), &primatomicv1.ListKeysResponse{Keys: []string{"a"}, Status: fine}},
		{"list keys that are not UTF-8", &primatomicv1.ListKeysRequest{Namespace: "n"}, "LISTKEYS ",
			bulks("a", "\xfe", "\xff"), &primatomicv1.ListKeysResponse{
				Keys: []string{"a"}, KeysBytes: [][]byte{[]byte("a"), {0xfe}, {0xff}},
				Status: &v1Status{Message: "2 keys are not UTF-8: keys_bytes holds all keys, keys only the others"}}},
	})
}

func TestNamespaceCalls(t *testing.T) {
	f := start(t, auth.Off(), func(_ context.Context, line string, out *command.Reply) {
		switch {
		case strings.HasPrefix(line, "NAMESPACE LIST"):
			out.Array(2)
			out.BulkString("0")
			out.BulkString("app")
		case strings.HasPrefix(line, "NAMESPACE INFO"):
			out.Map(4)
			for name, n := range map[string]int64{"id": 9, "keys": 1, "bytes": 2, "revision": 3} {
				out.BulkString(name)
				out.Int(n)
			}
		default:
			out.OK()
		}
	})
	for _, tc := range []struct {
		request, want proto.Message
		line          string
	}{
		{&primatomicv1.CreateNamespaceRequest{Namespace: "app"},
			&primatomicv1.CreateNamespaceResponse{Namespace: "app", Status: &v1Status{}}, "NAMESPACE CREATE app"},
		{&primatomicv1.DropNamespaceRequest{Namespace: "app"},
			&primatomicv1.DropNamespaceResponse{Namespace: "app", Status: &v1Status{}}, "NAMESPACE DROP app"},
		{&primatomicv1.ListNamespacesRequest{}, &primatomicv1.ListNamespacesResponse{
			Namespaces: []string{"0", "app"}, Status: &v1Status{}}, "NAMESPACE LIST"},
		{&primatomicv1.GetNamespaceRequest{Namespace: "app"}, &primatomicv1.GetNamespaceResponse{
			Namespace: "app", Status: &v1Status{}, Keys: 1, Bytes: 2, Revision: 3}, "NAMESPACE INFO app"},
	} {
		got, err := call(t.Context(), f, tc.request)
		if err != nil {
			t.Errorf("%s: %v", tc.line, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.line, diff)
		}
		if diff := cmp.Diff([]string{"default > " + tc.line}, f.taken()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	}
}

func TestErrors(t *testing.T) {
	answer := func(code command.Code) func(*command.Reply) {
		return func(r *command.Reply) { r.Error(command.Errorf(code, "why")) }
	}
	get := &primatomicv1.GetKeyRequest{Key: "k", Namespace: "n"}
	listing := &primatomicv1.ListKeysRequest{Namespace: "n"}
	for _, tc := range []struct {
		name    string
		request proto.Message
		answer  func(*command.Reply)
		code    codes.Code
		reason  string
	}{
		{"no such key", get, (*command.Reply).Null, codes.NotFound, "NO_KEY"},
		{"no such namespace", &primatomicv1.DeleteKeyRequest{Key: "k", Namespace: "nowhere"}, nil,
			codes.NotFound, "NO_NAMESPACE"},
		{"no such namespace, a number", &primatomicv1.DeleteKeyRequest{Key: "k", Namespace: "16"}, nil,
			codes.NotFound, "NO_NAMESPACE"},
		{"a number that no namespace can have", &primatomicv1.DeleteKeyRequest{Key: "k",
			Namespace: strings.Repeat("7", 129)}, nil, codes.InvalidArgument, "INVALID"},
		{"no namespace named", &primatomicv1.DeleteKeyRequest{Key: "k"}, nil, codes.InvalidArgument, "INVALID"},
		{"outcome unknown", get, answer(command.Uncertain), codes.DeadlineExceeded, "UNCERTAIN"},
		{"not applied", get, answer(command.NotApplied), codes.Unavailable, "NOT_APPLIED"},
		{"starting", get, answer(command.Loading), codes.Unavailable, "NOT_APPLIED"},
		{"namespace of another", &primatomicv1.CreateNamespaceRequest{Namespace: "n"},
			answer(command.NamespaceTaken), codes.AlreadyExists, "NAMESPACE_TAKEN"},
		{"not a string", get, answer(command.WrongType), codes.FailedPrecondition, "WRONG_TYPE"},
		{"value too large", get, answer(command.TooLarge), codes.InvalidArgument, "TOO_LARGE"},
		{"list too large", listing, answer(command.TooLarge), codes.ResourceExhausted, "LIST_TOO_LARGE"},
		{"list refused", listing, answer(command.NoPerm), codes.PermissionDenied, "NOT_PERMITTED"},
		{"two keys", &primatomicv1.GetKeyRequest{Key: "k", KeyBytes: []byte("l"), Namespace: "n"}, nil,
			codes.InvalidArgument, "INVALID"},
		{"two prefixes", &primatomicv1.ListKeysRequest{Prefix: "k", PrefixBytes: []byte("l"), Namespace: "n"}, nil,
			codes.InvalidArgument, "INVALID"},
		{"long prefix", &primatomicv1.ListKeysRequest{Prefix: strings.Repeat("k", 1025), Namespace: "n"}, nil,
			codes.InvalidArgument, "INVALID"},
		{"answer that is none", get, func(r *command.Reply) { r.Raw([]byte("?")) }, codes.Internal, "INTERNAL"},
		{"no answer", get, func(*command.Reply) {}, codes.Internal, "INTERNAL"},
		{"error without a code", get,
			func(r *command.Reply) { r.Raw([]byte("-ERR x\r\n")) }, codes.Internal, "INTERNAL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) { tc.answer(out) })
			_, err := call(t.Context(), f, tc.request)
			if status.Code(err) != tc.code || reasonOf(err) != tc.reason {
				t.Errorf("got %v, reason %q", err, reasonOf(err))
			}
		})
	}
}

func TestVerdictsAreTotal(t *testing.T) {
	reasons := make(map[string]codes.Code)
	for _, code := range command.Codes() {
		v, found := verdicts[code]
		if !found || v.code == codes.OK || v.reason == "" {
			t.Errorf("code %d (%s) has no verdict", code, code.Prefix())
		}
		if other, taken := reasons[v.reason]; taken && other != v.code {
			t.Errorf("reason %s stands for %v and %v", v.reason, other, v.code)
		}
		reasons[v.reason] = v.code
		notApplied := code == command.NotApplied || code == command.Loading
		if (v.reason == reasonNotApplied) != notApplied || (v.code == codes.Unavailable) != notApplied {
			t.Errorf("code %d (%s): %v must promise NOT_APPLIED exactly if it is true", code, code.Prefix(), v)
		}
		if (v.code == codes.DeadlineExceeded) != (code == command.Uncertain) {
			t.Errorf("code %d (%s): %v must say unknown exactly if it is", code, code.Prefix(), v)
		}
	}
	if len(verdicts) != len(command.Codes()) {
		t.Errorf("%d verdicts for %d codes", len(verdicts), len(command.Codes()))
	}
}

func TestNamespaceIsRemembered(t *testing.T) {
	dropped := false
	f := start(t, auth.Off(), func(_ context.Context, _ string, out *command.Reply) {
		if dropped {
			dropped = false
			out.Error(command.Errorf(command.NoNamespace, "gone"))
			return
		}
		out.OK()
	})
	put := func() error {
		_, err := f.client.PutKey(t.Context(), &primatomicv1.PutKeyRequest{Key: "k", Namespace: "n"})
		return err
	}
	for _, want := range [][]string{
		{"default > SELECT n", "default n> SET k "},
		{"default n> SET k "},
		{"default n> SET k ", "default n> SELECT n", "default n> SET k "}, // it was dropped and created again
		{"default n> SET k "},
	} {
		dropped = len(want) == 3
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f.taken()); diff != "" {
			t.Errorf("commands (-want +got):\n%s", diff)
		}
	}
}

func TestRememberedIsBounded(t *testing.T) {
	r := newRemembered()
	for i := range rememberedMax + 10 {
		r.put(ownedName{"c", fmt.Sprint(i)}, command.Selected{})
	}
	if n := len(r.names); n != rememberedMax {
		t.Errorf("%d namespaces are remembered", n)
	}
}

func TestLargestValuesPass(t *testing.T) {
	value := bytes.Repeat([]byte{7}, 16<<20)
	f := start(t, auth.Off(), func(_ context.Context, line string, out *command.Reply) {
		if strings.HasPrefix(line, "GET") {
			out.Bulk(value)
			return
		}
		out.Int(1)
	})
	key := strings.Repeat("k", 1024)
	got, err := f.client.GetKey(t.Context(), &primatomicv1.GetKeyRequest{Key: key, Namespace: "0"})
	if err != nil || !bytes.Equal(got.GetValue(), value) {
		t.Errorf("get: %d bytes, %v", len(got.GetValue()), err)
	}
	if _, err := f.client.CompareAndSwap(t.Context(), &primatomicv1.CompareAndSwapRequest{
		Key: key, Namespace: "0", Expected: value, NewValue: value,
	}); err != nil {
		t.Errorf("compare and swap: %v", err)
	}
}

func BenchmarkGetKey(b *testing.B) {
	s := &service{host: fakeHost{}, namespaces: newRemembered(), executor: benchExecutor{}}
	p, _ := auth.Off().Authenticate("", fakeHost{}.Now())
	ctx := context.WithValue(b.Context(), principalKey{}, p)
	q := &primatomicv1.GetKeyRequest{Key: "key", Namespace: "0"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.GetKey(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
}

type benchExecutor struct{}

func (benchExecutor) Do(_ context.Context, _ *command.Session, _ []command.Call, out *command.Reply) int {
	out.BulkString("value")
	return 1
}
