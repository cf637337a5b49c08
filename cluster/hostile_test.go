package cluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
	"github.com/primatomic/primatomic/raft/transport"
)

func openDB(t testing.TB) *nodedb.DB {
	t.Helper()
	db, err := nodedb.Open(t.TempDir(), nodedb.Options{Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestRecordRefused: what node.db keeps of the cluster is used only if it is of a known form and makes sense.
func TestRecordRefused(t *testing.T) {
	for name, document := range map[string]string{
		"no JSON":              "{",
		"a later form":         `{"version":2,"name":"n1"}`,
		"an earlier form":      `{"name":"n1"}`,
		"no name":              `{"version":1}`,
		"a list without nodes": `{"version":1,"name":"n","founding":{"round":1}}`,
		"a list with a gap": `{"version":1,"name":"n","founding":{"sealed":true,` +
			`"founders":[{"name":"n","addr":"h:1"}]}}`,
		"a member without id": `{"version":1,"name":"n","members":[{"name":"n","peer":"h:1"}]}`,
	} {
		db := openDB(t)
		if err := db.Keep(documentName, []byte(document)); err != nil {
			t.Fatal(err)
		}
		if r, err := readRecord(db); !errors.Is(err, errRecord) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// quietGroup is a group that leads and agrees to everything.
type quietGroup struct {
	Group // panics if it is asked for what a question cannot ask for
	self  raft.ReplicaID
}

func (g quietGroup) Status() raft.Status {
	return raft.Status{
		Replica: g.self, Leader: g.self, Role: raft.RoleLeader, Term: 1, Last: 1,
		Voters: []raft.ReplicaID{g.self},
	}
}

func (quietGroup) ProposeMember(context.Context, raft.Member) error        { return nil }
func (quietGroup) ProposeConfChange(context.Context, ...raft.Change) error { return nil }
func (quietGroup) Transfer(context.Context, raft.ReplicaID) error          { return nil }
func (quietGroup) ProposeReads(context.Context, raft.Reads) error          { return nil }
func receiveNothing(raft.GroupID, transport.NodeID, *pb.Message) error     { return nil }
func dialNobody(context.Context, string) (net.Conn, error)                 { return nil, errors.New("nobody") }

// asked is the answer to a question; zero for what cannot be answered.
func asked(t testing.TB, n *Node, from transport.Remote, data []byte) answer {
	t.Helper()
	reply, err := n.introduced(from, data)
	var a answer
	if err == nil && json.Unmarshal(reply, &a) != nil {
		t.Fatalf("an answer that does not decode: %q", reply)
	}
	return a
}

// FuzzQuestion: whatever another node asks is answered or refused; and what a stranger asks changes nothing.
func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"hello":{}}`,
		`{"version":1,"found":{"name":"n1","to":"n2","flags":[{"name":"n1","addr":"h:1"}]}}`,
		`{"version":1,"invite":{"join":["h:1"],"replaces":7}}`,
		`{"version":1,"join":{"node":7,"incarnation":8,"name":"n7","peer":"h:7"}}`,
		`{"version":1,"origin":{"node":7,"incarnation":8},` +
			`"announce":{"node":7,"incarnation":8,"name":"n7","peer":"h:7"}}`,
		`{"version":1,"change":{"verb":"remove","node":1,"force":true}}`,
		`{"version":1,"change":{"verb":"replace","node":1,"new":2}}`,
		`{"version":1}`, `{"version":2}`, `{}`, ``,
	} {
		f.Add([]byte(seed))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	n, err := Open(Options{
		DB: openDB(f), Name: "n1", Listener: l, PeerAddr: l.Addr().String(), Dial: dialNobody, Receive: receiveNothing,
		Clock: clock.System, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(n.Close)
	n.group = quietGroup{self: raft.ReplicaID(n.self.Node)}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := asked(t, n, transport.Remote{Node: 7, Incarnation: 8}, data)
		var q question
		if json.Unmarshal(data, &q) == nil && q.Found == nil && q.Invite == nil && q.Hello == nil && a.Refused == nil &&
			a.Version != 0 {
			t.Fatalf("a stranger is not refused: %s", data)
		}
	})
}
