package grpcapi

import (
	"fmt"

	"github.com/primatomic/primatomic/command"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errorDomain is the domain of every ErrorInfo.
const errorDomain = "primatomic"

// Reasons that clients act on.
const (
	reasonNotApplied = "NOT_APPLIED" // certainly nothing happened: send it again
	reasonLongList   = "LIST_TOO_LARGE"
)

// verdict is how a failed call is answered: a gRPC code, and the reason in its ErrorInfo.
type verdict struct {
	code   codes.Code
	reason string
}

// verdicts holds every code of package command. An unknown outcome is DEADLINE_EXCEEDED and nothing
// else: clients do not resend after it.
var verdicts = map[command.Code]verdict{
	command.Invalid:        {codes.InvalidArgument, "INVALID"},
	command.WrongType:      {codes.FailedPrecondition, "WRONG_TYPE"},
	command.NoKey:          {codes.NotFound, "NO_KEY"},
	command.NoNamespace:    {codes.NotFound, "NO_NAMESPACE"},
	command.NamespaceTaken: {codes.AlreadyExists, "NAMESPACE_TAKEN"},
	command.NoAuth:         {codes.Unauthenticated, "NO_TOKEN"},
	command.WrongPass:      {codes.Unauthenticated, "TOKEN_REFUSED"},
	command.NoPerm:         {codes.PermissionDenied, "NOT_PERMITTED"},
	command.NoProto:        {codes.InvalidArgument, "NO_PROTOCOL"},
	command.ExecAbort:      {codes.Aborted, "ABORTED"},
	command.Quota:          {codes.ResourceExhausted, "QUOTA"},
	command.TooLarge:       {codes.InvalidArgument, "TOO_LARGE"},
	command.OutOfMemory:    {codes.ResourceExhausted, "OUT_OF_MEMORY"},
	command.DiskFull:       {codes.ResourceExhausted, "DISK_FULL"},
	command.NotApplied:     {codes.Unavailable, reasonNotApplied},
	command.Loading:        {codes.Unavailable, reasonNotApplied},
	command.Uncertain:      {codes.DeadlineExceeded, "UNCERTAIN"},
	command.Precondition:   {codes.FailedPrecondition, "PRECONDITION"},
	command.NoQuorum:       {codes.FailedPrecondition, "NO_QUORUM"},
	command.NoReplica:      {codes.FailedPrecondition, "NO_REPLICA"},
	command.Unsupported:    {codes.Unimplemented, "UNSUPPORTED"},
	command.Internal:       {codes.Internal, "INTERNAL"},
}

// refusal makes the gRPC error for an error of package command.
func refusal(err *command.Error) error {
	v, ok := verdicts[err.Code]
	if !ok {
		v = verdicts[command.Internal]
	}
	return v.err(err.Text)
}

func refusef(code command.Code, format string, args ...any) error {
	return refusal(&command.Error{Code: code, Text: fmt.Sprintf(format, args...)})
}

func (v verdict) err(text string) error {
	s, err := status.New(v.code, text).WithDetails(&errdetails.ErrorInfo{Reason: v.reason, Domain: errorDomain})
	if err != nil {
		return status.Error(v.code, text)
	}
	return s.Err()
}
