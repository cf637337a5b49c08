package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

type clusterCommand struct {
	Status   clusterStatusCommand   `cmd:"" help:"Show the members, who leads, and how far each has come."`
	Add      clusterAddCommand      `cmd:"" help:"Invite a node that waits at a peer address."`
	Promote  clusterPromoteCommand  `cmd:"" help:"Make a learner a voter."`
	Remove   clusterRemoveCommand   `cmd:"" help:"Remove a member for good."`
	Transfer clusterTransferCommand `cmd:"" help:"Let another voter lead."`
	Replace  clusterReplaceCommand  `cmd:"" help:"Let a new node take the place of a member."`
	Reads    clusterReadsCommand    `cmd:"" help:"Say how the leader serves reads: under a lease, or asking a majority."`
}

// cluster makes calls to the node's Cluster service. An error says what to do next.
func (f *dialFlags) cluster(fn func(ctx context.Context, c primatomicv1.ClusterClient) error) error {
	err := f.reach(func(ctx context.Context, conn *grpc.ClientConn) error {
		return fn(ctx, primatomicv1.NewClusterClient(conn))
	})
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	advice := f.advice(s)
	if advice != "" {
		advice = "\n  " + advice
	}
	return fmt.Errorf("%s: %s%s", s.Code(), s.Message(), advice)
}

// advice tells the next step after a call that has failed.
func (f *dialFlags) advice(s *status.Status) string {
	switch s.Code() {
	case codes.Unauthenticated:
		return "show a token with the scope admin: --token @FILE, made by primatomic token new --scope admin"
	case codes.PermissionDenied:
		return "the token needs the scope admin: primatomic token new --scope admin"
	case codes.DeadlineExceeded:
		return "it may have happened all the same: look at primatomic cluster status before you try again"
	case codes.Unimplemented:
		return "the node runs another version of primatomic than this command: use the binary that the node runs"
	case codes.Unavailable:
		if notApplied(s) {
			return "nothing was changed: look at primatomic cluster status, and try again when there is a leader"
		}
		return "no node answers at " + f.GrpcAddr + ": start it, or name another with --grpc-addr (and --tls, if it " +
			"speaks TLS). If this was a change, look at primatomic cluster status before you try again"
	}
	return ""
}

// notApplied reports whether the node said that certainly nothing happened.
func notApplied(s *status.Status) bool {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Reason == "NOT_APPLIED" {
			return true
		}
	}
	return false
}

type clusterStatusCommand struct {
	JSON bool `name:"json" help:"Print JSON, for programs."`
	dialFlags
}

// clusterState is what cluster status --json prints. Its names stay.
type clusterState struct {
	Node    string        `json:"node"`   // id of the node that answered
	Leader  string        `json:"leader"` // "": none is known
	Term    uint64        `json:"term"`
	Commit  uint64        `json:"commit"`
	Applied uint64        `json:"applied"`
	LeaseMs uint32        `json:"lease_ms"` // 0: reads ask a majority
	Members []memberState `json:"members"`
}

type memberState struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"` // learner, voter, leader
	Connected bool   `json:"connected"`
	Match     uint64 `json:"match"` // 0: not known
	// Quarantined: its data is known to be wrong, and it serves nothing.
	Quarantined bool `json:"quarantined"`
	// ClockAheadMs is not 0 if its wall clock is wrong; times to live do not go by it then.
	ClockAheadMs int64  `json:"clock_ahead_ms"`
	RESP         string `json:"resp"`
	GRPC         string `json:"grpc"`
	Peer         string `json:"peer"`
}

// Run prints what the node knows of its cluster.
func (c *clusterStatusCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		reply, err := client.Status(ctx, &primatomicv1.ClusterStatusRequest{})
		if err != nil {
			return err
		}
		state := newClusterState(reply)
		if c.JSON {
			out := json.NewEncoder(os.Stdout)
			out.SetIndent("", "  ")
			return out.Encode(state)
		}
		return state.print(os.Stdout)
	})
}

func newClusterState(reply *primatomicv1.ClusterStatusResponse) *clusterState {
	state := &clusterState{
		Node: reply.GetNode(), Leader: reply.GetLeader(), Term: reply.GetTerm(),
		Commit: reply.GetCommitIndex(), Applied: reply.GetAppliedIndex(), LeaseMs: reply.GetLeaseMs(),
		Members: []memberState{},
	}
	for _, m := range reply.GetMembers() {
		role := strings.ToLower(strings.TrimPrefix(m.GetRole().String(), "MEMBER_ROLE_"))
		state.Members = append(state.Members, memberState{
			ID: m.GetId(), Name: m.GetName(), Role: role, Connected: m.GetConnected(), Match: m.GetMatchIndex(),
			RESP: m.GetRespAddr(), GRPC: m.GetGrpcAddr(), Peer: m.GetPeerAddr(), Quarantined: m.GetQuarantined(),
			ClockAheadMs: m.GetClockAheadMs(),
		})
	}
	return state
}

