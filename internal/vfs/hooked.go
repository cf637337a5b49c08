package vfs

import "io"

// Hooked returns a file system that has fn called before every operation of another one that Kind.Changes: an error
// that it returns is the operation's error, and the operation is not done. It is for real file systems what Mem.SetHook
// is for one in memory. A file goes by the name under which it was opened. fn runs on its caller's goroutine.
func Hooked(fsys FS, fn func(Op) error) FS { return hooked{fsys, fn} }

type hooked struct {
	FS
	before func(Op) error
}

type hookedFile struct {
	File
	name   string
	before func(Op) error
}

func (h hooked) file(name string, f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return hookedFile{f, name, h.before}, nil
}

func (h hooked) Create(name string) (File, error) {
	if err := h.before(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, err
	}
	f, err := h.FS.Create(name)
	return h.file(name, f, err)
}

func (h hooked) OpenRead(name string) (File, error) {
	f, err := h.FS.OpenRead(name)
	return h.file(name, f, err)
}

func (h hooked) OpenWrite(name string) (File, error) {
	f, err := h.FS.OpenWrite(name)
	return h.file(name, f, err)
}

func (h hooked) Remove(name string) error {
	if err := h.before(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return h.FS.Remove(name)
}

func (h hooked) Rename(oldname, newname string) error {
	if err := h.before(Op{Kind: OpRename, Name: oldname, To: newname}); err != nil {
		return err
	}
	return h.FS.Rename(oldname, newname)
}

func (h hooked) MkdirAll(dir string) error {
	if err := h.before(Op{Kind: OpMkdir, Name: dir}); err != nil {
		return err
	}
	return h.FS.MkdirAll(dir)
}

func (h hooked) SyncDir(dir string) error {
	if err := h.before(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return err
	}
	return h.FS.SyncDir(dir)
}

func (h hooked) Lock(name string) (io.Closer, error) {
	if err := h.before(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return h.FS.Lock(name)
}

func (f hookedFile) WriteAt(p []byte, offset int64) (int, error) {
	if err := f.before(Op{Kind: OpWrite, Name: f.name, Offset: offset, Len: len(p)}); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, offset)
}

func (f hookedFile) Sync() error {
	if err := f.before(Op{Kind: OpSync, Name: f.name}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f hookedFile) Truncate(size int64) error {
	if err := f.before(Op{Kind: OpTruncate, Name: f.name, Offset: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
