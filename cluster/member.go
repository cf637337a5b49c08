package cluster

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/primatomic/primatomic/raft"
)

// Member is what the members of a cluster know of one of them. It stands in the group's charter, in JSON, so fields
// may be added that older binaries do not know.
type Member struct {
	Node        uint64 `json:"node"`
	Incarnation uint64 `json:"incarnation"` // of its disk
	Name        string `json:"name"`
	Peer        string `json:"peer"`           // where its peers connect
	RESP        string `json:"resp,omitempty"` // where Redis clients connect; "": not told yet
	GRPC        string `json:"grpc,omitempty"` // where gRPC clients connect; "": nowhere, or not told yet
	// Replaces is the member whose place this one takes when it has caught up; 0: nobody's.
	Replaces uint64 `json:"replaces,omitempty"`
}

// ID writes the id of a node as people see it: 16 hexadecimal digits.
func ID(node uint64) string { return raft.ReplicaID(node).String() }

// parseID reads the id of a node, with any number of zeros in front.
func parseID(text string) (uint64, bool) {
	if len(text) > 40 {
		return 0, false
	}
	for len(text) > 16 && text[0] == '0' {
		text = text[1:]
	}
	id, err := strconv.ParseUint(text, 16, 64)
	return id, err == nil && id != 0
}

// check refuses a member that no correct node is.
func (m *Member) check() error {
	if m.Node == 0 || m.Node >= 1<<63 || m.Incarnation == 0 || m.Replaces >= 1<<63 || m.Replaces == m.Node {
		return errors.New("a member without a proper id")
	}
	if err := CheckName(m.Name); err != nil {
		return err
	}
	if err := CheckAddr(m.Peer); err != nil {
		return err
	}
	for _, addr := range []string{m.RESP, m.GRPC} {
		if addr == "" {
			continue
		}
		if err := CheckAddr(addr); err != nil {
			return err
		}
	}
	return nil
}

// disk is the member with its disk.
func (m *Member) disk() disk { return disk{m.Node, m.Incarnation} }

// settled is the form in which the charter has the member.
func (m *Member) settled() (raft.Member, error) {
	data, err := json.Marshal(m)
	return raft.Member{Replica: raft.ReplicaID(m.Node), Data: data}, err
}

// readMember reads what the charter says of a member.
func readMember(settled raft.Member) (Member, error) {
	var m Member
	if err := json.Unmarshal(settled.Data, &m); err != nil {
		return m, err
	}
	if m.Node != uint64(settled.Replica) {
		return m, errors.New("a member under another's id")
	}
	return m, m.check()
}
