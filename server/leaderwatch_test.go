package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/primatomic/primatomic/command"
)

// fakeTopology shows a cluster of two whose leader the test chooses.
type fakeTopology struct{ leader uint64 }

func (f *fakeTopology) Topology() command.Topology {
	return command.Topology{Self: 1, Leader: f.leader, Members: []command.Member{
		{ID: 1, Voter: true, RESP: command.Address{Host: "10.0.0.1", Port: 1}},
		{ID: 2, Voter: true, RESP: command.Address{Host: "10.0.0.2", Port: 2}},
		{ID: 3, Voter: true}, // its address is not known
		{ID: 4, RESP: command.Address{Host: "10.0.0.4", Port: 4}},
	}}
}

// TestLeaderWatch: a change is told once, whether or not there was no leader in between.
func TestLeaderWatch(t *testing.T) {
	var told []string
	cluster := &fakeTopology{}
	w := &leaderWatch{cluster: cluster, publish: func(channel, message string) {
		told = append(told, channel+": "+message)
	}}
	for _, leader := range []uint64{0, 1, 1, 0, 1, 0, 2, 2, 3, 2, 1} {
		cluster.leader = leader
		w.look()
	}
	want := []string{
		"+switch-master: mymaster 10.0.0.1 1 10.0.0.2 2",
		"+slave: slave 10.0.0.1:1 10.0.0.1 1 @ mymaster 10.0.0.2 2",
		"+switch-master: mymaster 10.0.0.2 2 10.0.0.1 1",
		"+slave: slave 10.0.0.2:2 10.0.0.2 2 @ mymaster 10.0.0.1 1",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
