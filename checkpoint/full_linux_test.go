package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
)

// TestDiskFull fills a small file system of its own: the Writer says ENOSPC, panics nowhere in bbolt, and leaves
// nothing behind.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mounting needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for _, size := range []int{100, 20000, 1 << 20} {
		w, err := Create(dir, Meta{Index: 1})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Section(1, nil)
		for i := uint64(0); err == nil; i++ {
			err = w.Put(binary.BigEndian.AppendUint64(nil, i), bytes.Repeat([]byte("x"), size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Put: %v", err)
		}
		_, err = w.Commit(context.Background())
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Commit: %v", err)
		}
		requireEmpty(t, dir)
	}
}
