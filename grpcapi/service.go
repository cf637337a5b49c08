package grpcapi

import (
	"bytes"
	"context"
	"strings"

	"github.com/primatomic/primatomic/command"
	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

// service answers the calls. It holds no state but what it remembers of namespaces.
type service struct {
	primatomicv1.UnimplementedKeyValueServer
	executor   command.Executor
	host       command.Host
	errors     *command.ErrorTally
	namespaces *remembered
}

// ok is the status of every reply: a call that failed has none.
var ok = &primatomicv1.Status{}

// session speaks in the name of the caller. It lives for one call.
func (s *service) session(ctx context.Context) *command.Session {
	return &command.Session{Host: s.host, Principal: principalOf(ctx), Proto: 2, Stale: staleOf(ctx)}
}

// run carries out one command and returns its answer.
func (s *service) run(
	ctx context.Context, session *command.Session, args ...[]byte,
) (command.Value, *command.Error) {
	calls := []command.Call{{Args: args}}
	out := command.NewReply(2, nil)
	out.CountErrors(s.errors)
	s.executor.Do(ctx, session, calls, out)
	answer, _, err := command.ParseValue(out.Bytes())
	switch {
	case err != nil:
		return answer, command.Errorf(command.Internal, "%v", err)
	case answer.Kind == command.KindError:
		_, text, _ := strings.Cut(string(answer.Bytes), " ")
		return answer, &command.Error{Code: out.Code(), Text: text}
	}
	return answer, nil
}

// runIn carries out one command in a namespace. A remembered namespace may have been dropped; then the
// command was answered without effect, and is carried out once more if the name has a new namespace.
func (s *service) runIn(
	ctx context.Context, namespace string, args ...[]byte,
) (command.Value, *command.Error) {
	session := s.session(ctx)
	owner := ownedName{session.Principal.Credential, namespace}
	if selected, known := s.namespaces.get(owner); known {
		session.Namespace = selected
		answer, err := s.run(ctx, session, args...)
		if err == nil || err.Code != command.NoNamespace {
			return answer, err
		}
		s.namespaces.forget(owner)
	}
	if _, err := s.run(ctx, session, word("SELECT"), []byte(namespace)); err != nil {
		return command.Value{}, notSelected(namespace, err)
	}
	s.namespaces.put(owner, session.Namespace)
	return s.run(ctx, session, args...)
}

// nameBytesMax bounds the name of a namespace.
const nameBytesMax = 128

// notSelected is the error of a SELECT that was refused. To Redis clients a number that names nothing is
// a malformed index; here it is a namespace that does not exist, like any other name.
func notSelected(namespace string, err *command.Error) *command.Error {
	possible := namespace != "" && len(namespace) <= nameBytesMax
	if err.Code == command.Invalid && possible && strings.Trim(namespace, "0123456789") == "" {
		return command.Errorf(command.NoNamespace, "no namespace is named %q", namespace)
	}
	return err
}

func word(s string) []byte { return []byte(s) }

// keyOf returns the key that a request names, as text or as bytes.
func keyOf(text string, raw []byte) ([]byte, *command.Error) {
	switch {
	case len(raw) == 0:
		return []byte(text), nil
	case text != "" && !bytes.Equal(raw, []byte(text)):
		return nil, command.Errorf(command.Invalid, "key and key_bytes differ: give one of them")
	}
	return raw, nil
}
