package raft

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// turn steps everything that has come for the group, takes proposals, and hands out at most
// one Ready. Only the shard calls it.
func (g *Group) turn(now time.Duration) {
	defer g.endOnReadError()
	g.again = false
	g.inbox.take(&g.mail)
	g.stepCompletions()
	g.stepMessages()
	if g.host.failed() {
		return
	}
	g.want = g.want || g.mail.notified
	if g.tickDue {
		g.tickDue = false
		g.ticks++
		g.node.Tick()
		g.showPeers()
		g.followSnapshots()
		g.leaveSlowDisk()
	}
	g.reportLost()
	g.campaignAlone()
	g.takeOffice(now)
	g.takeOrders()
	g.takeOffer()
	g.mail.reset()
	g.startRead()
	asked := g.propose()
	g.handOut()
	g.reads.finish(g.appliedIndex)
	if g.appliedIndex >= g.replayEnd && !g.caughtUp {
		g.caughtUp = true
		g.applier.catchUp()
	}
	g.setWake(now, asked)
}

// takeOrders begins what this process has asked for.
func (g *Group) takeOrders() {
	g.followTransfer()
	if order := g.mail.change; order != nil {
		g.proposeConfChange(order)
	}
	if order := g.mail.reads; order != nil {
		g.proposeReads(order)
	}
	if order := g.mail.member; order != nil {
		g.proposeMember(order)
	}
	if order := g.mail.transfer; order != nil {
		g.beginTransfer(order)
	}
}

// endOnReadError ends the host if the library has panicked with a failed read of the log.
func (g *Group) endOnReadError() {
	switch r := recover().(type) {
	case nil:
	case *readError:
		g.host.fail(r)
	default:
		panic(r)
	}
}

// stepCompletions gives the library what the writer and the apply worker have done.
func (g *Group) stepCompletions() {
	for i := range g.mail.appended {
		if done := &g.mail.appended[i]; !g.hold(done) {
			g.stepAppended(done)
		}
	}
	if done := g.mail.install; done != nil {
		g.finishInstall(done)
	}
	if e := g.mail.conf; e != nil {
		g.applyConfChange(e)
	}
	for i := range g.mail.applied {
		done := &g.mail.applied[i]
		if done.charter.Serving != g.charter.Serving { // who was asked before may not have been ready to answer
			g.reads.interrupt()
		}
		g.appliedIndex = done.index
		g.setCharter(done.charter)
		g.unappliedBytes = max(0, g.unappliedBytes-done.bytes)
		if g.leads() && done.last == Term(g.hard.Term) {
			g.ownTerm = done.last
		}
		g.step(done.response)
		g.stepped.Store(uint64(done.index))
		g.settleConfChange(done)
		g.settleReads(done)
		g.settleMember(done)
	}
}

// stepAppended gives the library what follows from a durable append.
func (g *Group) stepAppended(done *appendDone) {
	g.appends--
	g.noteDone()
	if done.entries {
		g.entryAppends--
	}
	if len(done.outbound) > 0 {
		g.host.transport.Send(g.id, done.outbound)
	}
	for _, m := range done.responses {
		g.step(m)
	}
}

// turnEntriesMax bounds the entries of one append, far below what the log takes in a record.
const turnEntriesMax = 1 << 16

// stepMessages gives the library what peers have sent, until there are entries enough for one
// append. While too many appends are under way nothing is stepped, and the inbox fills up.
func (g *Group) stepMessages() {
	if g.standsStill() {
		return
	}
	if len(g.backlog) == 0 {
		g.messages = g.inbox.takeMessages(g.messages)
		g.backlog = g.messages
	}
	entries := 0
	for len(g.backlog) > 0 && entries < turnEntriesMax {
		m := g.backlog[0]
		g.backlog[0] = nil
		g.backlog = g.backlog[1:]
		if err := g.checkCommit(m); err != nil {
			g.host.fail(err)
			return
		}
		if m.GetType() == pb.MsgReadIndex && (!g.serves() || !g.stillLeads() || g.answerLeased(m)) {
			continue
		}
		if m.GetType() == pb.MsgSnap {
			g.heedSnapshot(m)
			continue
		}
		entries += len(m.GetEntries())
		g.reads.noteStamp(m, g.hard.Term)
		g.step(m)
	}
	g.again = g.again || len(g.backlog) > 0
}

// stillLeads reports whether the library has not stepped down in this turn: it would pass a peer's
// question on in the peer's name.
func (g *Group) stillLeads() bool {
	s := g.node.BasicStatus()
	return s.RaftState == etcdraft.StateLeader && s.GetTerm() == g.hard.Term
}

