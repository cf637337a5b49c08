package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/primatomic/primatomic/raft/transport"
)

// Nodes ask each other by transport.Introduce, in JSON: questions are few and small, and a node that does not belong
// to the cluster yet may ask one.

// questionVersion is that of the form of questions and answers.
const questionVersion = 1

// questionBytesMax bounds a question and an answer.
const questionBytesMax = 256 << 10

// question is what one node asks another. One of the pointers is set.
type question struct {
	Version int               `json:"version"`
	Found   *foundingQuestion `json:"found,omitempty"`
}

// answer is what it gets. Refused says why it gets nothing else.
type answer struct {
	Version int             `json:"version"`
	Refused *refusal        `json:"refused,omitempty"`
	Found   *foundingAnswer `json:"found,omitempty"`
}

// refusal is a no. It is an error on both sides.
type refusal struct {
	Reason string `json:"reason"`
	// Final: to ask again is useless.
	Final bool `json:"final,omitempty"`
}

func (r *refusal) Error() string { return r.Reason }

func refuse(final bool, format string, args ...any) *refusal {
	return &refusal{Reason: fmt.Sprintf(format, args...), Final: final}
}

// final reports whether an error is a refusal that asking again does not change.
func final(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.Final
}

var errQuestion = errors.New("a question or answer that does not decode")

// unmarshal decodes what another node has sent.
func unmarshal(data []byte, to any, version *int) error {
	if len(data) > questionBytesMax {
		return fmt.Errorf("%w: %d bytes", errQuestion, len(data))
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%w: %w", errQuestion, err)
	}
	if *version != questionVersion {
		return fmt.Errorf("%w: it has version %d, known is %d", errQuestion, *version, questionVersion)
	}
	return nil
}

// askTimeout bounds a question.
const askTimeout = 4 * time.Second

// ask asks the node at an address.
func (n *Node) ask(ctx context.Context, addr string, q question) (transport.Remote, answer, error) {
	q.Version = questionVersion
	data, err := json.Marshal(q)
	if err != nil {
		return transport.Remote{}, answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	remote, data, err := n.transport.Introduce(ctx, addr, data)
	if err != nil {
		return remote, answer{}, err
	}
	var a answer
	if err := unmarshal(data, &a, &a.Version); err != nil {
		return remote, a, err
	}
	if a.Refused != nil {
		return remote, a, a.Refused
	}
	return remote, a, nil
}

// introduced answers a question. It is called by the transport.
func (n *Node) introduced(from transport.Remote, data []byte) ([]byte, error) {
	var q question
	if err := unmarshal(data, &q, &q.Version); err != nil {
		return nil, err
	}
	a, err := n.answer(from, &q)
	if err != nil {
		n.noteRefusal(from, err)
		var r *refusal
		if !errors.As(err, &r) {
			r = refuse(false, "%v", err)
		}
		a = answer{Refused: r}
	}
	a.Version = questionVersion
	return json.Marshal(a)
}

func (n *Node) answer(from transport.Remote, q *question) (answer, error) {
	switch {
	case q.Found != nil:
		found, err := n.answerFounder(from, q.Found)
		return answer{Found: found}, err
	}
	return answer{}, refuse(true, "this version does not know the question")
}
