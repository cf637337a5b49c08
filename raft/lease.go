package raft

import (
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// lease is a leader's right to answer reads from memory without asking anyone. It is granted by read
// rounds that a majority has answered, and counts from when the round was sent: whoever is elected
// afterwards was elected after that instant, and has no effect for longer than the lease lasts.
type lease struct {
	until time.Duration // boot clock; 0: there is none
	// barred is the sequence of the newest round that grants nothing, because it was sent before what
	// last took the lease away.
	barred uint64
	// allowedAt is the index up to which this replica must have applied to hold a lease: there is none
	// between append and apply of what changes the configuration or the reads, nor after a release
	// until a later entry is applied.
	allowedAt Index
}

// tenure is a replica's leadership of one term.
type tenure struct {
	term      Term
	electedAt time.Duration // boot clock, read after the election
	// succeeds: the entry before the first one of the term is a release, so that no lease is left.
	succeeds bool
	waited   bool // the leases of former leaders have ended
	announce bool // the term's SERVE entry is in the log
}

// beginTenure notes that this replica has come to lead a term.
func (g *Group) beginTenure(entries []*pb.Entry) {
	g.tenure = tenure{
		term:      Term(g.hard.Term),
		electedAt: g.host.clock.Boot(),
		succeeds:  g.followsRelease(entries),
	}
	g.lease = lease{barred: g.reads.seq}
	g.transfer.released = false
}

// followsRelease reports whether the entry before the first one of the new leader's term is a
// release. entries are those of the Ready that tells of the election.
func (g *Group) followsRelease(entries []*pb.Entry) bool {
	for i, e := range entries {
		if e.GetTerm() != g.hard.Term {
			continue
		}
		if i > 0 {
			return isKind(entries[i-1], hostRelease)
		}
		before := e.GetIndex() - 1
		found, err := g.storage.Entries(before, before+1, 0)
		return err == nil && isKind(found[0], hostRelease)
	}
	return false
}

// waitEnd returns the instant of the boot clock at which the leases of former leaders have ended. It
// holds once an entry of the leader's own term is applied: then all changes of the reads before are.
func (g *Group) waitEnd() time.Duration {
	if g.tenure.succeeds || g.lone() && g.charter.servedAlone(g.replica) {
		return 0
	}
	return g.tenure.electedAt + g.charter.Reads.wait()
}

// waits reports whether this replica leads and is ready to serve, but for the leases of others.
func (g *Group) waits() bool {
	return g.leads() && g.ownTerm == Term(g.hard.Term) && g.tenure.term == g.ownTerm && !g.tenure.waited
}

// takeOffice ends a new leader's wait, and then puts its SERVE entry into the log.
func (g *Group) takeOffice(now time.Duration) {
	if g.waits() && now >= g.waitEnd() {
		g.tenure.waited, g.want = true, true
		g.reads.issueAt = g.ticks - g.host.heartbeatTicks
	}
	if !g.serves() || g.tenure.announce {
		return
	}
	serve := hostEntry{kind: hostServe, term: g.tenure.term}
	serve.voters = append(replicas(g.conf.GetVoters()), replicas(g.conf.GetVotersOutgoing())...)
	g.tenure.announce = g.proposeHost(serve)
}

// announced reports whether this replica leads and has applied the SERVE entry of its term.
func (g *Group) announced() bool { return g.serves() && g.charter.Serving == g.tenure.term }

// noteAppended looks for entries that take the lease away from the moment they are in the log.
func (l *lease) noteAppended(entries []*pb.Entry) {
	for _, e := range entries {
		index := Index(e.GetIndex())
		switch {
		case e.GetType() != pb.EntryNormal, isKind(e, hostReads):
			l.allowedAt = index
		case isKind(e, hostRelease):
			l.allowedAt = index + 1
		}
	}
}

// mayLease reports whether this leader may hold a lease at all.
func (g *Group) mayLease() bool {
	return g.serves() && g.settled() && g.charter.Reads.Mode == ReadByLease
}

// settled reports whether nothing that takes the lease away is under way.
func (g *Group) settled() bool {
	return g.appliedIndex >= g.lease.allowedAt && len(g.conf.GetVotersOutgoing()) == 0
}

// grant prolongs the lease by a round that a majority has answered.
func (g *Group) grant(r readRound) {
	if g.mayLease() && r.term == g.tenure.term && r.seq > g.lease.barred {
		g.lease.until = max(g.lease.until, r.sent+g.charter.Reads.Lease)
	}
}

// boundLease takes the lease back if there may be none.
func (g *Group) boundLease() {
	if !g.mayLease() {
		g.lease.until, g.lease.barred = 0, g.reads.seq
	}
}

// renewalDue reports whether the lease asks for a round: one for each heartbeat.
func (g *Group) renewalDue() bool {
	return !g.lone() && g.ticks-g.reads.issueAt >= g.host.heartbeatTicks && g.mayLease()
}
