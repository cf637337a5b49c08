package wal

import (
	"encoding/binary"
	"fmt"
)

// GroupID names a raft group. All groups share one log.
type GroupID uint64

// HardState is what a raft group must remember of itself.
type HardState struct{ Term, Vote, Commit uint64 }

// Entry is one entry of a group's raft log. Type is raft's, and means nothing here.
type Entry struct {
	Term, Index uint64
	Type        uint8
	Data        []byte
}

// SnapshotMark says that everything up to and including Index is in a checkpoint, whose last entry has Term.
type SnapshotMark struct{ Index, Term uint64 }

// Record is what one group writes in one step. It is on disk whole or not at all.
//
// The hard state is always given in full: if an entry survived without the commit index beside it, a node
// could campaign under an outdated configuration. Entries have consecutive indexes; they replace those from
// the first one's index on. A Snapshot replaces a log that does not hold its entry; of one that does, the
// entries after it stay.
type Record struct {
	Group     GroupID
	HardState HardState
	Entries   []Entry
	Snapshot  *SnapshotMark
}

// Bounds of a record. The raft host keeps its batches far below.
const (
	RecordBytesMax   = 256 << 20 // on disk, all included
	RecordEntriesMax = 1 << 18
)

// indexMax leaves room to count beyond any index.
const indexMax = 1 << 62

// Kinds of frames.
const (
	kindState = 1 // a group's Record
	kindSeal  = 2 // no content but what every frame tells: what is durable, and which segments are needed
)

// Flags of a state frame.
const (
	flagCopy  = 1 // the entries restate older ones: they replace nothing and truncate nothing
	flagReset = 2 // a snapshot replaced the log: nothing from before counts, the base is the mark
)

// Layout of frames; doc.go draws it.
const (
	align     = 8
	wordBytes = 8  // size and its check: the part that is read before anything else is believed
	headBytes = 32 // of every frame
	sealBytes = headBytes + 8
	bodyBytes = 80 // of a state frame, after the head and before the table
	rowBytes  = 24 // an entry in the table

	pageBytes   = 4096                  // what a kernel writes back, or loses, as one
	sealFillMax = pageBytes + sealBytes // of a seal that fills a page
	sealRoom    = sealFillMax + sealBytes
)

// head is the first part of every frame.
type head struct {
	size    uint32 // of the whole frame, padding included
	crc     uint32 // of this head without its first 12 bytes, body and table
	prev    uint32 // crc of the frame before, across segments
	batch   uint64 // number of the sync that makes the frame durable
	durable uint32 // offset in this segment up to which all was durable when the frame was written
	kind    uint8
	flags   uint8
}

// state is the body of a state frame: all that is known of a group, so that its last frame tells everything.
type state struct {
	group GroupID
	hard  HardState
	mark  SnapshotMark // zero: none
	base  SnapshotMark // entries up to here are released
	first uint64       // index of the first entry in this frame
	count uint32
}

// row describes an entry in a frame's table. It holds the entry's own CRC, so that one entry can be read
// back and verified without reading its neighbours.
type row struct {
	term uint64
	size uint32
	crc  uint32
	kind uint8
}

var little = binary.LittleEndian

// putWord writes size and check.
func putWord(p []byte, size, check uint32) {
	little.PutUint32(p, size)
	little.PutUint32(p[4:], check)
}

// put writes all of the head but the first 12 bytes, which need the CRC of the rest.
func (h *head) put(p []byte) {
	little.PutUint32(p[12:], h.prev)
	little.PutUint64(p[16:], h.batch)
	little.PutUint32(p[24:], h.durable)
	p[28], p[29], p[30], p[31] = h.kind, h.flags, 0, 0
}

func parseHead(p []byte) head {
	return head{
		size: little.Uint32(p), crc: little.Uint32(p[8:]), prev: little.Uint32(p[12:]),
		batch: little.Uint64(p[16:]), durable: little.Uint32(p[24:]), kind: p[28], flags: p[29],
	}
}

func (s *state) put(p []byte) {
	little.PutUint64(p, uint64(s.group))
	little.PutUint64(p[8:], s.hard.Term)
	little.PutUint64(p[16:], s.hard.Vote)
	little.PutUint64(p[24:], s.hard.Commit)
	little.PutUint64(p[32:], s.mark.Index)
	little.PutUint64(p[40:], s.mark.Term)
	little.PutUint64(p[48:], s.base.Index)
	little.PutUint64(p[56:], s.base.Term)
	little.PutUint64(p[64:], s.first)
	little.PutUint32(p[72:], s.count)
	little.PutUint32(p[76:], 0)
}

func parseState(p []byte) state {
	return state{
		group: GroupID(little.Uint64(p)),
		hard:  HardState{little.Uint64(p[8:]), little.Uint64(p[16:]), little.Uint64(p[24:])},
		mark:  SnapshotMark{little.Uint64(p[32:]), little.Uint64(p[40:])},
		base:  SnapshotMark{little.Uint64(p[48:]), little.Uint64(p[56:])},
		first: little.Uint64(p[64:]), count: little.Uint32(p[72:]),
	}
}

func (r *row) put(p []byte) {
	little.PutUint64(p, r.term)
	little.PutUint32(p[8:], r.size)
	little.PutUint32(p[12:], r.crc)
	little.PutUint64(p[16:], uint64(r.kind))
}

func parseRow(p []byte) row {
	return row{term: little.Uint64(p), size: little.Uint32(p[8:]), crc: little.Uint32(p[12:]), kind: p[16]}
}

// tableOffset is where the table of a state frame starts, counted from the frame.
const tableOffset = headBytes + bodyBytes

// frameBytes returns the size on disk of a state frame with these entries.
func frameBytes(entries []Entry) (int64, error) {
	if len(entries) > RecordEntriesMax {
		return 0, fmt.Errorf("%w: %d entries, at most %d", ErrTooLarge, len(entries), RecordEntriesMax)
	}
	size := int64(tableOffset) + int64(len(entries))*rowBytes
	for i := range entries {
		size += int64(len(entries[i].Data))
	}
	size = alignUp(size)
	if size > RecordBytesMax {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, RecordBytesMax)
	}
	return size, nil
}

func alignUp(n int64) int64 { return (n + align - 1) &^ (align - 1) }
