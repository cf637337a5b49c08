package store

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/raft"
)

// configuration is who votes and who learns. In a joint one the voters of before must agree, too.
type configuration struct{ voters, learners, outgoing string }

func configurationOf(s *raft.Status) configuration {
	text := func(replicas []raft.ReplicaID) string {
		var digits []string
		for _, r := range replicas {
			digits = append(digits, fmt.Sprint(uint64(r)))
		}
		return strings.Join(digits, " ")
	}
	return configuration{text(s.Voters), text(s.Learners), text(s.Outgoing)}
}

// quorums are the sets of nodes, as bits, that can decide in a configuration.
func (c configuration) quorums() []uint {
	var quorums []uint
	for set := range uint(1 << 5) {
		if decides(set, c.voters) && (c.outgoing == "" || decides(set, c.outgoing)) {
			quorums = append(quorums, set)
		}
	}
	return quorums
}

func decides(set uint, voters string) bool {
	all, in := strings.Fields(voters), 0
	for _, v := range all {
		if set&(1<<(v[0]-'0')) != 0 {
			in++
		}
	}
	return in > len(all)/2
}

// memberChange is a change of the members of a cluster of 1, 2 and 3, of which the victim is a follower. Node 4 is new.
type memberChange struct {
	name    string
	learner bool // node 4 is one before
	// changes are none if the victim is to lead, and nobody comes or goes.
	changes func(victim raft.ReplicaID) []raft.Change
	after   func(victim raft.ReplicaID) configuration
}

// without are the ids up to last without one.
func without(id, last raft.ReplicaID) string {
	var left []string
	for i := raft.ReplicaID(1); i <= last; i++ {
		if i != id {
			left = append(left, fmt.Sprint(uint64(i)))
		}
	}
	return strings.Join(left, " ")
}

var memberChanges = []memberChange{
	{
		name:    "a learner comes",
		changes: func(raft.ReplicaID) []raft.Change { return []raft.Change{{Kind: raft.AddLearner, Replica: 4}} },
		after:   func(raft.ReplicaID) configuration { return configuration{"1 2 3", "4", ""} },
	}, {
		name: "a learner gets a vote", learner: true,
		changes: func(raft.ReplicaID) []raft.Change { return []raft.Change{{Kind: raft.AddVoter, Replica: 4}} },
		after:   func(raft.ReplicaID) configuration { return configuration{"1 2 3 4", "", ""} },
	}, {
		name: "a voter goes", learner: true,
		changes: func(v raft.ReplicaID) []raft.Change { return []raft.Change{{Kind: raft.RemoveReplica, Replica: v}} },
		after:   func(v raft.ReplicaID) configuration { return configuration{without(v, 3), "4", ""} },
	}, {
		name: "a learner takes the place of a voter", learner: true,
		changes: func(v raft.ReplicaID) []raft.Change {
			return []raft.Change{{Kind: raft.AddVoter, Replica: 4}, {Kind: raft.RemoveReplica, Replica: v}}
		},
		after: func(v raft.ReplicaID) configuration { return configuration{without(v, 4), "", ""} },
	}, {
		name: "another leads", learner: true,
		changes: func(raft.ReplicaID) []raft.Change { return nil },
		after:   func(raft.ReplicaID) configuration { return configuration{"1 2 3", "4", ""} },
	},
}

// crashedChange is one change in which one node loses power at one operation of its disk.
type crashedChange struct {
	*trio
	change        *memberChange
	victim        raft.ReplicaID
	before, after configuration
	leaders       map[raft.Term]raft.ReplicaID
	from          raft.Index      // where the configuration is the one before
	sequence      []configuration // those that were applied anywhere behind it, in the order of the log
	left          *vfs.Mem        // the disk of the node that lost power; nil: it has not yet
	dead          *node
	acked         []string
	again         int // how often it was asked for again
}

var everyCrash = flag.Bool("every-crash", false, "TestMemberChangeCrashes: all crashes in all variants, no sample")

