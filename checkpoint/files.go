package checkpoint

import (
	"os"
)

// An operation changes the directory or makes a change durable. The names are those of a trace in tests.
type operation string

const (
	opCreate  operation = "create"
	opSync    operation = "sync"
	opRename  operation = "rename"
	opRemove  operation = "remove"
	opSyncDir operation = "syncdir"
)

// files does the file operations whose order makes a checkpoint crash safe.
type files struct {
	// hook, if set, is called before each operation. An error is the operation's result and the operation is
	// not done. Tests use it to crash and to fail at every step; to is the new name of a rename, else "".
	hook func(op operation, name, to string) error
}

func (f files) before(op operation, name, to string) error {
	if f.hook == nil {
		return nil
	}
	return f.hook(op, name, to)
}

// write creates a file with the given content and makes the content durable, not the directory entry.
func (f files) write(name string, content []byte) error {
	if err := f.before(opCreate, name, ""); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = f.before(opSync, name, "")
	}
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (f files) rename(from, to string) error {
	if err := f.before(opRename, from, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (f files) remove(name string) error {
	if err := f.before(opRemove, name, ""); err != nil {
		return err
	}
	return os.Remove(name)
}

func (f files) syncDir(dir string) error {
	if err := f.before(opSyncDir, dir, ""); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