// standsStill reports whether the writer has so much of the group that no Ready is taken.
func (g *Group) standsStill() bool { return g.appends >= g.limits.AppendsInflightMax }

// checkCommit finds out whether a leader knows an entry of ours as durable that we do not have.
func (g *Group) checkCommit(m *pb.Message) error {
	_, last := g.storage.bounds()
	if m.GetType() != pb.MsgHeartbeat || m.GetTerm() < g.hard.Term || m.GetCommit() <= uint64(last) {
		return nil
	}
	return fmt.Errorf("%w: group %d: the leader of term %d knows entry %d as acknowledged by this replica, "+
		"but the log ends at %d: the log has lost entries, rebuild this replica under a new id",
		ErrGroupState, g.id, m.GetTerm(), m.GetCommit(), last)
}

// step gives one message to the library. Its errors tell of messages that a network may
// produce at any time: late responses of removed replicas, proposals refused.
func (g *Group) step(m *pb.Message) {
	if err := g.node.Step(m); err != nil {
		g.logger().Debug("message not stepped", slog.Any("error", err))
	}
}

// campaignAlone makes a lone voter a candidate without waiting for an election timeout, as soon
// as everything known as committed is applied: the library refuses while a configuration change
// might be among it.
func (g *Group) campaignAlone() {
	if !g.campaign || uint64(g.appliedIndex) < g.hard.Commit {
		return
	}
	g.campaign = false
	if !g.lone() {
		return
	}
	if err := g.node.Campaign(); err != nil {
		g.logger().Warn("the lone voter cannot campaign yet", slog.Any("error", err))
	}
}

// proposalScratch is the message of the proposal in work; the library copies the entries.
type proposalScratch struct {
	entries []*pb.Entry
	spare   []*pb.Entry
}

// propose asks the proposer for payloads and steps them as one message. It reports whether the
// proposer was asked.
func (g *Group) propose() bool {
	term := Term(g.hard.Term)
	if g.want && g.follows() {
		g.want = g.proposer.Forward(term, g.leader)
		return false
	}
	if !g.want || !g.mayPropose() {
		return false
	}
	payloads := g.proposer.Take(term, g.limits.ProposalBytesMax)
	if len(payloads) == 0 {
		g.want = false
		return true
	}
	if len(payloads) > turnEntriesMax {
		panic(fmt.Sprintf("raft: the proposer gave %d payloads at once", len(payloads)))
	}
	err := g.node.Step(&pb.Message{
		Type:    pb.MsgProp.Enum(),
		From:    new(uint64(g.replica)),
		Entries: g.proposal.fill(payloads),
	})
	g.proposal.release()
	if err != nil {
		if !errors.Is(err, etcdraft.ErrProposalDropped) {
			panic(fmt.Sprintf("raft: unexpected error of a proposal: %v", err))
		}
		g.refusedAt = g.ticks
		g.proposer.Dropped(term, payloads)
		return true
	}
	for _, p := range payloads {
		g.unappliedBytes += len(p)
	}
	return true
}

// mayPropose reports whether the proposer may be asked now. What has been proposed is bounded
// here, where the proposer just waits, and not by the library, which would refuse.
func (g *Group) mayPropose() bool {
	refused := g.refusedAt != 0 && g.refusedAt == g.ticks
	return g.serves() && !refused && !g.transferring() && g.entryAppends < g.limits.ProposalsInflightMax &&
		g.unappliedBytes < g.limits.UnappliedBytesMax
}

func (s *proposalScratch) fill(payloads [][]byte) []*pb.Entry {
	for len(s.spare) < len(payloads) {
		s.spare = append(s.spare, new(pb.Entry))
	}
	s.entries = append(s.entries[:0], s.spare[:len(payloads)]...)
	for i, p := range payloads {
		if len(p) > 0 && p[0] == hostMark {
			panic("raft: the proposer gave a payload that begins like a host entry")
		}
		s.entries[i].Data = p
	}
	return s.entries
}

func (s *proposalScratch) release() {
	for _, e := range s.entries {
		e.Data = nil
	}
}

