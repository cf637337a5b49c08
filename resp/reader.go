package resp

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/primatomic/primatomic/command"
)

// source is where a reader gets its bytes.
type source interface {
	// Read waits for bytes. Fewer than asked for means that no more had arrived.
	Read(p []byte) (int, error)
	// Poll does not wait: errWouldBlock if nothing has arrived.
	Poll(p []byte) (int, error)
}

var errWouldBlock = errors.New("resp: nothing has arrived")

// reader turns the bytes of a source into submissions. Its memory grows with the bytes that have
// arrived, at most fourfold, never with what has been announced, and shrinks when they are answered.
type reader struct {
	src     source
	limits  *Limits
	buffers *command.Budget
	arrived *atomic.Uint64 // bytes read, for the statistics

	b     *batch // small, or borrowed
	small batch
	taken int64 // from the budget, for b.buf

	// Positions in b.buf: first <= pos <= end. Bytes before first are not needed any more, bytes before
	// pos are decoded, bytes before end have arrived.
	first, pos, end int
	scanned         int    // where the search for the end of a line goes on, if above pos
	open            frame  // the frame that has begun and not ended
	received        uint64 // bytes, in all
	more            bool   // the last read brought all that was asked for: there may be more
	err             error  // what the next call of next answers
}

// frame is a multibulk command in the middle of its arrival.
type frame struct {
	start int   // position of its first byte
	left  int   // arguments still to come; 0 if no frame is open
	bulk  int64 // what is to come of the argument whose length is known; -1 if the length is to come
	// refusal, if given, is the answer to the frame: it is read past, nothing of it is kept, and bulk
	// counts the argument's line break too.
	refusal *command.Error
}

func newReader(src source, limits *Limits, buffers *command.Budget, arrived *atomic.Uint64) *reader {
	r := &reader{src: src, limits: limits, buffers: buffers, arrived: arrived, small: newSmallBatch()}
	r.b = &r.small
	return r
}

// close returns borrowed memory. Nobody uses the reader or the calls it has returned any more.
func (r *reader) close() {
	if r.b != &r.small {
		r.b.forget()
		r.giveBack()
	}
}

// abandon leaves borrowed memory to the collector: a call that has not come to its end may still use it.
func (r *reader) abandon() {
	r.buffers.Give(r.taken)
	r.taken = 0
	r.b = &r.small
}

// next returns every complete command that has arrived, and waits for the first of them. The calls and
// their arguments are valid until it is called again. trusted says that the connection has a credential.
//
// Errors: a protocolError ends the connection. A *command.Error is the answer to a command that is too
// large; the next call goes on behind it. Others come from the source.
func (r *reader) next(trusted bool) ([]command.Call, error) {
	r.release()
	if r.err != nil {
		return nil, r.err
	}
	for {
		progress, err := r.decode(trusted)
		ready := len(r.b.frames) > 0
		switch {
		case err != nil && ready:
			r.err = err
			return r.b.submission(), nil
		case err != nil:
			return nil, err
		case ready && (progress == full || !r.more):
			return r.b.submission(), nil
		case ready:
			if r.fill(r.src.Poll) != nil { // whatever it is, the next Read finds it too
				r.more = false
			}
		default:
			r.advance()
			if err := r.fill(r.src.Read); err != nil {
				return nil, err
			}
		}
	}
}

// release forgets what has been answered, and gives borrowed memory back when little is left.
func (r *reader) release() {
	r.b.forget()
	r.advance()
	few := r.end-r.first <= smallBytes/2 && len(r.b.spans) <= smallArgs/2
	if r.b != &r.small && few {
		r.shift()
		r.b.moveTo(&r.small, r.end)
		r.giveBack()
	}
}

// advance moves first to where the undecoded bytes begin. No complete frame may be pending.
func (r *reader) advance() {
	r.first = r.pos
	if r.open.left > 0 && r.open.refusal == nil {
		r.first = r.open.start
	}
	if r.first == r.end {
		r.first, r.pos, r.end, r.scanned = 0, 0, 0, 0
	}
}

