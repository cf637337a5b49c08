package server

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/cluster"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/raft"
)

// fakeGroup is a raft group whose status the test chooses.
type fakeGroup struct {
	looked chan struct{} // gets a value with each look at the status, if somebody takes it
	mu     sync.Mutex
	status raft.Status
}

func (g *fakeGroup) Status() raft.Status {
	select {
	case g.looked <- struct{}{}:
	default:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// testCluster is a cluster of three as node 1 sees it, with the given matches of the others.
func testCluster(matches *[2]uint64, g *fakeGroup) *topology {
	return &topology{
		group: g, self: 1, clock: clock.System, Membership: loneMembership{},
		roster: func(s raft.Status) []command.Member {
			g.mu.Lock()
			defer g.mu.Unlock()
			return []command.Member{
				{ID: 1, Voter: true, Connected: true, Match: uint64(s.Last)},
				{ID: 2, Voter: true, Match: matches[0]},
				{ID: 3, Voter: true, Match: matches[1]},
				{ID: 4, Match: 1 << 40}, // a learner never counts
			}
		},
	}
}

func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		name    string
		leader  raft.ReplicaID
		matches [2]uint64
		wanted  int
		timeout time.Duration
		want    int
	}{
		{"all hold it", 1, [2]uint64{10, 12}, 2, 0, 2},
		{"more than there are", 1, [2]uint64{10, 12}, 9, 0, 2},
		{"one lags", 1, [2]uint64{10, 9}, 2, time.Millisecond, 1},
		{"one lags and nobody asks for it", 1, [2]uint64{10, 9}, 1, 0, 1},
		{"applied, so a majority holds it", 1, [2]uint64{0, 0}, 1, 0, 1},
		{"a follower knows no more than that", 2, [2]uint64{0, 0}, 2, 0, 1},
		{"nor does a node without a leader", 0, [2]uint64{0, 0}, 2, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &fakeGroup{status: raft.Status{Replica: 1, Leader: tt.leader, Applied: 10, Last: 11}}
			c := testCluster(&tt.matches, g)
			g.status.Voters = []raft.ReplicaID{1, 2, 3}
			c.majority = electorate{voters: g.status.Voters, since: 9}
			if got := c.Held(t.Context(), tt.wanted, tt.timeout); got != tt.want {
				t.Errorf("Held = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestHeldWaits: for the acknowledgement of what was applied at the call, whatever is applied later; for the end of
// the connection; and no longer once this node leads no more.
func TestHeldWaits(t *testing.T) {
	begin := func(ctx context.Context) (g *fakeGroup, matches *[2]uint64, answer chan int) {
		g = &fakeGroup{
			looked: make(chan struct{}), status: raft.Status{Replica: 1, Leader: 1, Applied: 10, Last: 11},
		}
		matches, answer = &[2]uint64{10, 9}, make(chan int, 1)
		c := testCluster(matches, g)
		go func() { answer <- c.Held(ctx, 2, 0) }()
		for range 3 {
			select {
			case got := <-answer:
				t.Fatalf("it did not wait, but answered %d", got)
			case <-g.looked:
			}
		}
		return g, matches, answer
	}
	t.Run("acknowledged", func(t *testing.T) {
		g, matches, answer := begin(t.Context())
		g.mu.Lock()
		matches[1], g.status.Applied = 10, 99
		g.mu.Unlock()
		if got := <-answer; got != 2 {
			t.Errorf("Held = %d", got)
		}
	})
	t.Run("closed", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, _, answer := begin(ctx)
		cancel()
		if got := <-answer; got != 1 {
			t.Errorf("Held = %d", got)
		}
	})
	t.Run("deposed", func(t *testing.T) {
		g, _, answer := begin(t.Context())
		g.mu.Lock()
		g.status.Leader = 2
		g.mu.Unlock()
		if got := <-answer; got != 1 {
			t.Errorf("Held = %d", got)
		}
	})
}

// TestHeldAcrossChanges: a majority of new voters need not hold what was committed before them, and that of a joint
// configuration is one of each half.
func TestHeldAcrossChanges(t *testing.T) {
	g := &fakeGroup{status: raft.Status{
		Replica: 1, Leader: 2, Applied: 10, Last: 11, Voters: []raft.ReplicaID{1, 2, 3},
	}}
	c := testCluster(&[2]uint64{}, g)
	expect := func(what string, want int) {
		t.Helper()
		if got := c.Held(t.Context(), 2, 0); got != want {
			t.Errorf("%s: Held = %d, want %d", what, got, want)
		}
	}
	expect("committed by who knows whom", 0)
	g.status.Applied, g.status.Last = 12, 12
	expect("committed by these voters", 1)
	g.status.Voters, g.status.Outgoing = []raft.ReplicaID{1, 2, 4}, []raft.ReplicaID{1, 2, 3}
	expect("committed before the change", 0)
	g.status.Applied, g.status.Last = 13, 13
	expect("committed by both halves, which share a majority", 1)
}

// TestReplicationID: one of a cluster, whichever node tells it, and not the cluster's id.
func TestReplicationID(t *testing.T) {
	a := replicationID(nodedb.Identity{Cluster: 1, Node: 1, Incarnation: 1, Process: 1})
	b := replicationID(nodedb.Identity{Cluster: 1, Node: 2, Incarnation: 2, Process: 9})
	c := replicationID(nodedb.Identity{Cluster: 2, Node: 1, Incarnation: 1, Process: 1})
	if a != b || a == c || len(a) != 40 {
		t.Errorf("ids of logs: %s, %s of one cluster, %s of another", a, b, c)
	}
}

// TestReplicationInfo: the leader says who follows and how far, a follower says whom it follows, and both name the
// same log.
func TestReplicationInfo(t *testing.T) {
	told := func(leader raft.ReplicaID) map[string]string {
		g := &fakeGroup{status: raft.Status{Replica: 1, Leader: leader, Applied: 10, Last: 11}}
		c := testCluster(&[2]uint64{9, 8}, g)
		c.log = "the log"
		roster := c.roster
		c.roster = func(s raft.Status) []command.Member {
			members := roster(s)
			members[1].RESP, members[1].Connected = command.Address{Host: "10.0.0.2", Port: 6379}, true
			members[3].RESP, members[3].Connected = command.Address{Host: "10.0.0.4", Port: 6379}, true
			return members
		}
		fields := map[string]string{}
		for _, f := range (&node{cluster: c}).replicationInfo() {
			fields[f.Name] = f.Value
		}
		return fields
	}
	for leader, want := range map[raft.ReplicaID]map[string]string{
		1: {
			"role": "master", "connected_slaves": "2", "master_host": "",
			"slave0": "ip=10.0.0.2,port=6379,state=online,offset=9,lag=0",
			"slave1": "ip=10.0.0.4,port=6379,state=send_bulk,offset=1099511627776,lag=0",
		},
		2: {
			"role": "slave", "master_host": "10.0.0.2", "master_port": "6379", "master_link_status": "up",
			"slave_repl_offset": "10", "connected_slaves": "0",
		},
		0: {"role": "slave", "master_host": "", "master_port": "0", "master_link_status": "down"},
	} {
		fields := told(leader)
		want["master_replid"], want["master_repl_offset"] = "the log", "10"
		for name, value := range want {
			if fields[name] != value {
				t.Errorf("leader %d: %s is %q, want %q", leader, name, fields[name], value)
			}
		}
	}
}

// TestRoster: clients are told who has a seat, and of the node itself the address at which they have come.
func TestRoster(t *testing.T) {
	seats := []cluster.Seat{
		{Member: cluster.Member{Node: 2, Name: "n2", RESP: "10.0.0.2:6379"}, Voter: true, Connected: true, Match: 7},
		{Member: cluster.Member{Node: 3, Name: "n3", RESP: "10.0.0.3:6379", GRPC: "g", Peer: "p"}, Match: 5},
		{Member: cluster.Member{Node: 4}, Voter: true},
	}
	got := roster(seats, 2, command.Address{Port: 6379})
	want := []command.Member{
		{ID: 2, Name: "n2", RESP: command.Address{Port: 6379}, Voter: true, Connected: true, Match: 7},
		{ID: 3, Name: "n3", RESP: command.Address{Host: "10.0.0.3", Port: 6379}, GRPC: "g", Peer: "p", Match: 5},
		{ID: 4, Voter: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roster (-want +got):\n%s", diff)
	}
}

func TestTold(t *testing.T) {
	for _, tt := range []struct{ advertise, listens, peer, want string }{
		{"a:1", "0.0.0.0:6379", "p:8379", "a:1"}, {"", "10.0.0.1:6379", "p:8379", "10.0.0.1:6379"},
		{"", "0.0.0.0:6379", "p:8379", "p:6379"}, {"", "[::]:6379", "p:8379", "p:6379"},
		{"", ":6379", "p:8379", "p:6379"}, {"", "0.0.0.0:6379", "", ""},
	} {
		if got := told(tt.advertise, tt.listens, tt.peer); got != tt.want {
			t.Errorf("told(%q, %q, %q) = %q", tt.advertise, tt.listens, tt.peer, got)
		}
	}
}

func TestChanged(t *testing.T) {
	for verdict, code := range map[cluster.Verdict]command.Code{
		cluster.Refused: command.Precondition, cluster.TryAgain: command.NotApplied,
		cluster.Uncertain: command.Uncertain, "": command.Uncertain,
	} {
		if got := changed(&cluster.Refusal{Verdict: verdict, Reason: "r"}); got.Code != code || got.Text != "r" {
			t.Errorf("%q becomes %+v", verdict, got)
		}
	}
	if changed(nil) != nil {
		t.Error("a change that was made is an error")
	}
}
