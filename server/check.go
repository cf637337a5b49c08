package server

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/checkpoint/stream"
	"github.com/primatomic/primatomic/engine"
	"github.com/primatomic/primatomic/internal/nodedb"
	"github.com/primatomic/primatomic/internal/vfs"
	"github.com/primatomic/primatomic/wal"
)

// CheckData verifies the data directory of a node that does not run: node.db, every checkpoint, every frame of
// the log, and that they fit each other. It reports what it finds, damage or not, and changes nothing. It
// needs as much memory as the node itself, because each checkpoint is loaded. It reports whether no damage was
// found; the error says why the directory could not be checked at all, or not to the end.
func CheckData(dir string, report func(wal.Finding)) (sound bool, err error) {
	c := &dataCheck{dir: dir, sound: true, checkpoints: map[uint64]seenCheckpoint{}}
	c.report = func(f wal.Finding) {
		c.sound = c.sound && !f.Damage
		report(f)
	}
	err = errors.Join(c.run(), c.release())
	return c.sound && err == nil, err
}

// dataCheck is one run of CheckData.
type dataCheck struct {
	dir    string
	report func(wal.Finding)
	sound  bool

	nodedb      *nodedb.DB                // open, so that no node starts meanwhile; nil: missing or damaged
	checkpoints map[uint64]seenCheckpoint // the newest of each group
	log         wal.Contents              // if the log is sound
}

// seenCheckpoint is a checkpoint that was looked at.
type seenCheckpoint struct {
	checkpoint.Info
	sound bool
}

func (c *dataCheck) run() error {
	if _, err := os.Stat(c.dir); err != nil {
		return err
	}
	if err := c.checkNode(); err != nil {
		return err
	}
	sound, err := c.checkLog()
	if err != nil {
		return err
	}
	if err := c.checkCheckpoints(); err != nil || !sound {
		return err
	}
	groups := map[uint64]bool{groupID: true}
	for id := range c.checkpoints {
		groups[id] = true
	}
	for id := range c.log.Groups {
		groups[uint64(id)] = true
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		c.checkGroup(id)
	}
	return nil
}

func (c *dataCheck) release() error {
	if c.nodedb == nil {
		return nil
	}
	return c.nodedb.Close()
}

func (c *dataCheck) note(file, format string, args ...any) {
	c.report(wal.Finding{File: file, Message: fmt.Sprintf(format, args...)})
}

func (c *dataCheck) damage(file, format string, args ...any) {
	c.report(wal.Finding{File: file, Damage: true, Message: fmt.Sprintf(format, args...)})
}

// checkNode looks at node.db.
func (c *dataCheck) checkNode() (err error) {
	file := filepath.Join(c.dir, "node.db")
	c.nodedb, err = nodedb.Inspect(c.dir, nodedb.Options{})
	switch {
	case errors.Is(err, nodedb.ErrDamaged):
		c.damage(file, "%v", err)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return c.checkNoNode(file)
	case errors.Is(err, nodedb.ErrLocked):
		return fmt.Errorf("%w: stop the node first, or check a copy of the directory", err)
	case err != nil:
		return err
	}
	id := c.nodedb.Identity()
	c.note(file, "node %016x of cluster %016x, started %d times", id.Node, id.Cluster, id.Process)
	return nil
}

// checkNoNode judges a directory without node.db.
func (c *dataCheck) checkNoNode(file string) error {
	for _, dir := range []string{logDir(c.dir), checkpointDir(c.dir)} {
		names, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(names) > 0 {
			c.damage(file, "%v", nodedb.ErrMissing)
			return nil
		}
	}
	return fmt.Errorf("%s holds no data of a node", c.dir)
}

// checkLog goes through the log, frame by frame.
func (c *dataCheck) checkLog() (sound bool, err error) {
	dir := logDir(c.dir)
	there, err := wal.Exists(vfs.OS, dir)
	if err != nil {
		return false, err
	}
	if !there {
		if c.nodedb != nil && c.nodedb.Founded() {
			c.damage(dir, "%v", errLogLost)
			return false, nil
		}
		c.note(dir, "there is no log")
		return true, nil
	}
	var damage *wal.CorruptError
	c.log, err = wal.Check(readOnly{vfs.OS}, dir, c.report)
	switch {
	case errors.As(err, &damage): // reported
		return false, nil
	case err != nil:
		return false, err
	case c.nodedb != nil && c.log.ID != logID(c.nodedb.Identity()):
		c.damage(dir, "the log belongs to another node than node.db")
		return false, nil
	}
	return true, nil
}

// checkCheckpoints loads every checkpoint.
func (c *dataCheck) checkCheckpoints() error {
	dir := checkpointDir(c.dir)
	infos, err := checkpoint.List(dir)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fetched, err := c.fetchedCheckpoints(dir)
	if err != nil {
		return err
	}
	for _, info := range append(fetched, infos...) { // of each group the newest first
		sound, err := c.checkCheckpoint(info)
		if err != nil {
			return err
		}
		if _, newer := c.checkpoints[info.Group]; !newer {
			c.checkpoints[info.Group] = seenCheckpoint{info, sound}
		}
		files = slices.DeleteFunc(files, func(f os.DirEntry) bool {
			stem := strings.TrimSuffix(filepath.Base(info.Path), ".db")
			return f.Name() == stem+".db" || f.Name() == stem+".crc"
		})
	}
	for _, left := range files {
		if group, ok := checkpoint.QuarantineOf(left.Name()); ok {
			if err := c.checkQuarantine(group, filepath.Join(dir, left.Name())); err != nil {
				return err
			}
			continue
		}
		if left.IsDir() {
			continue
		}
		c.note(filepath.Join(dir, left.Name()), "no part of a complete checkpoint")
	}
	return nil
}

