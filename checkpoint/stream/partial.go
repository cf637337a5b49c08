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
	dir     string
	name    Name
	sums    checkpoint.Sums
	file    *os.File
	missing []int // pieces, in order
}

func (n Name) path(dir string) string {
	return filepath.Join(dir, checkpoint.FileName(n.Group, n.Term, n.Index))
}

// openPartial goes on with what is there of a checkpoint, or begins it. Whatever else was fetched is removed.
func openPartial(dir string, name Name, sums checkpoint.Sums) (*partial, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &partial{dir: dir, name: name, sums: sums}
	path := name.path(dir)
	side := strings.TrimSuffix(path, dbSuffix) + sumsSuffix
	if err := Discard(dir, func(file string) bool { return file == path+tempSuffix || file == side }); err != nil {
		return nil, err
	}
	encoded := sums.Encode()
	if there, err := os.ReadFile(side); err != nil || !bytes.Equal(there, encoded) {
		if err := Discard(dir, nil); err != nil {
			return nil, err
		}
		if err := writeDurably(side, encoded); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path+tempSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p.file = file
	if err := p.look(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return p, nil
}

// Discard removes what is in an incoming directory, but for the files that keep holds for; nil: all.
func Discard(dir string, keep func(path string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if keep == nil || !keep(path) {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// writeDurably makes a file with its content and its name durable.
func writeDurably(path string, content []byte) error {
	file, err := os.OpenFile(path+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// look finds out which pieces are there.
func (p *partial) look() error {
	stat, err := p.file.Stat()
	if err != nil {
		return err
	}
	if stat.Size() > p.sums.Length() {
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
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return checkpoint.Info{}, err
	}
	if err := syncDir(p.dir); err != nil {
		return checkpoint.Info{}, err
	}
	if err := syncDir(filepath.Dir(p.dir)); err != nil {
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