// TestMemberChangeCrashes ends each participant of each change before each operation of its disk that changes it, with
// a random part of what was not synced, while clients write. What it had sent last arrives or is lost; the others
// go on without it or wait; it comes back. In the end all have one configuration, the old one or the new one, and the
// new one if that was said; nobody who was removed comes back; what was acknowledged is there; and no term had two
// leaders.
func TestMemberChangeCrashes(t *testing.T) {
	for _, m := range memberChanges {
		t.Run(m.name, func(t *testing.T) {
			runs, again, joint := 0, 0, 0
			for _, who := range []string{"leader", "victim", "other", "newcomer"} {
				for at, more := 1, true; more; at++ {
					for variant := range 4 {
						mute, wait := variant%2 == 1, variant/2 == 1
						sampled := wait == (at%2 == 0) && (at <= muteMax || at%2 != len(who)%2)
						if mute && at > muteMax || !*everyCrash && !sampled {
							continue
						}
						x := m.crash(t, who, at, mute, wait)
						if t.Failed() {
							t.Fatalf("the %s lost power at operation %d, mute %v, waited for %v", who, at, mute, wait)
						}
						more = x.left != nil || mute && more // who is mute may not come to so many
						runs++
						again += x.again
						if slices.ContainsFunc(x.sequence, func(f configuration) bool { return f.outgoing != "" }) {
							joint++
						}
					}
				}
			}
			t.Logf("%d runs; in %d the change had to be asked for again, in %d it was joint", runs, again, joint)
			if runs < 15 || m.learner && len(m.changes(1)) > 0 && again == 0 {
				t.Error("too little to show anything")
			}
		})
	}
}

// muteMax is up to which operation nothing that the participant sends arrives before it loses power, and then is lost.
const muteMax = 2

// crash makes the change on a new cluster and ends a participant at an operation.
func (m *memberChange) crash(t *testing.T, who string, at int, mute, wait bool) (x *crashedChange) {
	inTrio(t, uint64(1+at%3), func(t *testing.T, c *trio) {
		x = newCrashedChange(t, c, m)
		x.run(who, at, mute, wait)
	}, func(n *node) { n.fs = vfs.NewMem(uint64(at)) })
	return x
}

func newCrashedChange(t *testing.T, c *trio, m *memberChange) *crashedChange {
	x := &crashedChange{trio: c, change: m, leaders: map[raft.Term]raft.ReplicaID{}}
	x.write("before")
	x.victim = c.followers()[0].id
	x.before = configuration{"1 2 3", "", ""}
	c.join(4)
	if m.learner {
		x.before.learners = "4"
		leader := c.leader()
		p := leader.group.StartConfChange(raft.Change{Kind: raft.AddLearner, Replica: 4})
		c.until("the learner is there", func() bool {
			return closed(p.Done()) && c.leader() == leader &&
				c.node(4).group.Status().Applied == leader.group.Status().Applied
		})
		leader.must(p.Err())
	}
	x.after = m.after(x.victim)
	x.from, x.sequence = c.leader().group.Status().Applied, []configuration{x.before}
	c.look = x.look
	return x
}

// look holds what the nodes tell of themselves against what may be.
func (x *crashedChange) look() {
	for _, n := range x.nodes {
		s := n.group.Status()
		if n == x.dead || n.fatal != nil {
			continue
		}
		if s.Role == raft.RoleLeader {
			if other, led := x.leaders[s.Term]; led && other != n.id {
				x.t.Errorf("nodes %d and %d have led term %d", other, n.id, s.Term)
			}
			x.leaders[s.Term] = n.id
		}
		if now := configurationOf(&s); s.Applied >= x.from && !slices.Contains(x.sequence, now) {
			x.sequence = append(x.sequence, now)
		}
	}
}

// write writes a key through all nodes that are up and notes what is acknowledged.
func (x *crashedChange) write(prefix string) {
	var open []*pendingDo
	var keys []string
	for _, n := range x.nodes {
		if n != x.dead && n.fatal == nil && n.id <= 3 {
			keys = append(keys, fmt.Sprintf("%s:%d", prefix, n.id))
			open = append(open, n.session().start("SET "+keys[len(keys)-1]+" v"))
		}
	}
	for range 80 {
		x.settle()
		if x.advance(5 * time.Millisecond); !slices.ContainsFunc(open, func(p *pendingDo) bool { return !p.ended }) {
			break
		}
	}
	for i, p := range open {
		if p.ended && p.answers(x.t) == "+OK " {
			x.acked = append(x.acked, keys[i])
		}
		p.cancel()
	}
}

// participant is the node that is to lose power.
func (x *crashedChange) participant(who string) *node {
	switch who {
	case "leader":
		return x.leader()
	case "victim":
		return x.node(x.victim)
	case "newcomer":
		return x.node(4)
	}
	i := slices.IndexFunc(x.followers(), func(n *node) bool { return n.id != x.victim })
	return x.followers()[i]
}

var errPower = errors.New("the power is gone")

