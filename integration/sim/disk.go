package sim

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/primatomic/primatomic/internal/vfs"
)

var (
	errPower = errors.New("the power has failed")
	errDisk  = &os.PathError{Op: "sync", Path: "wal", Err: syscall.EIO}
)

// disk is what of a node outlives its processes: the log's files in memory, the checkpoints' in a
// directory.
type disk struct {
	files       *vfs.Mem
	checkpoints string
	trace       *trace
	done        []string // operations that the trace has not been told of

	full bool
	// What is going to go wrong; one thing at a time.
	powerIn int // operations that change something until the power fails; 0: never
	badSync bool
	short   bool // the next write stores only a part
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
	*d = disk{files: files, checkpoints: d.checkpoints, trace: d.trace, full: d.full}
	files.SetHook(d.operation)
	files.SetTrace(func(op vfs.Op, err error) { d.done = append(d.done, fmt.Sprint(op, " ", err)) })
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
	case op.Kind == vfs.OpSync && d.badSync:
		d.badSync = false
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

func copyDirectory(to, from string) error {
	if err := os.MkdirAll(from, 0o755); err != nil { // it may not have been made yet
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
