package resp

import (
	"bytes"
	"math"

	"github.com/primatomic/primatomic/command"
)

// protocolError is a frame that breaks the protocol. The texts are Redis' own (networking.c).
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

const (
	errInlineLength   protocolError = "too big inline request"
	errQuotes         protocolError = "unbalanced quotes in request"
	errCountLength    protocolError = "too big mbulk count string"
	errCount          protocolError = "invalid multibulk length"
	errCountAnonymous protocolError = "unauthenticated multibulk length"
	errBulkLength     protocolError = "too big bulk count string"
	errBulk           protocolError = "invalid bulk length"
	errBulkAnonymous  protocolError = "unauthenticated bulk length"
)

// progress is how a step of the decoder ended.
type progress uint8

const (
	advanced progress = iota
	starved           // the next bytes have not arrived
	full              // the pending frames must be answered before the decoder may go on
)

// decode goes through the bytes that have arrived, until they or a submission's limits are exhausted.
func (r *reader) decode(trusted bool) (progress, error) {
	for {
		if len(r.b.frames) == 0 {
			r.advance()
		}
		step, err := r.step(trusted)
		if err != nil || step != advanced {
			return step, err
		}
	}
}

func (r *reader) step(trusted bool) (progress, error) {
	switch {
	case r.open.left > 0 && r.open.bulk < 0:
		return r.bulkLength(trusted)
	case r.open.left > 0 && r.open.refusal != nil:
		return r.skipBulk()
	case r.open.left > 0:
		return r.bulk()
	case len(r.b.frames) >= r.limits.SubmissionCalls || r.pos-r.first >= r.limits.SubmissionBytes:
		return full, nil
	case r.pos == r.end:
		return starved, nil
	case r.b.buf[r.pos] == '*':
		return r.count(trusted)
	}
	return r.inline()
}

// count reads the line that begins a multibulk command.
func (r *reader) count(trusted bool) (progress, error) {
	line, size, err := r.line(errCountLength)
	if line == nil {
		return starved, err
	}
	n, ok := parseLength(line[1:])
	if !ok || n > int64(r.limits.CommandArgs) {
		return starved, errCount
	}
	if !trusted && n > int64(r.limits.AnonymousArgs) {
		return r.whenAnswered(errCountAnonymous)
	}
	if n > 0 {
		r.open = frame{start: r.pos, left: int(n), bulk: -1}
	}
	r.pos += size
	return advanced, nil
}

// bulkLength reads the line that announces an argument.
func (r *reader) bulkLength(trusted bool) (progress, error) {
	line, size, err := r.line(errBulkLength)
	if line == nil {
		return starved, err
	}
	if first := r.b.buf[r.pos : r.pos+1]; first[0] != '$' {
		return starved, protocolError("expected '$', got '" + string(first) + "'")
	}
	n, ok := parseLength(line[1:])
	if !ok || n < 0 || n > r.limits.BulkBytesSkipped {
		return starved, errBulk
	}
	if !trusted && n > int64(r.limits.AnonymousBulkBytes) {
		return r.whenAnswered(errBulkAnonymous)
	}
	if r.open.refusal == nil && r.tooLarge(int64(size), n) {
		if len(r.b.frames) > 0 {
			return full, nil
		}
		r.giveUp(command.ErrLargeValue)
	}
	r.pos += size
	r.open.bulk = n
	if r.open.refusal != nil {
		r.open.bulk += 2 // its line break is not looked at
	}
	return advanced, nil
}

// whenAnswered returns an error that depends on the connection's credential: pending frames, an AUTH
// among them perhaps, go first, and then the line is looked at again.
func (r *reader) whenAnswered(err error) (progress, error) {
	if len(r.b.frames) > 0 {
		return full, nil
	}
	return starved, err
}

// tooLarge reports whether an argument of n bytes, announced by a line, must be read past, and with it
// its frame.
func (r *reader) tooLarge(line, n int64) bool {
	return n > int64(r.limits.BulkBytes) ||
		int64(r.pos-r.open.start)+line+n > int64(r.limits.CommandBytes)
}

// bulk takes an argument, once all of it has arrived.
func (r *reader) bulk() (progress, error) {
	end := int64(r.pos) + r.open.bulk
	if end+2 > int64(r.end) {
		return starved, nil
	}
	if r.b.buf[end] != '\r' || r.b.buf[end+1] != '\n' {
		return starved, errBulk
	}
	r.addArg(r.pos, int(r.open.bulk))
	r.pos = int(end) + 2
	r.open.bulk = -1
	r.open.left--
	if r.open.left == 0 {
		r.closeFrame()
	}
	return advanced, nil
}

// addArg notes an argument of the open frame.
func (r *reader) addArg(offset, size int) {
	if r.b == &r.small && len(r.b.spans) == smallArgs {
		r.borrow()
	}
	r.b.spans = append(r.b.spans, span{uint32(offset), uint32(size)})
}

// closeFrame makes the arguments since the last complete frame a frame.
func (r *reader) closeFrame() {
	if r.b == &r.small && len(r.b.frames) == smallCalls {
		r.borrow()
	}
	r.b.frames = append(r.b.frames, len(r.b.spans))
}

// giveUp refuses the open frame: nothing of it is kept, and its rest is read past.
func (r *reader) giveUp(refusal *command.Error) {
	r.b.spans = r.b.spans[:0]
	r.open.refusal = refusal
	if r.open.bulk >= 0 {
		r.open.bulk += 2
	}
}

// skipBulk reads past what has arrived of an argument of a refused frame. At the end of the frame it
// answers for it.
func (r *reader) skipBulk() (progress, error) {
	n := min(r.open.bulk, int64(r.end-r.pos))
	r.pos += int(n)
	r.open.bulk -= n
	if r.open.bulk > 0 {
		return starved, nil
	}
	r.open.bulk = -1
	r.open.left--
	if r.open.left > 0 {
		return advanced, nil
	}
	refusal := r.open.refusal
	r.open.refusal = nil
	return starved, refusal
}

// line returns the line at pos and its size with the line break, or nil if it has not arrived. A line
// that cannot be a number any more is an error of its own.
func (r *reader) line(tooLong error) (line []byte, size int, err error) {
	from, to := max(r.pos, r.scanned), min(r.end, r.pos+r.limits.InlineBytes)
	i := bytes.IndexByte(r.b.buf[from:to], '\n')
	if i < 0 {
		r.scanned = to
		if to < r.end {
			return nil, 0, tooLong
		}
		return nil, 0, nil
	}
	size = from + i + 1 - r.pos
	line = r.b.buf[r.pos : r.pos+size]
	if size > 1 && line[size-2] == '\r' {
		return line[:size-2], size, nil
	}
	return line, size, nil
}

// parseLength reads a decimal integer as Redis does (string2ll): no plus, no leading zeros, no blanks.
func parseLength(b []byte) (n int64, ok bool) {
	if len(b) == 1 && b[0] == '0' {
		return 0, true
	}
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 || b[0] == '0' {
		return 0, false
	}
	var u uint64 // 19 digits fit
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if u > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(u), true
	}
	return int64(u), true
}
