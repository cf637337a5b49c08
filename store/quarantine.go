package store

import (
	"fmt"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/raft"
)

// A node whose state is wrong goes into quarantine, for good: it answers no read and no write, applies nothing, makes
// no checkpoint and gives the leadership away whenever it has it. Its log is sound, so it goes on voting and keeping
// entries for the others, until it is removed and joins again as a new node. A note beside the checkpoints keeps it
// so over restarts.

// errQuarantined answers what comes to a node in quarantine.
var errQuarantined = &command.Error{
	Code: command.NotApplied,
	Text: "not applied: this node's data differs from that of the other nodes, so it serves nothing; use another node",
}

// RebuildHelp tells people what to do about a node in quarantine.
func RebuildHelp(node uint64) string {
	return "rebuild it from the others: primatomic cluster remove " + nodeName(node) + ", keep a copy of its data " +
		"directory, empty the directory, and start the node with --join: it comes back as a new one. See Quarantine " +
		"in docs/OPERATIONS.md"
}

// asideInterval is how often a node in quarantine sees to it that it does not lead.
const asideInterval = 100 * time.Millisecond

// confessEvery is after how many of those it tells the others that it is in quarantine: they may have been started
// again since.
const confessEvery = 20

// halted reports whether nothing is applied any more.
func (s *Store) halted() bool { return s.failed.Load() || s.quarantined.Load() != nil }

// Quarantined reports whether this node's state was found to be wrong, by this process or an earlier one, and how.
func (s *Store) Quarantined() (reason string, yes bool) {
	if r := s.quarantined.Load(); r != nil {
		return *r, true
	}
	return "", false
}

// quarantine stops serving at once, because the state as of index is wrong.
func (s *Store) quarantine(index raft.Index) {
	reason := fmt.Sprintf("the state as of entry %d differs from that of a majority of the voters", index)
	if !s.quarantined.CompareAndSwap(nil, &reason) {
		return
	}
	s.checkpoints.cancel() // one that is being written holds what is wrong
	s.tellQuarantine(reason)
	s.digests.run(func() { s.standAside(false) })
}

func (s *Store) tellQuarantine(reason string) {
	s.logger.Error("this node is in quarantine and serves nothing: its data is wrong. The other nodes go on. "+
		"Its log grows from now on", "node", nodeName(s.node), "reason", reason, "help", RebuildHelp(s.node))
}

// standAside makes the quarantine durable, tells the others of it, and gives the leadership away whenever this node
// has it.
func (s *Store) standAside(noted bool) {
	last := uint64(0)
	for tries := 0; ; tries++ {
		noted = noted || s.noteQuarantine(tries == 0)
		if tries%confessEvery == 0 {
			s.confess()
		}
		if s.group.Status().Role == raft.RoleLeader {
			last = s.successor(last)
			s.giveAway(raft.ReplicaID(last))
		}
		if !s.rest(s.digests.ctx, asideInterval) {
			return
		}
	}
}

// confess tells the other nodes that this one is in quarantine.
func (s *Store) confess() {
	packet := newPacket(nil, packetQuarantine, uint64(s.group.Status().Term))
	for _, node := range s.members().all() {
		if node != s.node {
			_ = s.courier.Send(node, packet)
		}
	}
}

// takeConfession takes another node's word that it is in quarantine.
func (s *Store) takeConfession(from uint64) {
	if from == s.node { // nobody says that for this node
		return
	}
	members := s.members()
	s.digests.mu.Lock()
	first := s.digests.ballots.confess(from, members)
	s.digests.mu.Unlock()
	if first {
		s.logger.Error("a node is in quarantine, because its data is wrong", "node", nodeName(from),
			"help", RebuildHelp(from))
	}
}

// noteQuarantine notes the quarantine on the disk and reports whether it is there.
func (s *Store) noteQuarantine(tell bool) bool {
	reason, _ := s.Quarantined()
	err := checkpoint.Quarantine(s.checkpoints.dir, uint64(s.checkpoints.group), reason)
	if err != nil && tell {
		s.logger.Error("the quarantine cannot be noted on the disk, it is tried again: do not start this node again",
			"error", err)
	}
	return err == nil
}

// successor returns the voter after the last one that was tried.
func (s *Store) successor(last uint64) uint64 {
	first := uint64(0)
	for _, voter := range s.members().voters {
		if voter == s.node || s.knownWrong(voter) {
			continue
		}
		if voter > last {
			return voter
		}
		if first == 0 {
			first = voter
		}
	}
	return first
}

func (s *Store) knownWrong(node uint64) bool {
	s.digests.mu.Lock()
	defer s.digests.mu.Unlock()
	_, wrong := s.digests.ballots.told[node]
	return wrong
}

// giveAway gives the leadership to a voter. If that fails, the next one is tried soon.
func (s *Store) giveAway(to raft.ReplicaID) {
	if to == 0 {
		return
	}
	if err := s.group.Transfer(s.digests.ctx, to); err == nil {
		s.logger.Warn("in quarantine this node has given the leadership away", "successor", nodeName(uint64(to)))
	}
}
