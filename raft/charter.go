package raft

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ReadMode tells how a leader of several voters answers reads.
type ReadMode uint8

// The read modes. They stand in logs and checkpoints.
const (
	// ReadByLease: from memory, while the leader holds a lease.
	ReadByLease ReadMode = 1
	// ReadByQuorum: a majority is asked, once for all reads that wait.
	ReadByQuorum ReadMode = 2
)

// Reads says how the reads of a group are served. It is a setting of the whole group, changed only
// through its log: replicas that disagreed on it would break each other's leases.
type Reads struct {
	Mode ReadMode
	// Lease is how long after its round was sent a lease ends, by the leader's clock. It is kept in
	// whole milliseconds, at most LeaseMax.
	Lease time.Duration
}

// Bounds of Reads.Lease.
const (
	LeaseMin = 10 * time.Millisecond
	LeaseMax = 10 * time.Second
)

// DefaultReads is what a group begins with.
var DefaultReads = Reads{Mode: ReadByLease, Lease: 300 * time.Millisecond}

// clockSlack is what a new leader waits beyond the lease: clocks may run up to 1.2 times as fast as
// each other, and are read in steps.
func clockSlack(lease time.Duration) time.Duration { return lease/5 + 10*time.Millisecond }

// wait is how long after its election a new leader has no effect, so that all leases of former
// leaders have ended.
func (r Reads) wait() time.Duration {
	if r.Mode == ReadByQuorum {
		return 0
	}
	return r.Lease + clockSlack(r.Lease)
}

func (r Reads) check() error {
	switch {
	case r.Mode != ReadByLease && r.Mode != ReadByQuorum:
		return fmt.Errorf("%w: mode %d", ErrReadsInvalid, r.Mode)
	case r.Lease < LeaseMin || r.Lease > LeaseMax || r.Lease%time.Millisecond != 0:
		return fmt.Errorf("%w: a lease of %v", ErrReadsInvalid, r.Lease)
	}
	return nil
}

// Charter is what a group's log has settled about who serves it and how. It is part of the state of
// every replica as of a log index, beside what the state machine makes of the payloads.
type Charter struct {
	// Serving is the term of the last SERVE entry: its leader, and everybody who has applied it, may
	// show what entries up to it and of its term have done. 0: there was none yet.
	Serving Term
	// Voters were the group's voters when that entry was proposed. Never written to.
	Voters []ReplicaID
	// Reads is how reads are served.
	Reads Reads
	// Members says who the replicas are, by replica. Never written to.
	Members []Member
	// Removed are the replicas that were removed from the group, in order. None of them comes back. Never
	// written to.
	Removed []ReplicaID
}

// Member is what a group has settled about a replica, which may be one that is to be added. What is in Data is
// the caller's.
type Member struct {
	Replica ReplicaID
	Data    []byte // never written to
}

// MemberBytesMax bounds Member.Data.
const MemberBytesMax = 4 << 10

// The first byte of an encoded charter is its version. The second version adds members and removed replicas; the
// first is still written where there are none, so that older binaries can read it.
const (
	charterVersionFirst = 1
	charterVersion      = 2
)

const (
	// votersMax bounds the voters in a charter.
	votersMax = 1 << 10
	// MembersMax bounds the members in a charter. More are not taken.
	MembersMax = 64
	// removedMax bounds what is remembered of removed replicas. Then no replica can be removed any more.
	removedMax = 1 << 16
)

var errCharter = errors.New("raft: the charter does not decode")

// Encode returns the form in which a checkpoint keeps the charter; nil if nothing is settled.
func (c Charter) Encode() []byte {
	if c.Serving == 0 && c.Reads == (Reads{}) && len(c.Members) == 0 && len(c.Removed) == 0 {
		return nil
	}
	c.setDefaults()
	version := byte(charterVersion)
	if len(c.Members) == 0 && len(c.Removed) == 0 {
		version = charterVersionFirst
	}
	buf := binary.AppendUvarint([]byte{version}, uint64(c.Serving))
	buf = appendReplicas(buf, c.Voters)
	buf = appendReads(buf, c.Reads)
	if version == charterVersionFirst {
		return buf
	}
	buf = binary.AppendUvarint(buf, uint64(len(c.Members)))
	for _, m := range c.Members {
		buf = appendMember(buf, m)
	}
	return appendReplicas(buf, c.Removed)
}

// DecodeCharter reads what Encode made. No bytes at all are the charter of a group that has not
// settled anything.
func DecodeCharter(data []byte) (Charter, error) {
	if len(data) == 0 {
		return Charter{Reads: DefaultReads}, nil
	}
	if data[0] != charterVersionFirst && data[0] != charterVersion {
		return Charter{}, fmt.Errorf("%w: version %d", errCharter, data[0])
	}
	d := decoder{data: data[1:]}
	c := Charter{Serving: Term(d.number()), Voters: d.replicas(votersMax), Reads: d.reads()}
	if data[0] == charterVersion {
		c.Members, c.Removed = d.members(), d.replicas(removedMax)
		d.failed = d.failed || !slices.IsSorted(c.Removed)
	}
	return c, d.end()
}

