package server

import (
	"fmt"
	"time"

	"github.com/primatomic/primatomic/command"
)

// leaderInterval is how often a node looks who leads, for clients that listen.
const leaderInterval = 100 * time.Millisecond

// leaderWatch tells clients that listen as to a Redis Sentinel when another node leads.
type leaderWatch struct {
	cluster interface{ Topology() command.Topology }
	publish func(channel, message string)
	leader  uint64          // that was seen last; 0: none yet
	addr    command.Address // its
}

// look publishes a change since the last look. While no leader is known nothing has changed yet.
func (w *leaderWatch) look() {
	t := w.cluster.Topology()
	m := t.Member(t.Leader)
	if m == nil || !m.RESP.Known() || m.ID == w.leader && m.RESP == w.addr {
		return
	}
	before := w.addr
	known := w.leader != 0
	w.leader, w.addr = m.ID, m.RESP
	if !known {
		return
	}
	w.publish(command.SwitchMaster, fmt.Sprintf("%s %s %d %s %d",
		command.SentinelMaster, before.Host, before.Port, m.RESP.Host, m.RESP.Port))
	for i := range t.Members {
		follower := &t.Members[i]
		if follower.ID != m.ID && follower.Voter && follower.RESP.Known() {
			w.publish(command.FoundReplica, fmt.Sprintf("slave %s %s %d @ %s %s %d",
				follower.RESP, follower.RESP.Host, follower.RESP.Port,
				command.SentinelMaster, m.RESP.Host, m.RESP.Port))
		}
	}
}
