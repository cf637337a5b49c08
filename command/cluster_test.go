package command

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// fakeCluster is a cluster whose topology a script chooses and whose calls are written down.
type fakeCluster struct {
	topology Topology
	refusal  *Error // what calls of Membership answer
	calls    []string
}

func newFakeCluster() *fakeCluster {
	c := &fakeCluster{}
	c.see("lone")
	return c
}

// see puts the cluster into a state that is seen from the first of its nodes.
func (c *fakeCluster) see(state string) {
	lone := Member{ID: 0xa1, RESP: Address{Port: 6379}, GRPC: "127.0.0.1:7379", Voter: true, Connected: true, Match: 42}
	members := []Member{
		{ID: 0xa1, Name: "n1", RESP: Address{"10.0.0.1", 6379}, GRPC: "10.0.0.1:7379", Peer: "10.0.0.1:8379",
			Voter: true, Connected: true, Match: 42},
		{ID: 0xa2, Name: "n2", RESP: Address{"10.0.0.2", 6379}, GRPC: "10.0.0.2:7379", Peer: "10.0.0.2:8379",
			Voter: true, Connected: true},
		{ID: 0xa3, Name: "n3", RESP: Address{"fd00::3", 6379}, GRPC: "[fd00::3]:7379", Peer: "[fd00::3]:8379",
			Voter: true, Connected: true},
	}
	c.refusal = nil
	c.topology = Topology{
		Self: 0xa1, Leader: 0xa1, Term: 7, Log: "6c6f670000000000000000000000000000000001", Commit: 42, Applied: 42,
		Members: members,
	}
	t := &c.topology
	switch state {
	case "lone":
		t.Members = []Member{lone}
	case "leading":
		members[1].Match, members[2].Match = 42, 40
	case "leading-cut":
		members[1].Match, members[2].Match, members[2].Connected = 42, 11, false
	case "quarantined":
		members[1].Quarantined, members[1].ClockAhead = true, time.Hour
	case "following":
		t.Leader, t.Commit, t.Applied = 0xa2, 43, 41
	case "electing":
		t.Leader, members[1].Connected = 0, false
	case "joining":
		t.Leader, members[0].Voter = 0xa2, false
	case "joining-electing":
		t.Leader, members[0].Voter, members[1].Connected = 0, false, false
	case "unaddressed":
		members[1].RESP, members[2].RESP = Address{}, Address{}
		t.TLS = true
	case "refusing":
		c.refusal = &Error{Precondition, "two of three voters cannot be reached"}
	}
}

func (c *fakeCluster) Topology() Topology {
	t := c.topology
	t.Members = append([]Member(nil), t.Members...)
	return t
}

func (c *fakeCluster) Held(ctx context.Context, wanted int, timeout time.Duration) int {
	if ctx.Err() != nil {
		return -1
	}
	return min(wanted, c.topology.Voters()-1) + 10*int(timeout/time.Second)
}

func (c *fakeCluster) note(call string) *Error {
	c.calls = append(c.calls, call)
	return c.refusal
}

func (c *fakeCluster) Add(_ context.Context, addr string) *Error { return c.note("add " + addr) }
func (c *fakeCluster) Promote(_ context.Context, node string) *Error {
	return c.note("promote " + node)
}
func (c *fakeCluster) Transfer(_ context.Context, node string) *Error {
	return c.note("transfer " + node)
}

func (c *fakeCluster) Remove(_ context.Context, node string, force bool) *Error {
	if force {
		node += " by force"
	}
	return c.note("remove " + node)
}

func (c *fakeCluster) Replace(_ context.Context, old, with string) *Error {
	return c.note("replace " + old + " " + with)
}

func (c *fakeCluster) SetReads(_ context.Context, lease time.Duration) *Error {
	return c.note("reads " + lease.String())
}

// TestClusterScripts is TestSessionScripts for what depends on a cluster: "see" chooses the state of the cluster,
// and the calls of Membership that a "send" has made are printed behind its answers.
func TestClusterScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/cluster", func(t *testing.T, path string) {
		host := newFakeHost(testTokens())
		sessions := map[string]*Session{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			name := d.CmdArgs[0].Key
			switch d.Cmd {
			case "connect": // under a token
				sessions[name] = host.connect()
				host.send(sessions[name], "AUTH", name)
				return ""
			case "see":
				host.cluster.see(name)
				return ""
			case "send":
				out := transcript(t, host, sessions[name], d.Input)
				for _, call := range host.cluster.calls {
					out += "called: " + call + "\n"
				}
				host.cluster.calls = nil
				return out
			}
			d.Fatalf(t, "unknown directive %s", d.Cmd)
			return ""
		})
	})
}

// TestSlotOf compares with what Redis documents and what CLUSTER KEYSLOT of a Redis 7.0 answers.
func TestSlotOf(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "bar": 5061,
		"{user1000}.following": 3443, "{user1000}.followers": 3443,
		"user1000": 3443, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "{": 4092, "a{b": 13340,
		"\x00\xff": 7920,
	} {
		if got := slotOf([]byte(key)); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", key, got, want)
		}
	}
}

// TestFrontIsAMember: whatever is missing, a client is sent to a member or told of none.
func TestFrontIsAMember(t *testing.T) {
	var empty Topology
	if empty.front() != nil || len(empty.replicas()) != 0 {
		t.Error("a cluster without members has a front")
	}
	removed := Topology{Self: 9, Leader: 8, Members: []Member{{ID: 1, Voter: true, Connected: true}}}
	if front := removed.front(); front == nil || front.ID != 1 {
		t.Errorf("a removed node sends clients to %v", front)
	}
	fresh := Topology{Self: 1, Leader: 2, Members: []Member{
		{ID: 1, Voter: true, RESP: Address{Port: 6379}}, {ID: 2, Voter: true, Connected: true},
	}}
	if front := fresh.front(); front == nil || front.ID != 1 {
		t.Errorf("before it is known where the leader listens, clients are sent to %v", front)
	}
}
