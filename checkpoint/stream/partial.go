package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/primatomic/primatomic/checkpoint"
	"github.com/primatomic/primatomic/internal/vfs"
)

const (
	incoming   = "incoming"
	dbSuffix   = ".db"
	sumsSuffix = ".crc"
	tempSuffix = ".tmp"
)

// Incoming returns the directory for what is fetched into a directory of checkpoints.
func Incoming(dir string) string { return filepath.Join(dir, incoming) }

// partial is a checkpoint of which some pieces are there.
type partial struct {
	fs      vfs.FS
	dir     string
	name    Name
	sums    checkpoint.Sums
	file    vfs.File
	missing []int // pieces, in order
}

func (n Name) path(dir string) string {
	return filepath.Join(dir, checkpoint.FileName(n.Group, n.Term, n.Index))
}

// openPartial goes on with what is there of a checkpoint, or begins it. Whatever else was fetched is removed.
func openPartial(fsys vfs.FS, dir string, name Name, sums checkpoint.Sums) (*partial, error) {
	p := &partial{fs: fsys, dir: dir, name: name, sums: sums}
	if err := p.makeDirectories(); err != nil {
		return nil, err
	}
	path := name.path(dir)
	side := strings.TrimSuffix(path, dbSuffix) + sumsSuffix
	ours := func(file string) bool { return file == path+tempSuffix || file == side }
	if err := discard(fsys, dir, ours); err != nil {
		return nil, err
	}
	encoded := sums.Encode()
	if there, err := os.ReadFile(side); err != nil || !bytes.Equal(there, encoded) {
		if err := discard(fsys, dir, nil); err != nil {
			return nil, err
		}
		if err := p.writeDurably(side, encoded); err != nil {
			return nil, err
		}
	}
	file, err := fsys.OpenWrite(path + tempSuffix)
	if errors.Is(err, os.ErrNotExist) {
		file, err = fsys.Create(path + tempSuffix)
	}
	if err != nil {
		return nil, err
	}
	p.file = file
	if err := p.look(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// makeDirectories makes the directory and the one above it, that of all checkpoints, which a node that has just joined
// does not have yet. Both are durable before anything in them is.
func (p *partial) makeDirectories() error {
	if err := p.fs.MkdirAll(p.dir); err != nil {
		return err
	}
	checkpoints := filepath.Dir(p.dir)
	return errors.Join(p.fs.SyncDir(filepath.Dir(checkpoints)), p.fs.SyncDir(checkpoints))
}

// Discard removes what is in an incoming directory, but for the files that keep holds for; nil: all.
func Discard(dir string, keep func(path string) bool) error { return discard(vfs.OS, dir, keep) }

func discard(fsys vfs.FS, dir string, keep func(path string) bool) error {
	names, err := fsys.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if keep == nil || !keep(path) {
			err = errors.Join(err, fsys.Remove(path))
		}
	}
	return err
}

// writeDurably makes a file with its content and its name durable.
func (p *partial) writeDurably(path string, content []byte) error {
	file, err := p.fs.Create(path + tempSuffix)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(content, 0)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := p.fs.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return p.fs.SyncDir(filepath.Dir(path))
}

// look finds out which pieces are there.
func (p *partial) look() error {
	size, err := p.file.Size()
	if err != nil {
		return err
	}
	if size > p.sums.Length() {
		if err := p.file.Truncate(0); err != nil {
			return err
		}
	}
	buf := make([]byte, checkpoint.PieceBytes)
	for number := range p.sums.Pieces() {
		offset, length := p.sums.Piece(number)
		n, err := p.file.ReadAt(buf[:length], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !p.sums.Check(number, buf[:n]) {
			p.missing = append(p.missing, number)
		}
	}
	return nil
}

// put keeps a piece that has been checked.
func (p *partial) put(number int, piece []byte) error {
	offset, _ := p.sums.Piece(number)
	_, err := p.file.WriteAt(piece, offset)
	return err
}

// finish makes the checkpoint durable and complete.
func (p *partial) finish() (checkpoint.Info, error) {
	err := p.file.Sync()
	if err = errors.Join(err, p.file.Close()); err != nil {
		return checkpoint.Info{}, err
	}
	path := p.name.path(p.dir)
	if err := p.fs.Rename(path+tempSuffix, path); err != nil {
		return checkpoint.Info{}, err
	}
	if err := p.fs.SyncDir(p.dir); err != nil {
		return checkpoint.Info{}, err
	}
	return find(p.dir, p.name)
}

// find returns a complete checkpoint in an incoming directory.
func find(dir string, name Name) (checkpoint.Info, error) {
	all, err := checkpoint.List(dir)
	if err != nil {
		return checkpoint.Info{}, err
	}
	for _, info := range all {
		if (Name{info.Group, info.Term, info.Index}) == name {
			return info, nil
		}
	}
	return checkpoint.Info{}, fmt.Errorf("stream: checkpoint %v is not in %s: %w", name, dir, os.ErrNotExist)
}
