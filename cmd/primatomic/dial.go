package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// messageBytesMax leaves room for a value of 16 MiB and its frame.
const messageBytesMax = 32 << 20

// dialFlags say which node to talk to, and as whom.
type dialFlags struct {
	GrpcAddr string        `default:"127.0.0.1:7379" help:"gRPC address of the node."`
	Token    string        `help:"Token to show, or @FILE to read it from a file."`
	TLS      bool          `name:"tls" help:"Speak TLS."`
	TLSCA    string        `name:"tls-ca" type:"existingfile" help:"Authorities to trust, in PEM, instead of the system's; means --tls."`
	Timeout  time.Duration `default:"${timeout=5s}" help:"Give up after this long."`
}

// call makes one call to the node's KeyValue service.
func (f *dialFlags) call(fn func(ctx context.Context, kv primatomicv1.KeyValueClient) error) error {
	err := f.reach(func(ctx context.Context, conn *grpc.ClientConn) error {
		return fn(ctx, primatomicv1.NewKeyValueClient(conn))
	})
	if s, ok := status.FromError(err); ok && err != nil {
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}

// reach connects to the node for as long as fn runs, in the caller's name. Errors of calls are returned as they are.
func (f *dialFlags) reach(fn func(ctx context.Context, conn *grpc.ClientConn) error) error {
	transport, err := f.transport()
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(f.GrpcAddr,
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), f.Timeout)
	defer cancel()
	token, err := f.token()
	if err != nil {
		return err
	}
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return fn(ctx, conn)
}

func (f *dialFlags) token() (string, error) {
	path, isFile := strings.CutPrefix(f.Token, "@")
	if !isFile {
		return f.Token, nil
	}
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

func (f *dialFlags) transport() (credentials.TransportCredentials, error) {
	if f.TLSCA == "" {
		if f.TLS {
			return credentials.NewTLS(&tls.Config{}), nil
		}
		return insecure.NewCredentials(), nil
	}
	pem, err := os.ReadFile(f.TLSCA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("--tls-ca holds no certificate in PEM")
	}
	return credentials.NewTLS(&tls.Config{RootCAs: roots}), nil
}
