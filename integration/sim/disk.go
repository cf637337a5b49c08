package sim

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/internal/vfs"
)

var (
	errPower = errors.New("the power has failed")
	errDisk  = fmt.Errorf("the disk fails: %w", syscall.EIO)
)

// disk is what of a node outlives its processes: the log's files in memory, the checkpoints' in a
// directory.
type disk struct {
	files *vfs.Mem
	// How far this process has written its files, and how far that is durable.
	written, cold map[string]int64
	checkpoints   string
	trace         *trace
	flips         []flip   // bits that are the wrong way
	done          []string // operations that the trace has not been told of

	full      bool
	fullUntil time.Duration // of true time
	// What is going to go wrong; one thing at a time.
	powerIn int      // operations that change something until the power fails; 0: never
	fail    vfs.Kind // the next operation of this kind fails with EIO; 0: none
	short   bool     // the next write stores only a part
	// after is what a power failure has left, once it has happened; nothing works then.
	after *vfs.Mem
}

func newDisk(seed uint64, checkpoints string, trace *trace) *disk {
	d := &disk{checkpoints: checkpoints, trace: trace}
	d.use(vfs.NewMem(seed))
	return d
}

// use makes files the disk's content, with no fault ahead.
func (d *disk) use(files *vfs.Mem) {
	*d = disk{files: files, checkpoints: d.checkpoints, trace: d.trace, full: d.full, fullUntil: d.fullUntil,
		flips:   d.flips,
		written: map[string]int64{}, cold: map[string]int64{}}
	d.watch()
}

// empty ends that the disk is full.
func (d *disk) empty() {
	d.full = false
	d.files.SetFree(-1)
}

// performed notes an operation that is over.
func (d *disk) performed(op vfs.Op, err error) {
	d.done = append(d.done, fmt.Sprint(op, " ", err))
	switch {
	case err != nil:
	case op.Kind == vfs.OpWrite:
		d.flips = slices.DeleteFunc(d.flips, func(f flip) bool {
			return !f.checkpoint && f.name == op.Name && op.Offset <= f.offset && f.offset < op.Offset+int64(op.Len)
		})
		d.written[op.Name] = max(d.written[op.Name], op.Offset+int64(op.Len))
	case op.Kind == vfs.OpSync:
		d.cold[op.Name] = d.written[op.Name]
	}
}

// flip is a bit that is the wrong way.
type flip struct {
	checkpoint bool // it is in the directory of checkpoints, not among the files of the log
	name       string
	offset     int64
	bit        uint
	wrong      byte // what the byte is with it
}

// rot turns a bit over that has been durable for a while, or for a moment: of the log, or of a checkpoint.
func (d *disk) rot(rng *rand.Rand) error {
	f := flip{bit: uint(rng.IntN(8))}
	sizes := maps.Clone(d.cold)
	if rng.IntN(2) == 0 {
		var err error
		f.checkpoint = true
		if sizes, err = checkpointSizes(d.checkpoints); err != nil {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(sizes))
	if len(names) == 0 {
		return nil
	}
	f.name = names[rng.IntN(len(names))]
	f.offset = rng.Int64N(max(1, sizes[f.name]))
	right, there := d.peek(f)
	if !there {
		return nil
	}
	f.wrong = right ^ 1<<f.bit
	d.flips = append(d.flips, f)
	return d.turnOver(f)
}

// repair turns back what rot has turned over, if it is still so.
func (d *disk) repair() error {
	flips := d.flips
	d.flips = nil
	for _, f := range flips {
		if b, there := d.peek(f); there && b == f.wrong {
			if err := d.turnOver(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *disk) turnOver(f flip) error {
	d.trace.note("bit %d at %d of %s turns over", f.bit, f.offset, f.name)
	if !f.checkpoint {
		return d.files.FlipBit(f.name, f.offset, f.bit)
	}
	path := filepath.Join(d.checkpoints, f.name)
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	content[f.offset] ^= 1 << f.bit
	return os.WriteFile(path, content, 0o644)
}

// peek reads the byte of a flip without anybody noticing.
func (d *disk) peek(f flip) (b byte, there bool) {
	var file io.ReaderAt
	var err error
	if f.checkpoint {
		file, err = os.Open(filepath.Join(d.checkpoints, f.name))
	} else {
		d.files.SetHook(nil)
		d.files.SetTrace(nil)
		defer d.watch()
		file, err = d.files.OpenRead(f.name)
	}
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.(io.Closer).Close() }() // it was only read
	one := make([]byte, 1)
	n, _ := file.ReadAt(one, f.offset)
	return one[0], n == 1
}

// watch has the disk asked before every operation, and told after it.
func (d *disk) watch() {
	d.files.SetHook(d.operation)
	d.files.SetTrace(d.performed)
}

// report tells the trace what has been done since. Nobody works on the disk meanwhile.
func (d *disk) report() {
	for _, line := range d.done {
		d.trace.note("disk %s", line)
	}
	d.done = nil
}

// wordBytes is where a write may be cut short: the log cannot tell a frame whose last word was cut from one
// whose last word was damaged.
const wordBytes = 8

// operation is asked before every operation of the log on its files.
func (d *disk) operation(op vfs.Op) error {
	switch {
	case d.after != nil:
		return errPower
	case d.fail != 0 && op.Kind == d.fail:
		d.fail = 0
		return errDisk
	case op.Kind == vfs.OpWrite && d.short:
		d.short = false
		return vfs.ShortWrite{N: op.Len / 2 &^ (wordBytes - 1)}
	case !op.Kind.Changes() || d.powerIn == 0:
		return nil
	}
	d.powerIn--
	if d.powerIn == 0 {
		d.after = d.files.Crash()
		return errPower
	}
	return nil
}

// powerFails cuts the power now, unless it has failed already, and brings up what is left. Checkpoints go
// to a new directory, so that what the old process still does to the old one counts no more.
func (d *disk) powerFails(checkpoints string) error {
	after := d.after
	if after == nil {
		after = d.files.Crash()
	}
	if err := copyDirectory(checkpoints, d.checkpoints); err != nil {
		return err
	}
	d.checkpoints = checkpoints
	d.use(after)
	return nil
}

// twin returns a second disk with the same content, of which everything must be durable.
func (d *disk) twin(checkpoints string) (*disk, error) {
	if err := copyDirectory(checkpoints, d.checkpoints); err != nil {
		return nil, err
	}
	t := &disk{checkpoints: checkpoints, trace: d.trace}
	t.use(d.files.Crash())
	return t, nil
}

// checkpointSizes returns the complete checkpoints in a directory, and how large they are.
func checkpointSizes(dir string) (map[string]int64, error) {
	sizes := map[string]int64{}
	all, err := checkpoint.List(dir)
	for _, info := range all {
		sizes[filepath.Base(info.Path)] = info.Bytes
	}
	return sizes, err
}

func copyDirectory(to, from string) error {
	if err := os.MkdirAll(from, 0o755); err != nil { // it may not have been made yet
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
