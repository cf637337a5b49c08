package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Adopt moves a committed checkpoint into another directory of the same file system. A crash leaves it whole in
// one of the two, and in the other at most a side file: the checksums are copied first, then the bbolt
// file is renamed, then the old checksums go. Adopting what a crash has left half adopted is fine.
func Adopt(dir string, info Info) (Info, error) {
	return files{}.adopt(dir, info)
}

func (f files) adopt(dir string, info Info) (Info, error) {
	adopted := info
	adopted.Path = filepath.Join(dir, filepath.Base(info.Path))
	if err := f.move(info.Path, adopted.Path); err != nil {
		return Info{}, fmt.Errorf("checkpoint: adopt %s: %w", info.Path, err)
	}
	return adopted, nil
}

func (f files) move(from, to string) error {
	content, err := os.ReadFile(sumsPath(from))
	if err != nil {
		return err
	}
	side, dir := sumsPath(to), filepath.Dir(to)
	if err := f.write(side+tempSuffix, content); err != nil {
		return err
	}
	if err := f.rename(side+tempSuffix, side); err != nil {
		return err
	}
	if err := f.syncDir(dir); err != nil {
		return err
	}
	if err := f.rename(from, to); err != nil {
		return err
	}
	if err := f.syncDir(dir); err != nil {
		return err
	}
	if err := f.syncDir(filepath.Dir(from)); err != nil {
		return err
	}
	if err := f.remove(sumsPath(from)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
