package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
)

const blockBytes = 4096 // unit in which Mem counts space

// node is the content of a file, whatever its name. The Mem's mu guards it.
type node struct {
	name   string  // the last one it had, for hook and trace
	data   []byte  // as read now
	disk   []byte  // as of the last sync
	log    []write // since the last sync, oldest first
	blocks []bool  // blocks that take space
}

// write is one change of content: bytes at an offset, or if data is nil a truncation to offset.
type write struct {
	offset int64
	data   []byte
}

func (w write) apply(content []byte) []byte {
	if w.data == nil {
		return resize(content, w.offset)
	}
	if end := w.offset + int64(len(w.data)); end > int64(len(content)) {
		content = resize(content, end)
	}
	copy(content[w.offset:], w.data)
	return content
}

// resize cuts or grows content with zeros, also over bytes that an earlier cut left in its spare capacity.
func resize(content []byte, size int64) []byte {
	old := int64(len(content))
	if size <= int64(cap(content)) {
		content = content[:size]
		if size > old {
			clear(content[old:])
		}
		return content
	}
	return append(content, make([]byte, size-old)...)
}

func (n *node) change(w write) {
	n.data = w.apply(n.data)
	n.log = append(n.log, w)
}

func (n *node) sync() {
	for _, w := range n.log {
		n.disk = w.apply(n.disk)
	}
	n.log = nil
}

// truncate sets the size and returns the blocks given up.
func (n *node) truncate(size int64) []bool {
	n.change(write{offset: size})
	keep := int((size + blockBytes - 1) / blockBytes)
	if keep >= len(n.blocks) {
		return nil
	}
	given := n.blocks[keep:]
	n.blocks = n.blocks[:keep:keep]
	return given
}

// take marks the blocks of [offset, offset+size) as used while free lasts, and returns how many of the
// bytes there is space for and the space used up.
func (n *node) take(offset, size, free int64) (fits, used int64) {
	for end := offset + size; offset < end; {
		block := offset / blockBytes
		for int64(len(n.blocks)) <= block {
			n.blocks = append(n.blocks, false)
		}
		if !n.blocks[block] {
			if free >= 0 && used+blockBytes > free {
				return fits, used
			}
			used += blockBytes
			n.blocks[block] = true
		}
		step := min(end, (block+1)*blockBytes) - offset
		offset, fits = offset+step, fits+step
	}
	return fits, used
}

func (n *node) flip(offset int64, mask byte) {
	n.data[offset] ^= mask
	if offset < int64(len(n.disk)) {
		n.disk[offset] ^= mask
	}
	for _, w := range n.log {
		if i := offset - w.offset; i >= 0 && i < int64(len(w.data)) {
			w.data[i] ^= mask
		}
	}
}

// memFile is a handle on a node.
type memFile struct {
	mem      *Mem
	node     *node
	writable bool
	closed   atomic.Bool
}

func (f *memFile) name() string {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	return f.node.name
}

func (f *memFile) do(op Op, action func() error) error {
	op.Name = f.name()
	return f.mem.do(op, func() error {
		if f.closed.Load() {
			return fs.ErrClosed
		}
		return action()
	})
}

func (f *memFile) change(op Op, action func() error) error {
	return f.do(op, func() error {
		if !f.writable {
			return syscall.EBADF
		}
		return action()
	})
}

func (f *memFile) ReadAt(p []byte, offset int64) (int, error) {
	var n int
	err := f.do(Op{Kind: OpRead, Offset: offset, Len: len(p)}, func() error {
		if offset < 0 {
			return syscall.EINVAL
		}
		if offset < int64(len(f.node.data)) {
			n = copy(p, f.node.data[offset:])
		}
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (f *memFile) WriteAt(p []byte, offset int64) (int, error) {
	var n int
	err := f.change(Op{Kind: OpWrite, Offset: offset, Len: len(p)}, func() error {
		var err error
		n, err = f.write(p, offset)
		return err
	})
	if short := (ShortWrite{}); errors.As(err, &short) {
		f.mem.mu.Lock()
		defer f.mem.mu.Unlock()
		n, _ = f.write(p[:min(max(short.N, 0), len(p))], offset)
	}
	return n, err
}

// write stores what there is space for. The caller holds the Mem's mu.
func (f *memFile) write(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, syscall.EINVAL
	}
	fits, used := f.node.take(offset, int64(len(p)), f.mem.free)
	if f.mem.free >= 0 {
		f.mem.free -= used
	}
	if fits > 0 {
		f.node.change(write{offset: offset, data: append([]byte(nil), p[:fits]...)})
	}
	if fits < int64(len(p)) {
		return int(fits), syscall.ENOSPC
	}
	return int(fits), nil
}

func (f *memFile) Sync() error {
	return f.change(Op{Kind: OpSync}, func() error {
		f.node.sync()
		return nil
	})
}

func (f *memFile) Truncate(size int64) error {
	return f.change(Op{Kind: OpTruncate, Offset: size}, func() error {
		if size < 0 {
			return syscall.EINVAL
		}
		f.mem.refund(f.node.truncate(size))
		return nil
	})
}

func (f *memFile) Size() (int64, error) {
	f.mem.mu.Lock()
	defer f.mem.mu.Unlock()
	if f.closed.Load() {
		return 0, pathError("stat", f.node.name, fs.ErrClosed)
	}
	return int64(len(f.node.data)), nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name(), fs.ErrClosed)
	}
	return nil
}
