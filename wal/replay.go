package wal

import (
	"fmt"
	"math"
)

const scanWindowBytes = 256 << 10

// replay rebuilds what the log knows from its frames, segment by segment.
type replay struct {
	reader *frameReader
	groups map[GroupID]*group
	floor  uint64 // highest one named by a seal
	batch  uint64 // highest one seen
	chain  uint32 // CRC of the last frame
	frames uint64

	// seg and end are where the last frame ended; nil before the first one. The next frame must follow it.
	seg *segment
	end int64
}

func newReplay(segs []*segment) *replay {
	window := int64(pageBytes) // a padding is verified in one piece
	for _, s := range segs {
		window = min(max(window, s.size), scanWindowBytes)
	}
	return &replay{reader: newFrameReader(int(window)), groups: map[GroupID]*group{}, floor: 1}
}

// stretch is what a replay found in a segment.
type stretch struct {
	end     int64  // offset behind the last valid frame
	record  int64  // offset behind the last record among them
	durable int64  // offset up to which frames of this segment say that all is durable
	last    int64  // offset behind the last byte that is not zero; above end, there is more than frames
	reason  string // why the frame at end is not valid, if one was begun there
	batch   uint64 // highest one in valid frames after the end
}

// blank says that the segment holds nothing but its header.
func (s *stretch) blank() bool { return s.last == headerBytes }

// proven says that all records in the segment are known to be durable by later frames.
func (s *stretch) proven() bool { return s.durable >= s.record }

// torn says that there is more in the segment than its valid frames.
func (s *stretch) torn() bool { return s.last > s.end }

// segment replays a segment. Damage is a *CorruptError; a torn tail is left to the caller, who knows
// the other segments.
func (r *replay) segment(seg *segment) (stretch, error) {
	r.reader.reset(seg, nil)
	return r.from(seg, headerBytes)
}

// from replays a segment from a frame on.
func (r *replay) from(seg *segment, offset int64) (stretch, error) {
	s := stretch{end: offset, durable: headerBytes}
	for {
		f, v, reason, err := r.reader.frame(s.end)
		if err != nil {
			return s, err
		}
		if v == damaged {
			return s, seg.corrupt(s.end, reason)
		}
		if v != whole {
			s.reason = reason
			break
		}
		if err := r.frame(seg, &f); err != nil {
			return s, err
		}
		s.durable = max(s.durable, int64(f.durable))
		s.end = f.end()
		if f.kind == kindState {
			s.record = s.end
		}
	}
	return s, r.tail(seg, &s)
}

// resync goes on behind damage, for a check: with the next valid frame, or at the end of the segment. What
// is known of the log is then incomplete.
func (r *replay) resync(seg *segment, offset int64) (stretch, error) {
	r.seg = nil // nothing to follow
	for ; seg.size-offset >= sealBytes; offset += align {
		_, v, _, err := r.reader.frame(offset)
		if err != nil {
			return stretch{end: offset}, err
		}
		if v == whole {
			return r.from(seg, offset)
		}
	}
	return stretch{end: seg.size, last: seg.size}, nil
}

// frame applies a valid frame.
func (r *replay) frame(seg *segment, f *frame) error {
	switch {
	case r.seg != nil && f.prev != r.chain:
		return r.seg.corrupt(r.end, fmt.Sprintf("frames are missing: the one at %d of %s does not follow", f.off,
			seg.name))
	case f.batch < r.batch || f.batch == math.MaxUint64:
		return seg.corrupt(f.off, fmt.Sprintf("batch %d follows batch %d", f.batch, r.batch))
	case int64(f.durable) > f.off:
		return seg.corrupt(f.off, "the frame says that it was durable before it was written")
	}
	r.chain, r.batch, r.seg, r.end = f.crc, f.batch, seg, f.end()
	r.frames++
	if f.kind == kindSeal {
		r.floor = max(r.floor, f.floor)
		return nil
	}
	g := r.groups[f.group]
	if g == nil {
		g = newGroup()
		r.groups[f.group] = g
	}
	g.apply(f, seg.seq)
	return nil
}

// tail looks at what is behind the last valid frame. A frame that was begun there may be cut only if nothing
// tells that the place was ever durable: no valid frame further on says so.
func (r *replay) tail(seg *segment, s *stretch) error {
	last, err := r.reader.lastWritten(s.end)
	s.last = last
	if err != nil || !s.torn() {
		return err
	}
	for off := s.end + align; off < s.last; {
		f, v, _, err := r.reader.frame(off)
		if err != nil {
			return err
		}
		if v != whole {
			off += align
			continue
		}
		if int64(f.durable) > s.end {
			return seg.corrupt(s.end, fmt.Sprintf("%s, and the frame at %d says that all up to %d was durable",
				s.reasonOr("nothing is written here"), off, f.durable))
		}
		s.batch = max(s.batch, f.batch)
		off = f.end()
	}
	return nil
}

func (s *stretch) reasonOr(otherwise string) string {
	if s.reason != "" {
		return s.reason
	}
	return otherwise
}

// lastWritten returns the offset behind the last byte from offset on that is not zero, or offset.
func (r *frameReader) lastWritten(offset int64) (int64, error) {
	last := offset
	for at := offset; at < r.seg.size; {
		p, err := r.raw(at, int(min(int64(cap(r.window)), r.seg.size-at)))
		if err != nil {
			return 0, err
		}
		if !allZero(p) {
			n := len(p)
			for p[n-1] == 0 {
				n--
			}
			last = at + int64(n)
		}
		at += int64(len(p))
	}
	return last, nil
}

// complete checks that every group has all the entries that it says it has.
func (r *replay) complete(oldest *segment) error {
	if r.floor < oldest.seq {
		return &CorruptError{File: oldest.name, Reason: fmt.Sprintf(
			"the log is needed from segment %d on, but this is the oldest one that is there", r.floor)}
	}
	for id, g := range r.groups {
		if g.from > g.base.Index+1 {
			return &CorruptError{File: oldest.name, Reason: fmt.Sprintf(
				"group %d has no entries from %d to %d", id, g.base.Index+1, g.from-1)}
		}
		if g.hard.Commit > g.last {
			return &CorruptError{File: oldest.name, Reason: fmt.Sprintf(
				"group %d committed %d, but its log ends at %d", id, g.hard.Commit, g.last)}
		}
	}
	return nil
}

// states returns what the log holds of each group.
func (r *replay) states() map[GroupID]GroupState {
	states := make(map[GroupID]GroupState, len(r.groups))
	for id, g := range r.groups {
		states[id] = GroupState{HardState: g.hard, Snapshot: g.mark, Released: g.base,
			First: g.base.Index + 1, Last: g.last}
	}
	return states
}