// checkQuarantine tells of a group whose data other nodes have found to be wrong, sound as its files may be.
func (c *dataCheck) checkQuarantine(group uint64, file string) error {
	reason, yes, err := checkpoint.Quarantined(filepath.Dir(file), group)
	if err != nil || !yes {
		return err
	}
	c.damage(file, "group %d is in quarantine: %s. Remove the node from the cluster, empty its data directory and "+
		"let it join again as a new node", group, reason)
	return nil
}

// fetchedCheckpoints returns those that were fetched from another node, are what the log goes on from, and have
// not been moved to the others: a start does that.
func (c *dataCheck) fetchedCheckpoints(dir string) (marked []checkpoint.Info, err error) {
	fetched, err := checkpoint.List(stream.Incoming(dir))
	for _, info := range fetched {
		mark := c.log.Groups[wal.GroupID(info.Group)].Snapshot
		if mark == (wal.SnapshotMark{Index: info.Index, Term: info.Term}) {
			marked = append(marked, info)
		}
	}
	return marked, err
}

func (c *dataCheck) checkCheckpoint(info checkpoint.Info) (sound bool, err error) {
	state, err := loadCheckpoint(info.Path)
	var damage *checkpoint.CorruptError
	var unloadable *engine.CorruptError
	switch {
	case errors.As(err, &damage):
		c.report(wal.Finding{File: damage.File, Offset: damage.Offset, Damage: true, Message: damage.Reason})
		return false, nil
	case errors.As(err, &unloadable):
		c.damage(info.Path, "its checksums match, but the data does not: %v", unloadable)
		return false, nil
	case err != nil:
		return false, err
	}
	if err := state.Check(); err != nil {
		c.damage(info.Path, "its checksums match, but its state contradicts itself: %v", err)
		return false, nil
	}
	namespaces := 0
	state.Namespaces(func(engine.Info) bool { namespaces++; return true })
	keys, bytes := state.Totals()
	c.note(info.Path, "group %d as of entry %d of term %d: %d namespaces, %d keys, %d bytes in memory",
		info.Group, info.Index, info.Term, namespaces, keys, bytes)
	return true, nil
}

// loadCheckpoint loads a checkpoint as a start does.
func loadCheckpoint(path string) (*engine.State, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	loader, err := engine.NewLoader(r.Meta().State)
	if err != nil {
		return nil, err
	}
	if err := r.Sections(loader.Section, loader.Put); err != nil {
		return nil, err
	}
	state, err := loader.Finish()
	if err != nil {
		return nil, err
	}
	state.EndReplay()
	return state, nil
}

// The founding state of a group is as of this entry, and no file holds it: see raft.Founding.
const foundingIndex, foundingTerm = 1, 1

// checkGroup holds a sound log against the newest checkpoint of a group. What must hold is what a start of the
// group requires: the log begins behind or before the checkpoint's end, reaches at least as far, and agrees
// with it.
func (c *dataCheck) checkGroup(id uint64) {
	newest, found := c.checkpoints[id]
	if found && !newest.sound {
		return // that is known, and nothing more can be said
	}
	state, index, term := fmt.Sprintf("the newest checkpoint ends at %d", newest.Index), newest.Index, newest.Term
	if !found {
		state, index, term = "there is no checkpoint", foundingIndex, foundingTerm
	}
	dir, group := logDir(c.dir), wal.GroupID(id)
	g, known := c.log.Groups[group]
	if !known {
		if found || c.nodedb != nil && c.nodedb.Founded() {
			c.damage(dir, "the log does not know group %d: %v", id, errLogLost)
		}
		return
	}
	if !found && g.Last == 0 && g.HardState.Commit == 0 {
		c.note(dir, "group %d has joined others and has nothing of them yet", id)
		return
	}
	logTerm, _ := c.log.Term(group, index)
	lastTerm, _ := c.log.Term(group, g.Last)
	switch {
	case g.First > index+1:
		c.damage(dir, "the log of group %d begins at entry %d, but %s", id, g.First, state)
	case g.Last < index:
		c.damage(dir, "the log of group %d ends at entry %d, but %s", id, g.Last, state)
	case logTerm != term:
		c.damage(dir, "entry %d of group %d has term %d in the log and %d in the checkpoint", index, id, logTerm, term)
	case g.HardState.Term < lastTerm:
		c.damage(dir, "group %d has term %d, but its last entry has %d", id, g.HardState.Term, lastTerm)
	default:
		c.note(dir, "group %d: %s, the log goes on to entry %d; committed %d, term %d",
			id, state, g.Last, g.HardState.Commit, g.HardState.Term)
	}
}
