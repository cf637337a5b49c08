package sim

import (
	"cmp"
	"fmt"

	"github.com/primatomic/primatomic/raft"
)

// look checks what must hold of the nodes at any time.
func (w *world) look() error {
	if broken := cmp.Or(w.logs.broken, w.ledger.broken); broken != nil {
		return broken
	}
	served := raft.Term(0) // the last term whose leader may have shown an effect
	for _, n := range w.nodes {
		s := n.group.Status()
		if reason, yes := n.store.Quarantined(); yes {
			return fmt.Errorf("node %d is in quarantine: %s", n.id, reason)
		}
		if err := w.lookAtLeader(&s); err != nil {
			return err
		}
		served = max(served, s.Charter.Serving)
	}
	for _, n := range w.nodes {
		if s := n.group.Status(); s.Leased && s.Term < served {
			return fmt.Errorf("node %d holds a lease in term %d, and that of term %d serves", n.id, s.Term, served)
		}
	}
	return w.lookAtQueues()
}

// lookAtLeader checks that no term has two leaders.
func (w *world) lookAtLeader(s *raft.Status) error {
	if s.Role != raft.RoleLeader {
		return nil
	}
	if other, known := w.leaders[s.Term]; known && other != s.Replica {
		return fmt.Errorf("nodes %d and %d lead term %d", other, s.Replica, s.Term)
	}
	w.leaders[s.Term] = s.Replica
	return nil
}

// lookAtQueues checks that no node keeps more on its way than clients wait for.
func (w *world) lookAtQueues() error {
	asked := map[*node]int{}
	for _, s := range w.waiting {
		asked[s.node] += len(s.lines)
	}
	for _, n := range w.nodes {
		if writes, _ := n.store.Waiting(); writes > asked[n] {
			return fmt.Errorf("on node %d %d writes wait, of %d calls that clients wait for", n.id, writes, asked[n])
		}
	}
	return nil
}

// lookAtRest checks that nothing is left of calls that have all been answered.
func (w *world) lookAtRest() error {
	for _, n := range w.nodes {
		if writes, bytes := n.store.Waiting(); writes > 0 || bytes > 0 {
			return fmt.Errorf("nobody waits, but on node %d %d writes do, and %d bytes of calls", n.id, writes, bytes)
		}
	}
	return w.look()
}