// shift moves the bytes that are needed to the front of the buffer.
func (r *reader) shift() {
	by := r.first
	if by == 0 {
		return
	}
	copy(r.b.buf, r.b.buf[by:r.end])
	for i := range r.b.spans {
		r.b.spans[i].offset -= uint32(by)
	}
	r.first, r.pos, r.end = 0, r.pos-by, r.end-by
	r.scanned -= by
	r.open.start -= by
}

// readsMax bounds reads that bring neither bytes nor an error.
const readsMax = 16

func (r *reader) fill(read func([]byte) (int, error)) error {
	r.makeRoom()
	room := r.b.buf[r.end:]
	if len(room) == 0 {
		return errWouldBlock
	}
	for range readsMax {
		n, err := read(room)
		if n > 0 {
			r.end += n
			r.more = n == len(room)
			r.arrived.Add(uint64(n))
			r.received += uint64(n)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom provides a quarter of the buffer for the next read, or as much as the open argument lacks.
func (r *reader) makeRoom() {
	if r.roomy() {
		return
	}
	r.shift()
	if r.roomy() {
		return
	}
	size := r.roomWanted()
	if size <= len(r.b.buf) || r.grow(size) || len(r.b.frames) > 0 {
		return
	}
	r.giveUp(errBuffersFull)
	r.advance()
	r.shift()
}

// errBuffersFull refuses a command for whose arrival there is no memory.
var errBuffersFull = &command.Error{
	Code: command.NotApplied,
	Text: "too many large commands are on their way to this node",
}

func (r *reader) roomy() bool {
	room := len(r.b.buf) - r.end
	return room > 0 && (room >= len(r.b.buf)/4 || r.lacks() <= int64(room))
}

// lacks returns how many bytes the open argument lacks; of an unknown length, too many to count.
func (r *reader) lacks() int64 {
	if r.open.left == 0 || r.open.bulk < 0 || r.open.refusal != nil {
		return sizeMax
	}
	return int64(r.pos) + r.open.bulk + 2 - int64(r.end)
}

// roomWanted returns the size of a buffer that suffices for now: up to four times what there is, and not
// beyond what the open argument needs. While complete frames are pending it is no more than a submission.
func (r *reader) roomWanted() int {
	size := 4 * int64(len(r.b.buf))
	size = min(size, max(int64(r.end)+r.lacks(), largeBytes))
	most := int64(r.limits.CommandBytes) + int64(r.limits.InlineBytes) + largeBytes
	if len(r.b.frames) > 0 {
		most = int64(r.limits.SubmissionBytes)
	}
	return int(min(size, most))
}

// grow enlarges the buffer to a size, or to what needs no budget. It reports false if that is no more
// than there is: then all connections together hold too much.
func (r *reader) grow(size int) bool {
	if r.b == &r.small {
		r.borrow()
	}
	if !r.pay(size) {
		size = r.free()
	}
	if len(r.b.buf) < size {
		buf := make([]byte, size)
		copy(buf, r.b.buf[:r.end])
		r.b.buf = buf
	}
	return len(r.b.buf)-r.end > 0
}

// free is the size of a buffer that does not count. The longest line fits.
func (r *reader) free() int { return largeBytes + r.limits.InlineBytes }

// pay takes from the budget what a buffer of a size costs beyond what has been taken for it.
func (r *reader) pay(size int) bool {
	cost := int64(size-r.free()) - r.taken
	if cost <= 0 {
		return true
	}
	if !r.buffers.Take(cost) {
		return false
	}
	r.taken += cost
	return true
}

// borrow exchanges the connection's own memory for a large batch.
func (r *reader) borrow() {
	large := largeBatches.Get().(*batch)
	if !r.pay(len(large.buf)) {
		large.buf = make([]byte, largeBytes)
	}
	r.small.moveTo(large, r.end)
	r.small.spans, r.small.frames = r.small.spans[:0], r.small.frames[:0]
	r.b = large
}

// giveBack exchanges it back. What is still needed has been moved.
func (r *reader) giveBack() {
	r.buffers.Give(r.taken)
	r.taken = 0
	r.b.giveBack()
	r.b = &r.small
}
