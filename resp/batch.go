package resp

import (
	"sync"

	"github.com/primatomic/primatomic/command"
)

// batch is the memory of one submission: the bytes as they arrived, and the commands found in them.
type batch struct {
	buf    []byte // arrived bytes are a prefix of it
	spans  []span // arguments in order: of the complete frames, then of the open one
	frames []int  // of each complete frame, the number of spans up to its end
	args   [][]byte
	calls  []command.Call
}

// span is where an argument stands in the buffer.
type span struct{ offset, size uint32 }

// The memory that a connection owns. It suffices for a client that sends one command at a time; what
// needs more borrows a large batch while it lasts.
const (
	smallBytes = 4 << 10
	smallCalls = 4
	smallArgs  = 32
)

// The memory of a borrowed batch, and the most of it that goes back to the pool.
const (
	largeBytes    = 64 << 10
	largeBytesMax = 2 << 20
	largeArgsMax  = 64 << 10
)

var largeBatches = sync.Pool{New: func() any { return &batch{buf: make([]byte, largeBytes)} }}

func newSmallBatch() batch {
	return batch{
		buf:    make([]byte, smallBytes),
		spans:  make([]span, 0, smallArgs),
		frames: make([]int, 0, smallCalls),
		args:   make([][]byte, 0, smallArgs),
		calls:  make([]command.Call, 0, smallCalls),
	}
}

// submission returns the complete frames as calls whose arguments alias the buffer.
func (b *batch) submission() []command.Call {
	total := b.frames[len(b.frames)-1]
	if cap(b.args) < total {
		b.args = make([][]byte, 0, cap(b.spans))
	}
	if cap(b.calls) < len(b.frames) {
		b.calls = make([]command.Call, 0, cap(b.frames))
	}
	b.args, b.calls = b.args[:total], b.calls[:len(b.frames)]
	for i, s := range b.spans[:total] {
		b.args[i] = b.buf[s.offset : s.offset+s.size : s.offset+s.size]
	}
	begin := 0
	for i, end := range b.frames {
		b.calls[i] = command.Call{Args: b.args[begin:end:end]}
		begin = end
	}
	return b.calls
}

// forget drops the complete frames, and what their calls refer to, and keeps the open one.
func (b *batch) forget() {
	clear(b.calls)
	clear(b.args)
	b.calls, b.args = b.calls[:0], b.args[:0]
	if len(b.frames) > 0 {
		done := b.frames[len(b.frames)-1]
		b.spans = b.spans[:copy(b.spans, b.spans[done:])]
		b.frames = b.frames[:0]
	}
}

// moveTo copies the first n bytes and what was found in them to another batch.
func (b *batch) moveTo(to *batch, n int) {
	copy(to.buf, b.buf[:n])
	to.spans = append(to.spans[:0], b.spans...)
	to.frames = append(to.frames[:0], b.frames...)
}

// giveBack returns a borrowed batch to the pool, without what was unusually large.
func (b *batch) giveBack() {
	if len(b.buf) > largeBytesMax {
		b.buf = make([]byte, largeBytes)
	}
	if cap(b.spans) > largeArgsMax || cap(b.args) > largeArgsMax {
		b.spans, b.args = nil, nil
	}
	b.spans, b.frames = b.spans[:0], b.frames[:0]
	largeBatches.Put(b)
}