// handOut publishes the group's state and hands out a Ready: messages to peers at once, appends
// to the writer, committed entries to the apply worker.
func (g *Group) handOut() {
	if g.standsStill() {
		g.followStatus()
		g.publish()
		return
	}
	if !g.node.HasReady() {
		g.publish()
		return
	}
	rd := g.node.Ready()
	before := g.hard
	g.follow(&rd)
	g.followSnapshot(&rd)
	g.publish()
	outbound := rd.Messages
	for n := len(outbound); n > 0 && etcdraft.IsLocalMsgTarget(outbound[n-1].GetTo()); n-- {
		outbound = outbound[:n-1]
	}
	if len(outbound) > 0 {
		g.stampReads(outbound)
		g.host.transport.Send(g.id, outbound)
	}
	for _, m := range rd.Messages[len(outbound):] {
		if m.GetTo() == etcdraft.LocalAppendThread {
			g.handOutAppend(m, before.Term != g.hard.Term || before.Vote != g.hard.Vote)
		} else {
			g.handOutApply(m)
		}
	}
}

// follow takes over what a Ready tells of this replica: role, hard state, lease and read indexes.
func (g *Group) follow(rd *etcdraft.Ready) {
	if s := rd.SoftState; s != nil {
		g.setRole(ReplicaID(s.Lead), roleOf(s.RaftState))
	} else if g.ahead {
		s := g.node.BasicStatus()
		g.setRole(ReplicaID(s.Lead), roleOf(s.RaftState))
	}
	g.ahead = false
	if h := rd.HardState; !etcdraft.IsEmptyHardState(h) {
		g.hard.Term, g.hard.Vote, g.hard.Commit = h.GetTerm(), h.GetVote(), h.GetCommit()
	}
	if g.leads() {
		if g.tenure.term != Term(g.hard.Term) {
			g.beginTenure(rd.Entries)
		}
		g.lease.noteAppended(rd.Entries)
	}
	for i := range rd.ReadStates {
		g.confirm(&rd.ReadStates[i])
	}
}

// followStatus takes the role from the library while no Ready is taken: a leader that was
// deposed must stop serving even if the disk stands still.
func (g *Group) followStatus() {
	s := g.node.BasicStatus()
	if s.GetTerm() != g.hard.Term || roleOf(s.RaftState) != g.role {
		g.setRole(ReplicaID(s.Lead), RoleFollower)
		g.ahead = true
	}
}

func (g *Group) setRole(leader ReplicaID, role Role) {
	if leader != g.leader || role != g.role {
		g.reads.interrupt()
		g.unappliedBytes = 0
	}
	g.leader, g.role = leader, role
	g.want, g.again = true, true
}

// handOutAppend gives a MsgStorageAppend to the writer. voted: term or vote have changed.
func (g *Group) handOutAppend(m *pb.Message, voted bool) {
	var mark *wal.SnapshotMark
	if s := m.GetSnapshot(); s != nil {
		mark = &wal.SnapshotMark{Index: s.GetMetadata().GetIndex(), Term: s.GetMetadata().GetTerm()}
		g.storage.restore(mark.Index, mark.Term)
	}
	entries := m.GetEntries()
	g.storage.append(entries)
	g.appends++
	g.noteHandedOut()
	if len(entries) > 0 {
		g.entryAppends++
	}
	g.host.writer.enqueue(appendOrder{
		group:     g,
		hard:      g.hard,
		entries:   entries,
		write:     len(entries) > 0 || m.Term != nil || mark != nil,
		mandatory: len(entries) > 0 || voted || mark != nil,
		responses: m.GetResponses(),
		mark:      mark,
	})
}

// handOutApply gives a MsgStorageApply to the apply worker.
func (g *Group) handOutApply(m *pb.Message) {
	g.handedOut = Index(m.GetEntries()[len(m.GetEntries())-1].GetIndex())
	g.applier.enqueue(applyOrder{
		tag:      Term(g.hard.Term),
		leads:    g.leads(),
		entries:  m.GetEntries(),
		response: m.GetResponses()[0],
	})
}

// wakeAgainMin keeps a proposer from being asked in a loop: one that wants to be asked at an
// instant that has passed, but has nothing when it is, is asked again after this long.
const wakeAgainMin = time.Millisecond

// setWake notes when the proposer wants to be asked.
func (g *Group) setWake(now time.Duration, asked bool) {
	g.wakeAtSet = false
	if g.waits() {
		g.wakeAt, g.wakeAtSet = g.waitEnd(), true
		return
	}
	if g.want || !g.serves() {
		return
	}
	g.wakeAt, g.wakeAtSet = g.proposer.WakeAt()
	if asked {
		g.wakeAt = max(g.wakeAt, now+wakeAgainMin)
	}
}

// moreToDo reports whether the group wants another turn although nothing new has come.
func (g *Group) moreToDo() bool {
	return g.again || g.want && g.mayPropose()
}
