package raft

import (
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
}

// charterVersion is the first byte of an encoded charter.
const charterVersion = 1

// votersMax bounds the voters in a charter.
const votersMax = 1 << 10

var errCharter = errors.New("raft: the charter does not decode")

// Encode returns the form in which a checkpoint keeps the charter; nil if nothing is settled.
func (c Charter) Encode() []byte {
	if c.Serving == 0 && c.Reads == (Reads{}) {
		return nil
	}
	buf := binary.AppendUvarint([]byte{charterVersion}, uint64(c.Serving))
	buf = appendReplicas(buf, c.Voters)
	return appendReads(buf, c.Reads)
}

// DecodeCharter reads what Encode made. No bytes at all are the charter of a group that has not
// settled anything.
func DecodeCharter(data []byte) (Charter, error) {
	if len(data) == 0 {
		return Charter{Reads: DefaultReads}, nil
	}
	if data[0] != charterVersion {
		return Charter{}, fmt.Errorf("%w: version %d", errCharter, data[0])
	}
	d := decoder{data: data[1:]}
	c := Charter{Serving: Term(d.number()), Voters: d.replicas(), Reads: d.reads()}
	return c, d.end()
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

func (d *decoder) replicas() []ReplicaID {
	n := d.number()
	if n > votersMax {
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
