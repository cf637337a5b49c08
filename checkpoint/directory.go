package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	dataSuffix = ".db"
	sumsSuffix = ".crc"
	tempSuffix = ".tmp" // appended to either name until Commit
)

// Info describes a committed checkpoint in a directory.
type Info struct {
	Path               string // of the bbolt file
	Group, Term, Index uint64
	Bytes              int64 // both files together
}

// fileName is the one name of a checkpoint's bbolt file; List knows no other spelling of the numbers.
func fileName(group, term, index uint64) string {
	return fmt.Sprintf("%d-%d-%d%s", group, term, index, dataSuffix)
}

// parseName is the inverse of fileName.
func parseName(name string) (info Info, ok bool) {
	_, err := fmt.Sscanf(name, "%d-%d-%d"+dataSuffix, &info.Group, &info.Term, &info.Index)
	return info, err == nil && name == fileName(info.Group, info.Term, info.Index)
}

// sumsPath returns the path of the side file of a bbolt file.
func sumsPath(path string) string {
	return strings.TrimSuffix(path, dataSuffix) + sumsSuffix
}

// MakeDirectory makes a directory of checkpoints, if it is missing, and its name durable, not those above it.
func MakeDirectory(dir string) error { return files{}.makeDirectory(dir) }

func (f files) makeDirectory(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return f.syncDir(filepath.Dir(dir))
}

// List returns the committed checkpoints of a directory: by group, and within a group the newest (highest
// index) first. It changes nothing and verifies nothing. A directory that does not exist has no checkpoints.
func List(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: list: %w", err)
	}
	var infos []Info
	for _, entry := range entries {
		info, ok := parseName(entry.Name())
		if !ok {
			continue
		}
		info.Path = filepath.Join(dir, entry.Name())
		if info.Bytes, err = diskBytes(info.Path); err != nil {
			return nil, fmt.Errorf("checkpoint: list: %w", err)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(
			cmp.Compare(a.Group, b.Group), cmp.Compare(b.Index, a.Index), cmp.Compare(b.Term, a.Term))
	})
	return infos, nil
}

// diskBytes returns the size of a bbolt file and, if there is one, its side file.
func diskBytes(path string) (int64, error) {
	data, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	sums, err := os.Stat(sumsPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return data.Size(), nil
	}
	if err != nil {
		return 0, err
	}
	return data.Size() + sums.Size(), nil
}

// Clean removes what a crash left of unfinished checkpoints and returns the names removed. Call it at start,
// before the first Create: it would take away the files of a Writer at work. A missing directory is clean.
func Clean(dir string) ([]string, error) {
	return files{}.clean(dir)
}

func (f files) clean(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: clean: %w", err)
	}
	var leftovers []string
	for _, entry := range entries {
		if isLeftover(dir, entry.Name()) {
			leftovers = append(leftovers, entry.Name())
		}
	}
	for _, name := range leftovers {
		if err := f.remove(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("checkpoint: clean: %w", err)
		}
	}
	if len(leftovers) > 0 {
		if err := f.syncDir(dir); err != nil {
			return nil, fmt.Errorf("checkpoint: clean: %w", err)
		}
	}
	return leftovers, nil
}

// isLeftover reports whether a file is a temporary one of ours, or a side file without its bbolt file.
func isLeftover(dir, name string) bool {
	stem, temporary := strings.CutSuffix(name, tempSuffix)
	base, isSums := strings.CutSuffix(stem, sumsSuffix)
	if isSums {
		stem = base + dataSuffix
	}
	if _, ours := parseName(stem); !ours {
		return false
	}
	if temporary {
		return true
	}
	if !isSums {
		return false
	}
	_, err := os.Lstat(filepath.Join(dir, stem))
	return errors.Is(err, fs.ErrNotExist)
}

// Remove deletes a committed checkpoint durably. The bbolt file goes first, so that a crash leaves either the
// whole checkpoint or a side file for Clean. No Reader may have it open.
func Remove(info Info) error {
	return files{}.removeCheckpoint(info)
}

func (f files) removeCheckpoint(info Info) error {
	dir := filepath.Dir(info.Path)
	if err := f.remove(info.Path); err != nil {
		return fmt.Errorf("checkpoint: remove: %w", err)
	}
	if err := f.syncDir(dir); err != nil {
		return fmt.Errorf("checkpoint: remove: %w", err)
	}
	if err := f.remove(sumsPath(info.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("checkpoint: remove: %w", err)
	}
	return nil
}