// print writes the table for people.
func (s *clusterState) print(w io.Writer) error {
	leader, voters := "no leader is known", 0
	for _, m := range s.Members {
		if m.Role != "learner" {
			voters++
		}
		if m.ID == s.Leader {
			leader = "led by " + m.title()
		}
	}
	reads := "asking a majority"
	if s.LeaseMs > 0 {
		reads = fmt.Sprintf("under leases of %d ms", s.LeaseMs)
	}
	fmt.Fprintf(w, "%d members, %d voters, %s in term %d; committed %d, applied %d here\nreads are served %s\n\n",
		len(s.Members), voters, leader, s.Term, s.Commit, s.Applied, reads)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tID\tROLE\tSTATE\tLAG\tREDIS\tGRPC\tPEERS")
	for _, m := range s.Members {
		state, lag := "not heard of", "?"
		switch {
		case m.Quarantined:
			state = "quarantined"
		case m.ID == s.Node:
			state = "asked"
		case m.Connected:
			state = "connected"
		}
		if s.Leader == s.Node { // nobody else knows
			lag = fmt.Sprint(s.Commit - min(m.Match, s.Commit))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			dash(m.Name), m.ID, m.Role, state, lag, dash(m.RESP), dash(m.GRPC), dash(m.Peer))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, m := range s.Members {
		if m.Quarantined {
			fmt.Fprintf(w, "\n%s is in quarantine: its data is wrong, and it serves nothing. Rebuild it from the "+
				"others:\n  primatomic cluster remove %s, empty its data directory, and start it with --join\n",
				m.title(), m.title())
		}
		if ahead := time.Duration(m.ClockAheadMs) * time.Millisecond; ahead != 0 {
			how := "ahead of"
			if ahead < 0 {
				how = "behind"
			}
			fmt.Fprintf(w, "\nThe wall clock of %s is %v %s those of the others: set it right. Until then times to "+
				"live go by the others'\n", m.title(), ahead.Abs().Round(time.Second), how)
		}
		if m.ID == s.Leader && m.ID != s.Node {
			fmt.Fprintf(w, "\nHow far members lag is known to the leader: ask it with --grpc-addr %s\n", m.GRPC)
		}
	}
	return nil
}

// title names a member to people.
func (m *memberState) title() string {
	if m.Name != "" {
		return m.Name
	}
	return m.ID
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

type clusterAddCommand struct {
	PeerAddr string `arg:"" help:"HOST:PORT where the new node listens for peers."`
	dialFlags
}

// Run invites a node.
func (c *clusterAddCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.AddNode(ctx, &primatomicv1.AddNodeRequest{PeerAddr: c.PeerAddr})
		return told(err, "%s is a member, and becomes a voter when it has caught up: see primatomic cluster status",
			c.PeerAddr)
	})
}

type clusterPromoteCommand struct {
	Node string `arg:"" help:"Name or id of the learner."`
	dialFlags
}

// Run promotes a learner.
func (c *clusterPromoteCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.PromoteNode(ctx, &primatomicv1.PromoteNodeRequest{Node: c.Node})
		return told(err, "%s is a voter", c.Node)
	})
}

type clusterRemoveCommand struct {
	Node  string `arg:"" help:"Name or id of the member."`
	Force bool   `help:"Remove it even if the voters that can be reached are no majority of the rest: until one of them comes back nothing can be written."`
	dialFlags
}

// Run removes a member.
func (c *clusterRemoveCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.RemoveNode(ctx, &primatomicv1.RemoveNodeRequest{Node: c.Node, Force: c.Force})
		return told(err, "%s is no member any more, and never can be again under its id", c.Node)
	})
}

type clusterTransferCommand struct {
	Node string `arg:"" optional:"" help:"Name or id of the voter that is to lead; without it the one that lags least."`
	dialFlags
}

// Run lets another voter lead.
func (c *clusterTransferCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.TransferLeadership(ctx, &primatomicv1.TransferLeadershipRequest{Node: c.Node})
		who := c.Node
		if who == "" {
			who = "another voter"
		}
		return told(err, "%s leads", who)
	})
}

type clusterReplaceCommand struct {
	Old string `arg:"" help:"Name or id of the member that goes."`
	New string `arg:"" help:"Name, id or peer address of the node that comes."`
	dialFlags
}

// Run replaces a member.
func (c *clusterReplaceCommand) Run() error {
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.ReplaceNode(ctx, &primatomicv1.ReplaceNodeRequest{Old: c.Old, New: c.New})
		return told(err, "%s has taken the place of %s", c.New, c.Old)
	})
}

type clusterReadsCommand struct {
	Mode  string        `arg:"" enum:"lease,quorum" help:"lease: the leader asks a majority now and then, and serves reads from its memory in between. quorum: it asks for each read, which is slower and needs no bound on clocks."`
	Lease time.Duration `default:"300ms" help:"How long a lease lasts, from 10ms to 10s: a new leader waits that long before it serves."`
	dialFlags
}

// Run sets how reads are served.
func (c *clusterReadsCommand) Run() error {
	lease, how := c.Lease, fmt.Sprintf("under leases of %v", c.Lease)
	if c.Mode == "quorum" {
		lease, how = 0, "asking a majority"
	} else if lease < time.Millisecond || lease > time.Minute || lease%time.Millisecond != 0 {
		return fmt.Errorf("a lease of %v: it lasts whole milliseconds, from 10ms to 10s", lease)
	}
	return c.cluster(func(ctx context.Context, client primatomicv1.ClusterClient) error {
		_, err := client.SetReads(ctx, &primatomicv1.SetReadsRequest{LeaseMs: uint32(lease.Milliseconds())})
		return told(err, "reads are served %s", how)
	})
}

// told prints what has been done, unless it failed.
func told(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	if _, err = fmt.Printf(format+"\n", args...); err != nil {
		return errors.Join(errors.New("done, but it could not be printed"), err)
	}
	return nil
}
