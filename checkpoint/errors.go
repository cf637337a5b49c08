package checkpoint

import (
	"errors"
	"fmt"
)

// ErrNewerFormat says that the checkpoint was written by a newer version of the program.
var ErrNewerFormat = errors.New("checkpoint: written by a newer version; start that version or a later one")

// errOrder says that the caller of a Writer did not keep to ascending order.
var errOrder = errors.New("checkpoint: sections and keys must be written in ascending order")

// errFinished says that a Writer was used after Commit or Abort.
var errFinished = errors.New("checkpoint: the writer has been committed or aborted")

// CorruptError says that a checkpoint on disk is not what was written.
type CorruptError struct {
	File   string // path of the damaged file
	Offset int64  // the start of the damaged MiB, or where the file ends too early or too late
	Reason string // what was found
}

// Error names the file and the offset, and tells the operator how to go on.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("checkpoint %s is damaged at byte %d: %s. It cannot be used. "+
		"Keep a copy of the data directory. If the cluster has other members, remove this node from it, "+
		"empty the data directory and let the node join as a new one; "+
		"a single node is restored from its last backup", e.File, e.Offset, e.Reason)
}

func corrupt(file string, offset int64, format string, args ...any) *CorruptError {
	return &CorruptError{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}
