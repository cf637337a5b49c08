package wal

import (
	"errors"
	"fmt"
	"path"

	"github.com/primatomic/primatomic/internal/vfs"
)

// Finding is one thing that Check reports.
type Finding struct {
	File    string
	Offset  int64
	Damage  bool // false: for information
	Message string
}

func (f Finding) String() string {
	word := "ok"
	if f.Damage {
		word = "DAMAGED"
	}
	return fmt.Sprintf("%s %s at %d: %s", word, f.File, f.Offset, f.Message)
}

// Contents is what Check found in a sound log.
type Contents struct {
	ID     [16]byte // of the log; zero if there is none
	Groups map[GroupID]GroupState

	replay *replay
}

// Term returns the term of an entry that the log holds, or of the last one released.
func (c Contents) Term(id GroupID, index uint64) (term uint64, ok bool) {
	if c.replay == nil || c.replay.groups[id] == nil {
		return 0, false
	}
	return c.replay.groups[id].term(index)
}

// Check verifies a log that no process has open, and changes nothing but its lock file. It reports each
// segment and each damage, and goes on behind damage as far as frames can be found. The error is the first
// damage, a *CorruptError, or what kept it from reading.
func Check(fsys vfs.FS, dir string, report func(Finding)) (Contents, error) {
	lock, err := fsys.Lock(path.Join(dir, lockName))
	if err != nil {
		return Contents{}, err
	}
	c := checker{report: report}
	if err := errors.Join(c.run(fsys, dir), lock.Close()); err != nil {
		return Contents{}, err
	}
	return c.contents(), nil
}

type checker struct {
	report func(Finding)
	id     [16]byte
	replay *replay // nil if there is no segment
	first  error   // the first damage
}

func (c *checker) contents() Contents {
	if c.replay == nil {
		return Contents{}
	}
	return Contents{ID: c.id, Groups: c.replay.states(), replay: c.replay}
}

func (c *checker) run(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	seqs, stray := segmentRun(names)
	if len(seqs) == 0 {
		c.report(Finding{File: dir, Message: "there is no log"})
		return nil
	}
	var segs []*segment
	for _, seq := range seqs {
		seg, err := openSegment(fsys, dir, seq, false)
		if err := c.note(err); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		segs = append(segs, seg)
		if c.id = segs[0].id; seg.id != c.id {
			_ = c.note(seg.corrupt(16, foreignSegment)) // it is damage, and so swallowed
		}
	}
	err = c.segments(segs)
	for _, seg := range segs {
		err = errors.Join(err, seg.release())
	}
	for _, seq := range stray {
		c.report(Finding{File: segmentName(dir, seq), Message: "no longer needed"})
	}
	return errors.Join(err, c.first)
}

// note reports damage and swallows it; other errors come back.
func (c *checker) note(err error) error {
	var damage *CorruptError
	if !errors.As(err, &damage) {
		return err
	}
	if c.first == nil {
		c.first = err
	}
	c.report(Finding{File: damage.File, Offset: damage.Offset, Damage: true, Message: damage.Reason})
	return nil
}

func (c *checker) segments(segs []*segment) error {
	c.replay = newReplay(segs)
	var stretches []stretch
	for _, seg := range segs {
		before := c.replay.frames
		s, err := c.replay.segment(seg)
		for err != nil {
			at := s.end
			if err := c.note(err); err != nil {
				return err
			}
			s, err = c.replay.resync(seg, at+align)
		}
		stretches = append(stretches, s)
		c.report(Finding{File: seg.name, Offset: s.end,
			Message: fmt.Sprintf("%d frames, the last one ends here", c.replay.frames-before)})
	}
	if len(segs) == 0 {
		return nil
	}
	for i := range stretches {
		if s := &stretches[i]; s.torn() {
			err := beforeLater(segs, stretches, i)
			if err == nil {
				c.report(Finding{File: segs[i].name, Offset: s.end, Message: fmt.Sprintf(
					"%d bytes of a write that never finished; the next start cuts them", s.last-s.end)})
			}
			if err := c.note(err); err != nil {
				return err
			}
		}
	}
	if c.first != nil {
		return nil // what is missing behind damage is no news
	}
	return c.note(c.replay.complete(segs[0]))
}
