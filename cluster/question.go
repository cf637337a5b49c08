package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

// Nodes ask each other by transport.Introduce, in JSON: questions are few and small, and a node that does not belong
// to the cluster yet may ask one.

// questionVersion is that of the form of questions and answers.
const questionVersion = 1

// questionBytesMax bounds a question and an answer.
const questionBytesMax = 256 << 10

// askTimeout bounds a question, and serveTimeout what the leader does for one. The transport gives up after 5 s.
const (
	askTimeout   = 4 * time.Second
	serveTimeout = 3 * time.Second
)

// question is what one node asks another. One of the pointers is set.
type question struct {
	Version int               `json:"version"`
	Found   *foundingQuestion `json:"found,omitempty"`
	Invite  *invitation       `json:"invite,omitempty"`
	Hello   *struct{}         `json:"hello,omitempty"`

	// What follows is for the leader. A node that follows passes it on, in the name of Origin.
	Origin   *disk        `json:"origin,omitempty"`
	Join     *Member      `json:"join,omitempty"`
	Announce *Member      `json:"announce,omitempty"`
	Change   *adminChange `json:"change,omitempty"`
}

// forLeader reports whether the leader is to answer.
func (q *question) forLeader() bool { return q.Join != nil || q.Announce != nil || q.Change != nil }

// answer is what it gets. Refused says why it gets nothing else.
type answer struct {
	Version int             `json:"version"`
	Refused *Refusal        `json:"refused,omitempty"`
	Found   *foundingAnswer `json:"found,omitempty"`
	Invited *Member         `json:"invited,omitempty"` // who was invited
	Welcome *welcome        `json:"welcome,omitempty"`
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
		n.noteRefusal(from, &q, err)
		a = answer{Refused: verdictOf(err)}
	}
	a.Version = questionVersion
	return json.Marshal(a)
}

func (n *Node) answer(from transport.Remote, q *question) (answer, error) {
	switch {
	case q.Found != nil:
		found, err := n.answerFounder(from, q.Found)
		return answer{Found: found}, err
	case q.Invite != nil:
		return n.answerInvitation(from, q.Invite)
	case q.Hello != nil:
		return answer{}, nil
	case q.forLeader():
		return n.passOn(from, *q)
	}
	return answer{}, refuse(Refused, "this version does not know the question")
}

// passOn answers a question for the leader, or lets the leader answer it. It is passed on once: the word of a node
// that passes on is taken only from a member, and no leader passes on.
func (n *Node) passOn(from transport.Remote, q question) (answer, error) {
	asks := disk{uint64(from.Node), from.Incarnation}
	if q.Origin == nil {
		q.Origin = &asks
		return n.askLeader(n.ctx, q)
	}
	if !n.isPeer(asks) {
		return answer{}, refuse(Refused, "node %s is no member and cannot ask for others", ID(asks.Node))
	}
	return n.serve(n.ctx, &q)
}

// askLeader lets the leader answer: this node itself if it leads.
func (n *Node) askLeader(ctx context.Context, q question) (answer, error) {
	group := n.joined()
	if group == nil {
		return answer{}, refuse(TryAgain, "this node does not belong to a cluster yet")
	}
	s := group.Status()
	switch {
	case uint64(s.Leader) == n.self.Node:
		if q.Origin == nil {
			q.Origin = &n.self
		}
		return n.serve(ctx, &q)
	case s.Leader == 0:
		return answer{}, refuse(TryAgain, "no leader is known")
	}
	leader, ok := n.known(&s)[uint64(s.Leader)]
	if !ok {
		return answer{}, refuse(TryAgain, "the address of the leader, node %s, is not known", ID(uint64(s.Leader)))
	}
	_, a, err := n.ask(ctx, leader.Peer, q)
	return a, err
}

// serve answers as the leader, in bounded time.
func (n *Node) serve(ctx context.Context, q *question) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, serveTimeout)
	defer cancel()
	group := n.joined()
	if group == nil || group.Status().Role != raft.RoleLeader {
		return answer{}, refuse(TryAgain, "this node does not lead")
	}
	if q.Join != nil { // before the lock, because it may take its time
		if err := n.reach(ctx, q.Join); err != nil {
			return answer{}, err
		}
	}
	if !n.changing.TryLock() {
		return answer{}, refuse(TryAgain, "another change of the members is under way")
	}
	defer n.changing.Unlock()
	switch {
	case q.Join != nil:
		return n.admit(ctx, group, *q.Origin, *q.Join)
	case !n.isPeer(*q.Origin):
		return answer{}, refuse(Refused, "node %s is no member", ID(q.Origin.Node))
	case q.Announce != nil:
		return answer{}, n.settle(ctx, group, *q.Origin, *q.Announce)
	}
	return answer{}, n.carryOut(ctx, group, q.Change)
}