// run makes the change and has a participant lose power at an operation, if there are so many.
func (x *crashedChange) run(who string, at int, mute, wait bool) {
	n := x.participant(who)
	ops := 0
	n.fs.SetHook(func(op vfs.Op) error {
		if !op.Kind.Changes() {
			return nil
		}
		if ops++; ops == at {
			x.left, x.dead = n.fs.Crash(), n
			if mute {
				x.wire.drop(n.id)
			}
		}
		if x.left != nil {
			return errPower
		}
		return nil
	})
	x.hold(n, mute)
	p := x.begin()
	x.write("meanwhile")
	if !wait {
		x.advance(3 * time.Second) // the others go on without it
	}
	x.hold(n, false)
	n.fs.SetHook(nil)
	made := closed(p.Done()) && p.Err() == nil
	if x.left != nil {
		n.kill()
		n.fs, n.fatal, x.dead = x.left, nil, nil
		n.open()
	}
	x.elect()
	x.advance(2 * time.Second)
	x.settled(made)
}

// hold keeps what a node sends on its way, or lets it go on.
func (x *crashedChange) hold(n *node, on bool) {
	for _, other := range x.nodes {
		x.wire.slow[[2]raft.ReplicaID{n.id, other.id}] = on
	}
}

// begin asks the leader for the change.
func (x *crashedChange) begin() *raft.Pending {
	if changes := x.change.changes(x.victim); changes != nil {
		return x.leader().group.StartConfChange(changes...)
	}
	return x.leader().group.StartTransfer(x.victim)
}

// settled checks what has come of it, and that the change can be made if it was not.
func (x *crashedChange) settled(made bool) {
	now := x.agreed()
	switch {
	case now != x.before && now != x.after:
		x.t.Errorf("the configuration is %+v, neither %+v nor %+v", now, x.before, x.after)
	case made && now != x.after:
		x.t.Errorf("the change was made, and the configuration is %+v", now)
	case now != x.after:
		x.again++
		p := x.askAgain()
		x.until("the change is made", func() bool { return closed(p.Done()) })
		x.advance(2 * time.Second)
		if now = x.agreed(); p.Err() != nil || now != x.after {
			x.t.Errorf("asked again: %v, the configuration is %+v", p.Err(), now)
		}
	}
	for i := range x.sequence[1:] {
		for _, a := range x.sequence[i].quorums() {
			for _, b := range x.sequence[i+1].quorums() {
				if a&b == 0 {
					x.t.Fatalf("%+v and %+v can decide apart", x.sequence[i], x.sequence[i+1])
				}
			}
		}
	}
	leader := x.elect()
	for _, key := range x.acked {
		if got := x.do(leader, "GET "+key); got != "$1 v " {
			x.t.Errorf("%s was acknowledged and is %q", key, got)
		}
	}
	if !strings.Contains(x.after.voters+x.after.learners, fmt.Sprint(uint64(x.victim))) {
		for _, kind := range []raft.ChangeKind{raft.AddLearner, raft.AddVoter} {
			p := leader.group.StartConfChange(raft.Change{Kind: kind, Replica: x.victim})
			x.settle()
			if !errors.Is(p.Err(), raft.ErrConfChangeInvalid) {
				x.t.Errorf("the removed node comes back: %v", p.Err())
			}
		}
	}
}

// askAgain asks for the change once more. The victim leads now, perhaps, and must not when it is to go.
func (x *crashedChange) askAgain() *raft.Pending {
	if leader := x.elect(); leader.id == x.victim {
		p := leader.group.StartTransfer(x.followers()[0].id)
		x.until("another leads", func() bool { return closed(p.Done()) && x.leader() != nil && x.leader() != leader })
	}
	return x.leader().group.StartConfChange(x.change.changes(x.victim)...)
}

// agreed waits until all who are in the leader's configuration have the same one and the same state, and returns it.
func (x *crashedChange) agreed() configuration {
	var now configuration
	x.until("all members agree", func() bool {
		leader := x.leader()
		if leader == nil {
			return false
		}
		s := leader.group.Status()
		now = configurationOf(&s)
		for _, n := range x.members(now) {
			other := n.group.Status()
			if configurationOf(&other) != now || other.Applied != s.Applied || other.Applied != s.Last {
				return false
			}
		}
		return now.outgoing == ""
	})
	want, err := x.leader().store.Verify()
	x.leader().must(err)
	for _, n := range x.members(now) {
		got, err := n.store.Verify()
		n.must(err)
		if got != want {
			x.t.Errorf("the state of node %d differs", n.id)
		}
	}
	return now
}

// members are the nodes in a configuration.
func (x *crashedChange) members(c configuration) []*node {
	var members []*node
	for _, n := range x.nodes {
		if strings.Contains(c.voters+" "+c.learners, fmt.Sprint(uint64(n.id))) {
			members = append(members, n)
		}
	}
	return members
}
