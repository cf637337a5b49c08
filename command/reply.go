package command

import (
	"math"
	"slices"
	"strconv"
)

// Reply is an answer under construction: functions of commands append to it in order. It speaks
// RESP2 or RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/); the methods are
// named after what RESP3 can say, and RESP2 gets what Redis sends a RESP2 client in its place. A
// Reply may hold the answers of many calls, one after the other. The zero value speaks RESP2.
type Reply struct {
	buf   []byte
	proto int
	code  Code
	tally *ErrorTally
}

// NewReply returns an empty reply in the given protocol, 2 or 3, that appends to buf.
func NewReply(proto int, buf []byte) *Reply { return &Reply{buf: buf[:0], proto: proto} }

// CountErrors has the errors that are appended from now on counted. nil ends it.
func (r *Reply) CountErrors(tally *ErrorTally) { r.tally = tally }

// SetProto changes the protocol of what is appended from now on.
func (r *Reply) SetProto(proto int) { r.proto = proto }

// Bytes returns what has been appended. It stays valid until the next append or Reset.
func (r *Reply) Bytes() []byte { return r.buf }

// Len returns how many bytes have been appended.
func (r *Reply) Len() int { return len(r.buf) }

// Code returns the code of the last error appended since the last Reset, or OK.
func (r *Reply) Code() Code { return r.code }

// Reset empties the reply and keeps its memory.
func (r *Reply) Reset() { r.buf, r.code = r.buf[:0], OK }

// Use empties the reply and gives it other memory to append to.
func (r *Reply) Use(buf []byte) { r.buf, r.code = buf[:0], OK }

// Truncate takes back what was appended after the first n bytes.
func (r *Reply) Truncate(n int) { r.buf, r.code = r.buf[:n], OK }

// Mark forgets the error of earlier answers, so that Code speaks of what follows, and returns Len.
func (r *Reply) Mark() int {
	r.code = OK
	return len(r.buf)
}

// Grow makes room for n bytes more, so that appending them moves nothing.
func (r *Reply) Grow(n int) { r.buf = slices.Grow(r.buf, n) }

// Raw appends bytes that are whole replies already, in this reply's protocol.
func (r *Reply) Raw(b []byte) { r.buf = append(r.buf, b...) }

// Status appends a simple string. It must hold no line break.
func (r *Reply) Status(s string) { r.line('+', s) }

// OK appends the simple string OK.
func (r *Reply) OK() { r.buf = append(r.buf, "+OK\r\n"...) }

// Error appends an error and notes its code.
func (r *Reply) Error(e *Error) {
	r.code = e.Code
	r.tally.count(e.Code)
	r.buf = append(r.buf, '-')
	r.buf = append(r.buf, e.Code.Prefix()...)
	r.buf = append(r.buf, ' ')
	for i := 0; i < len(e.Text); i++ { // a text may quote what a client sent
		b := e.Text[i]
		if b == '\r' || b == '\n' {
			b = ' '
		}
		r.buf = append(r.buf, b)
	}
	r.buf = append(r.buf, '\r', '\n')
}

// Int appends an integer.
func (r *Reply) Int(n int64) { r.number(':', n) }

// Bool01 appends 1 or 0, as commands older than RESP3 answer yes and no.
func (r *Reply) Bool01(b bool) {
	if b {
		r.Int(1)
	} else {
		r.Int(0)
	}
}

// Bulk appends a string of any bytes. The bytes are copied.
func (r *Reply) Bulk(b []byte) {
	r.number('$', int64(len(b)))
	r.buf = append(r.buf, b...)
	r.buf = append(r.buf, '\r', '\n')
}

// BulkString appends a string.
func (r *Reply) BulkString(s string) {
	r.number('$', int64(len(s)))
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, '\r', '\n')
}

// Null appends the absence of a value.
func (r *Reply) Null() {
	if r.proto == 3 {
		r.buf = append(r.buf, "_\r\n"...)
		return
	}
	r.buf = append(r.buf, "$-1\r\n"...)
}

// NullArray appends the absence of an array, as an aborted EXEC answers.
func (r *Reply) NullArray() {
	if r.proto == 3 {
		r.buf = append(r.buf, "_\r\n"...)
		return
	}
	r.buf = append(r.buf, "*-1\r\n"...)
}

// Array announces n elements that follow.
func (r *Reply) Array(n int) { r.number('*', int64(n)) }

// Push announces n elements that follow, of a message that answers nothing. RESP2 gets an array.
func (r *Reply) Push(n int) {
	if r.proto == 3 {
		r.number('>', int64(n))
		return
	}
	r.number('*', int64(n))
}

// Map announces n pairs that follow, keys and values in turn. RESP2 gets an array of 2n.
func (r *Reply) Map(n int) {
	if r.proto == 3 {
		r.number('%', int64(n))
		return
	}
	r.number('*', 2*int64(n))
}

// Set announces n elements in no order. RESP2 gets an array.
func (r *Reply) Set(n int) {
	if r.proto == 3 {
		r.number('~', int64(n))
		return
	}
	r.number('*', int64(n))
}

// BeginArray starts an array whose length is known only at its end, and returns the mark that
// EndArray needs.
func (r *Reply) BeginArray() (mark int) { return len(r.buf) }

// EndArray closes the array begun at mark, which has n elements.
func (r *Reply) EndArray(mark, n int) {
	body := len(r.buf) - mark
	r.number('*', int64(n))
	head := len(r.buf) - mark - body
	var header [24]byte
	copy(header[:], r.buf[mark+body:])
	copy(r.buf[mark+head:], r.buf[mark:mark+body])
	copy(r.buf[mark:], header[:head])
}

// Double appends a floating-point number, shortest form that reads back the same. RESP2 gets a bulk
// string.
func (r *Reply) Double(f float64) {
	text := formatDouble(f)
	if r.proto == 3 {
		r.line(',', text)
		return
	}
	r.BulkString(text)
}

// Bool appends true or false. RESP2 gets 1 or 0.
func (r *Reply) Bool(b bool) {
	switch {
	case r.proto != 3:
		r.Bool01(b)
	case b:
		r.buf = append(r.buf, "#t\r\n"...)
	default:
		r.buf = append(r.buf, "#f\r\n"...)
	}
}

// Verbatim appends a text for people to read, as INFO does. RESP2 gets a bulk string.
func (r *Reply) Verbatim(text string) {
	if r.proto != 3 {
		r.BulkString(text)
		return
	}
	r.number('=', int64(len(text)+4))
	r.buf = append(r.buf, "txt:"...)
	r.buf = append(r.buf, text...)
	r.buf = append(r.buf, '\r', '\n')
}

func (r *Reply) line(kind byte, s string) {
	r.buf = append(r.buf, kind)
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, '\r', '\n')
}

func (r *Reply) number(kind byte, n int64) {
	r.buf = append(r.buf, kind)
	r.buf = strconv.AppendInt(r.buf, n, 10)
	r.buf = append(r.buf, '\r', '\n')
}

func formatDouble(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
