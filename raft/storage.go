package raft

import (
	"fmt"
	"sync"

	etcdraft "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/primatomic/primatomic/wal"
)

// storage is a group's log as the library reads it: a ring of recent entries over the
// write-ahead log. The shard loop puts entries in when it hands them to the writer, so storage
// runs ahead of durability; the library looks here only below what it was told is durable.
type storage struct {
	log   Log
	group GroupID
	// hard and conf are what the library starts from.
	hard *pb.HardState
	conf *pb.ConfState
	// source has checkpoints for others, nil: there are none; want asks for one as of an index.
	source CheckpointSource
	want   func(least Index)

	mu sync.Mutex
	// floorIndex and floorTerm name the entry before the first one; guarded by mu.
	floorIndex, floorTerm uint64
	// ring.next is the index after the last entry. Entries in (floorIndex, ring.first) are
	// read from the log. Guarded by mu.
	ring ring
	// confIndex is that of the newest configuration: no older checkpoint is of use to those in it. Guarded
	// by mu.
	confIndex uint64
}

// readError is the error of a failed read of the log. The library panics on any error that it
// does not know; the shard loop recovers this one and ends the host with it.
type readError struct{ err error }

func (e *readError) Error() string { return "raft: reading the log: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// InitialState implements etcdraft.Storage.
func (s *storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	return s.hard, s.conf, nil
}

// FirstIndex implements etcdraft.Storage.
func (s *storage) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.floorIndex + 1, nil
}

// LastIndex implements etcdraft.Storage.
func (s *storage) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.next - 1, nil
}

// Term implements etcdraft.Storage. It answers for the floor too.
func (s *storage) Term(index uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.term(index)
}

func (s *storage) term(index uint64) (uint64, error) {
	switch {
	case index < s.floorIndex:
		return 0, etcdraft.ErrCompacted
	case index == s.floorIndex:
		return s.floorTerm, nil
	case index >= s.ring.next:
		return 0, etcdraft.ErrUnavailable
	}
	if e := s.ring.get(index); e != nil {
		return e.GetTerm(), nil
	}
	term, err := s.log.Term(s.group, index)
	if err != nil {
		return 0, &readError{fmt.Errorf("term of entry %d: %w", index, err)}
	}
	return term, nil
}

// Entries implements etcdraft.Storage. The slice returned is the caller's own.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lo <= s.floorIndex {
		return nil, etcdraft.ErrCompacted
	}
	if hi > s.ring.next || lo >= hi {
		return nil, etcdraft.ErrUnavailable
	}
	var entries []*pb.Entry
	var size uint64
	if lo < s.ring.first {
		var err error
		cut := min(hi, s.ring.first)
		if entries, size, err = s.readBack(lo, cut, maxSize); err != nil {
			return nil, err
		}
		if uint64(len(entries)) < cut-lo {
			return entries, nil
		}
		lo = cut
	}
	end := lo
	for ; end < hi; end++ {
		size += encodedSizeMax(s.ring.get(end))
		if size > maxSize && (end > lo || len(entries) > 0) {
			break
		}
	}
	if entries == nil {
		entries = make([]*pb.Entry, 0, end-lo)
	}
	for ; lo < end; lo++ {
		entries = append(entries, s.ring.get(lo))
	}
	return entries, nil
}

// encodedSizeMax bounds the protobuf encoding of an entry from above: a type, two numbers and
// a length, with a tag each.
func encodedSizeMax(e *pb.Entry) uint64 { return uint64(len(e.GetData())) + 32 }

// readBack reads [lo, hi) from the log, at least one entry, and the sum of encodedSizeMax.
func (s *storage) readBack(lo, hi, maxSize uint64) ([]*pb.Entry, uint64, error) {
	read, err := s.log.Entries(s.group, lo, hi, maxSize, nil)
	if err != nil || len(read) == 0 {
		return nil, 0, &readError{fmt.Errorf("entries [%d, %d): %w", lo, hi, err)}
	}
	var size uint64
	entries := make([]*pb.Entry, 0, len(read))
	for i := range read {
		e := newEntry(&read[i])
		size += encodedSizeMax(e)
		if size > maxSize && i > 0 {
			break
		}
		if e.GetIndex() != lo+uint64(i) {
			return nil, 0, &readError{fmt.Errorf("entry %d found at %d", e.GetIndex(), lo+uint64(i))}
		}
		entries = append(entries, e)
	}
	return entries, size, nil
}

func newEntry(e *wal.Entry) *pb.Entry {
	return &pb.Entry{
		Term:  new(e.Term),
		Index: new(e.Index),
		Type:  pb.EntryType(e.Type).Enum(),
		Data:  e.Data,
	}
}

// append takes entries that are being handed to the writer. They replace what storage holds
// from their first index on.
func (s *storage) append(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := entries[0].GetIndex()
	if first <= s.floorIndex || first > s.ring.next {
		panic(fmt.Sprintf("raft: entry %d does not join the log (%d, %d)",
			first, s.floorIndex, s.ring.next))
	}
	if first < s.ring.next {
		s.ring.truncate(first)
	}
	for _, e := range entries {
		s.ring.push(e)
	}
}

// restore empties the log: a checkpoint holds everything up to index, and what follows is to come.
func (s *storage) restore(index, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if index <= s.floorIndex {
		panic(fmt.Sprintf("raft: checkpoint %d is below the log, which begins after %d", index, s.floorIndex))
	}
	s.floorIndex, s.floorTerm = index, term
	s.ring.reset(index + 1)
}

// setConfIndex notes that the configuration is that of an entry.
func (s *storage) setConfIndex(index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confIndex = max(s.confIndex, index)
}

// compact raises the floor to index, but leaves the entries that the ring holds anyway: they
// cost nothing more and spare a lagging peer a checkpoint. It returns the new floor, 0 if that is the old one.
func (s *storage) compact(index uint64) (floor uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	floor = min(index, s.ring.first-1)
	if floor <= s.floorIndex {
		return 0, nil
	}
	term, err := s.term(floor)
	if err != nil {
		return 0, err
	}
	s.floorIndex, s.floorTerm = floor, term
	return floor, nil
}

// bounds returns the first index and the last one; first is last+1 in an empty log.
func (s *storage) bounds() (first, last Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Index(s.floorIndex + 1), Index(s.ring.next - 1)
}
