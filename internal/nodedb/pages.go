package nodedb

import (
	"encoding/binary"
	"fmt"
	"os"
)

const (
	pageBytes    = 4096
	fileBytesMin = 4 * pageBytes // as bbolt begins a file
	fileBytesMax = 1 << 20       // node.db has a handful of pages
)

// checkPages reads the page headers before bbolt does: a damaged overflow count would make bbolt mark up to 4
// billion pages as free. A header is id (8), flags (2), count (2), overflow (4) in the machine's byte order;
// a page of node.db never overflows, and one that bbolt has not used yet is zero.
func checkPages(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	if stat.Size() < fileBytesMin || stat.Size()%pageBytes != 0 || stat.Size() > fileBytesMax {
		return fmt.Errorf("%w (it has %d bytes)", ErrDamaged, stat.Size())
	}
	for offset := int64(0); offset < stat.Size(); offset += pageBytes {
		var header [16]byte
		if _, err := file.ReadAt(header[:], offset); err != nil {
			return err
		}
		id := binary.NativeEndian.Uint64(header[:])
		overflow := binary.NativeEndian.Uint32(header[12:])
		if overflow != 0 || id != uint64(offset/pageBytes) && header != [16]byte{} {
			return fmt.Errorf("%w (the page at byte %d has the id %d and overflows by %d)",
				ErrDamaged, offset, id, overflow)
		}
	}
	return nil
}