// find returns the position of a replica in the members, or where it would be.
func (c *Charter) find(r ReplicaID) (at int, found bool) {
	return slices.BinarySearchFunc(c.Members, r, func(m Member, r ReplicaID) int { return cmp.Compare(m.Replica, r) })
}

// Member returns what is settled about a replica, nil if nothing is.
func (c *Charter) Member(r ReplicaID) []byte {
	if at, found := c.find(r); found {
		return c.Members[at].Data
	}
	return nil
}

// HasRemoved reports whether a replica was removed.
func (c *Charter) HasRemoved(r ReplicaID) bool {
	_, removed := slices.BinarySearch(c.Removed, r)
	return removed
}

// admits reports whether a member may be set.
func (c *Charter) admits(m Member) bool {
	_, found := c.find(m.Replica)
	return !c.HasRemoved(m.Replica) && (found || len(c.Members) < MembersMax)
}

// setMember settles who a replica is; without data, nothing any more.
func (c *Charter) setMember(m Member) {
	at, found := c.find(m.Replica)
	switch {
	case !c.admits(m) || !found && len(m.Data) == 0:
		return
	case len(m.Data) == 0:
		c.Members = slices.Delete(slices.Clone(c.Members), at, at+1)
		return
	}
	c.Members = slices.Clone(c.Members)
	if found {
		c.Members[at] = m
	} else {
		c.Members = slices.Insert(c.Members, at, m)
	}
}

// remove notes that a replica was removed.
func (c *Charter) remove(r ReplicaID) {
	c.setMember(Member{Replica: r})
	if at, known := slices.BinarySearch(c.Removed, r); !known {
		c.Removed = slices.Insert(slices.Clone(c.Removed), at, r)
	}
}

// is reports whether two charters of one replica are the same: what is settled anew gets new slices.
func (c *Charter) is(other *Charter) bool {
	return c.Serving == other.Serving && c.Reads == other.Reads &&
		sameSlice(c.Voters, other.Voters) && sameSlice(c.Members, other.Members) && sameSlice(c.Removed, other.Removed)
}

func sameSlice[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// setDefaults makes a charter of one that has not settled anything.
func (c *Charter) setDefaults() {
	if c.Reads == (Reads{}) {
		c.Reads = DefaultReads
	}
}

// servedAlone reports whether replica, and nobody else since, has served the group as its only voter,
// or nobody ever has. Then no other replica holds a lease.
func (c *Charter) servedAlone(replica ReplicaID) bool {
	return c.Serving == 0 || slices.Equal(c.Voters, []ReplicaID{replica})
}

func appendReplicas(buf []byte, replicas []ReplicaID) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(replicas)))
	for _, r := range replicas {
		buf = binary.AppendUvarint(buf, uint64(r))
	}
	return buf
}

func appendMember(buf []byte, m Member) []byte {
	buf = binary.AppendUvarint(buf, uint64(m.Replica))
	buf = binary.AppendUvarint(buf, uint64(len(m.Data)))
	return append(buf, m.Data...)
}

func appendReads(buf []byte, r Reads) []byte {
	buf = append(buf, byte(r.Mode))
	return binary.AppendUvarint(buf, uint64(r.Lease/time.Millisecond))
}

// decoder takes an encoding apart; the first fault sticks.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) member() Member {
	m := Member{Replica: ReplicaID(d.number())}
	n := d.number()
	if n > MemberBytesMax || n > uint64(len(d.data)) {
		d.failed = true
		return m
	}
	m.Data, d.data = bytes.Clone(d.data[:n]), d.data[n:]
	return m
}

func (d *decoder) members() []Member {
	n := d.number()
	if n > MembersMax {
		d.failed = true
		return nil
	}
	var members []Member
	for i := range n {
		m := d.member()
		d.failed = d.failed || len(m.Data) == 0 || i > 0 && members[i-1].Replica >= m.Replica
		members = append(members, m)
	}
	return members
}

func (d *decoder) replicas(most uint64) []ReplicaID {
	n := d.number()
	if n > most || n > uint64(len(d.data)) {
		d.failed = true
		return nil
	}
	var replicas []ReplicaID
	for range n {
		replicas = append(replicas, ReplicaID(d.number()))
	}
	return replicas
}

func (d *decoder) reads() Reads {
	if len(d.data) == 0 {
		d.failed = true
		return Reads{}
	}
	mode := ReadMode(d.data[0])
	d.data = d.data[1:]
	ms := min(d.number(), uint64(LeaseMax/time.Millisecond)+1)
	r := Reads{Mode: mode, Lease: time.Duration(ms) * time.Millisecond}
	d.failed = d.failed || r.check() != nil
	return r
}

// end reports whether everything was in order and nothing is left over.
func (d *decoder) end() error {
	if d.failed || len(d.data) != 0 {
		return errCharter
	}
	return nil
}
