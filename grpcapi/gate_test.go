package grpcapi

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/auth"
	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// newAuthenticator verifies tokens of a fresh secret, and signs them.
func newAuthenticator(t *testing.T) (*auth.JWT, func(auth.Claims) string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(file, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := auth.NewJWT(auth.Options{KeyFiles: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	return j, func(c auth.Claims) string {
		token, err := auth.Sign(file, c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

func TestAuthentication(t *testing.T) {
	j, sign := newAuthenticator(t)
	f := start(t, j, answerOK)
	good := sign(auth.Claims{Credential: "acme", Expires: time.Now().Add(time.Hour)})
	old := sign(auth.Claims{Credential: "acme", Expires: time.Now().Add(-time.Hour)})
	for _, tc := range []struct {
		name   string
		values []string
		reason string
	}{
		{"good", []string{"Bearer " + good}, ""},
		{"scheme in lower case", []string{"bearer " + good}, ""},
		{"more spaces", []string{"Bearer   " + good + " "}, ""},
		{"none", nil, "NO_TOKEN"},
		{"empty", []string{"Bearer "}, "NO_TOKEN"},
		{"no scheme", []string{good}, "TOKEN_REFUSED"},
		{"other scheme", []string{"Basic " + good}, "TOKEN_REFUSED"},
		{"expired", []string{"Bearer " + old}, "TOKEN_REFUSED"},
		{"forged", []string{"Bearer " + good + "AAAA"}, "TOKEN_REFUSED"},
		{"two tokens", []string{"Bearer " + good, "Bearer " + old}, "TOKEN_REFUSED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.taken()
			ctx := t.Context()
			for _, value := range tc.values {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
			}
			_, err := f.client.PutKey(ctx, &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0"})
			if tc.reason == "" {
				if lines := f.taken(); err != nil || lines[len(lines)-1] != "acme 0> SET k " {
					t.Errorf("got %v, commands %q", err, lines)
				}
				return
			}
			if status.Code(err) != codes.Unauthenticated || reasonOf(err) != tc.reason || f.taken() != nil {
				t.Errorf("got %v, reason %s", err, reasonOf(err))
			}
		})
	}
}

func TestTokenIsCheckedBeforeTheMessageIsRead(t *testing.T) {
	j, _ := newAuthenticator(t)
	f := start(t, j, answerOK)
	over := &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0", Value: make([]byte, MessageBytesMax+1)}
	if _, err := f.client.PutKey(t.Context(), over); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

// The library answers these by itself, before our code is asked.
func TestMessageThatCannotBeRead(t *testing.T) {
	f := start(t, auth.Off(), answerOK)
	over := &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0", Value: make([]byte, MessageBytesMax+1)}
	if _, err := f.client.PutKey(t.Context(), over); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	broken := &primatomicv1.ListKeysRequest{}
	broken.ProtoReflect().SetUnknown([]byte{1<<3 | 2, 1, 0xff}) // field 1, one byte, not UTF-8
	if _, err := f.client.ListKeys(t.Context(), broken); status.Code(err) != codes.Internal {
		t.Errorf("not UTF-8: %v", err)
	}
	if lines := f.taken(); lines != nil {
		t.Errorf("commands were run: %q", lines)
	}
}

func TestPanicBecomesAnError(t *testing.T) {
	f := start(t, auth.Off(), func(_ context.Context, line string, out *command.Reply) {
		if strings.HasPrefix(line, "DEL") {
			panic("planted")
		}
		out.OK()
	})
	_, err := f.client.DeleteKey(t.Context(), &primatomicv1.DeleteKeyRequest{Key: "k", Namespace: "0"})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v", err)
	}
	_, err = f.client.PutKey(t.Context(), &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0"})
	if err != nil {
		t.Errorf("the server did not go on: %v", err)
	}
}

func TestDeadlineReachesTheExecutor(t *testing.T) {
	want := time.Now().Add(time.Hour)
	var got time.Time
	f := start(t, auth.Off(), func(ctx context.Context, _ string, out *command.Reply) {
		got, _ = ctx.Deadline()
		out.OK()
	})
	ctx, cancel := context.WithDeadline(t.Context(), want)
	defer cancel()
	if _, err := f.client.PutKey(ctx, &primatomicv1.PutKeyRequest{Key: "k", Namespace: "0"}); err != nil {
		t.Fatal(err)
	}
	if off := want.Sub(got).Abs(); off > time.Minute {
		t.Errorf("the executor's deadline is %v off", off)
	}
}
