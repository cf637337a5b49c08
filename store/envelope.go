package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
)

// A log entry is an envelope:
//
//	version     1 byte, envelopeVersion
//	flags       1 byte, entryFlags
//	log time    uvarint, ms since the epoch
//	seed        8 bytes, for everything random that apply does
//	memory      uvarint, bytes from which on calls that grow are refused, 0 for no limit
//	reap        uvarint, how many expired keys to remove before the calls
//	calls       until the end
//
// and a call in it:
//
//	flags       1 byte, below
//	origin      uvarint node, process, sequence; absent with sameOrigin: the previous one, sequence + 1
//	caller      credential (uvarint length, bytes), namespace; absent with sameCaller
//	client      uvarint session, uvarint sequence; only with hasClient
//	arguments   uvarint count, each uvarint length and bytes; the first is the command's name
//	transaction only with isTransaction: watches (uvarint count, each namespace, key, uvarint revision,
//	            1 byte alive) and calls (uvarint count, each 1 byte present, namespace, arguments)
//
// A namespace is uvarint id and varint number. Names and not table positions stand in the log, because
// an old log must mean the same under a new binary.
const envelopeVersion = 1

const (
	orderDigest = 1 << iota // every node hashes its state as of this entry

	entryFlags = orderDigest
)

const (
	sameOrigin = 1 << iota
	sameCaller
	hasClient
	isTransaction

	callFlags = sameOrigin | sameCaller | hasClient | isTransaction
)

// origin names a call for ever: the node that took it in, the node's process number (raised and synced
// at every start) and a sequence within the process.
type origin struct {
	Node     uint64
	Process  uint64
	Sequence uint64
}

// caller is in whose name, and in which namespace, a call is carried out.
type caller struct {
	Credential string
	Namespace  engine.Ref
}

// header is what an entry says once for all its calls.
type header struct {
	LogTime   int64 // ms
	Seed      uint64
	Reap      int
	MemoryMax int64 // bytes
	Digest    bool  // every node hashes its state as of this entry
}

// envelope is an entry under construction.
type envelope struct {
	buf    []byte
	calls  int
	follow bool // the next call may refer to the one before
	origin origin
	caller caller
}

// begin starts an entry in memory that becomes the entry's own.
func (e *envelope) begin(buf []byte, h header) {
	flags := byte(0)
	if h.Digest {
		flags |= orderDigest
	}
	buf = append(buf[:0], envelopeVersion, flags)
	buf = binary.AppendUvarint(buf, uint64(h.LogTime))
	buf = binary.LittleEndian.AppendUint64(buf, h.Seed)
	buf = binary.AppendUvarint(buf, uint64(h.MemoryMax))
	buf = binary.AppendUvarint(buf, uint64(h.Reap))
	*e = envelope{buf: buf}
}

// chunk begins a sequence of calls without an entry's header, to be sent to the node that makes the entry.
func (e *envelope) chunk(buf []byte) { *e = envelope{buf: buf} }

// addChunk appends the calls of a chunk that another node has made.
func (e *envelope) addChunk(calls []byte, count int) {
	e.buf = append(e.buf, calls...)
	e.calls += count
	e.follow = false
}

// add appends a call.
func (e *envelope) add(from origin, c *command.Call) {
	who := caller{c.Credential, c.Namespace}
	flags := byte(0)
	next := e.origin
	next.Sequence++
	if e.follow && from == next {
		flags |= sameOrigin
	}
	if e.follow && who == e.caller {
		flags |= sameCaller
	}
	if c.Client != (command.Client{}) {
		flags |= hasClient
	}
	if c.Sub != nil {
		flags |= isTransaction
	}
	e.buf = append(e.buf, flags)
	if flags&sameOrigin == 0 {
		e.buf = binary.AppendUvarint(e.buf, from.Node)
		e.buf = binary.AppendUvarint(e.buf, from.Process)
		e.buf = binary.AppendUvarint(e.buf, from.Sequence)
	}
	if flags&sameCaller == 0 {
		e.buf = appendBytes(e.buf, who.Credential)
		e.buf = appendRef(e.buf, who.Namespace)
	}
	if flags&hasClient != 0 {
		e.buf = binary.AppendUvarint(e.buf, c.Client.Session)
		e.buf = binary.AppendUvarint(e.buf, c.Client.Sequence)
	}
	e.buf = appendArgs(e.buf, c.Args)
	if c.Sub != nil {
		e.buf = appendTransaction(e.buf, c)
	}
	e.origin, e.caller, e.follow = from, who, true
	e.calls++
}

func appendTransaction(buf []byte, c *command.Call) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(c.Watched)))
	for i := range c.Watched {
		w := &c.Watched[i]
		buf = appendRef(buf, w.Namespace)
		buf = appendBytes(buf, w.Key)
		buf = binary.AppendUvarint(buf, w.Revision)
		buf = append(buf, boolByte(w.Alive))
	}
	buf = binary.AppendUvarint(buf, uint64(len(c.Sub)))
	for i := range c.Sub {
		sub := &c.Sub[i]
		buf = append(buf, boolByte(sub.Spec != nil))
		if sub.Spec == nil { // answered on the connection: only its place counts
			continue
		}
		buf = appendRef(buf, sub.Namespace)
		buf = appendArgs(buf, sub.Args)
	}
	return buf
}

// callBytes is an upper bound of what add will append for a call.
func callBytes(c *command.Call) int {
	const numbers = 7*binary.MaxVarintLen64 + 1 // origin, namespace, client, flags
	n := numbers + binary.MaxVarintLen64 + len(c.Credential) + argsBytes(c.Args)
	for i := range c.Watched {
		n += numbers + len(c.Watched[i].Key)
	}
	for i := range c.Sub {
		n += numbers + argsBytes(c.Sub[i].Args)
	}
	return n
}

func argsBytes(args [][]byte) int {
	n := binary.MaxVarintLen64
	for _, arg := range args {
		n += binary.MaxVarintLen32 + len(arg)
	}
	return n
}

func appendArgs(buf []byte, args [][]byte) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(args)))
	for _, arg := range args {
		buf = appendBytes(buf, arg)
	}
	return buf
}

func appendBytes[T string | []byte](buf []byte, b T) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(b)))
	return append(buf, b...)
}

func appendRef(buf []byte, ref engine.Ref) []byte {
	buf = binary.AppendUvarint(buf, ref.ID)
	return binary.AppendVarint(buf, int64(ref.Number))
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

var (
	errEnvelope      = errors.New("store: log entry is not well formed")
	errNewerEnvelope = errors.New("store: log entry was written by a newer version: " +
		"start a newer binary on this data directory")
)

// queuedMax bounds the calls of a transaction, because in memory each takes much more than the one byte
// that it may take in the log. The bound on a transaction's bytes keeps them far below.
const queuedMax = 1 << 20

// opened is an entry being read. It reuses its memory between entries; what it hands out aliases the
// entry and is valid until the next call of next or open.
type opened struct {
	header
	rest   []byte
	calls  int
	origin origin
	caller caller
	call   command.Call
	args   [][]byte
}

// open reads the entry's header.
func (o *opened) open(data []byte) error {
	if len(data) < 2 {
		return errEnvelope
	}
	if data[0] != envelopeVersion || data[1]&^entryFlags != 0 {
		return fmt.Errorf("%w: version %d, flags %x", errNewerEnvelope, data[0], data[1])
	}
	d := decoder{rest: data[2:]}
	o.Digest = data[1]&orderDigest != 0
	o.LogTime = int64(d.uvarint())
	o.Seed = d.fixed64()
	o.MemoryMax = int64(d.uvarint())
	o.Reap = int(d.uvarint())
	o.rest, o.calls = d.rest, 0
	if d.bad || o.LogTime < 0 || o.MemoryMax < 0 || o.Reap < 0 {
		return errEnvelope
	}
	return nil
}

// openChunk reads calls that stand behind no header.
func (o *opened) openChunk(calls []byte) {
	o.header, o.rest, o.calls = header{}, calls, 0
}

// more reports whether another call follows.
func (o *opened) more() bool { return len(o.rest) > 0 }

// next reads the next call into o.call and o.origin.
func (o *opened) next() error {
	d := decoder{rest: o.rest, args: o.args[:0]}
	flags := d.byte()
	switch {
	case flags&^callFlags != 0:
		return fmt.Errorf("%w: a call with flags %x", errNewerEnvelope, flags)
	case flags&sameOrigin == 0:
		o.origin = origin{d.uvarint(), d.uvarint(), d.uvarint()}
	case o.calls == 0:
		return errEnvelope
	default:
		o.origin.Sequence++
	}
	switch {
	case flags&sameCaller == 0:
		credential := d.bytes()
		if string(credential) != o.caller.Credential { // most entries have few callers
			o.caller.Credential = string(credential)
		}
		o.caller.Namespace = d.ref()
	case o.calls == 0:
		return errEnvelope
	}
	o.call = command.Call{Credential: o.caller.Credential, Namespace: o.caller.Namespace}
	if flags&hasClient != 0 {
		o.call.Client = command.Client{Session: d.uvarint(), Sequence: d.uvarint()}
	}
	o.call.Args = d.arguments()
	if flags&isTransaction != 0 {
		d.transaction(&o.call)
	}
	o.args = d.args
	o.rest = d.rest
	o.calls++
	if d.bad || len(o.call.Args) == 0 {
		return errEnvelope
	}
	return nil
}

// decoder takes an entry apart. Once something did not fit, bad stays true and the rest is empty, so
// that every loop below ends.
type decoder struct {
	rest []byte
	args [][]byte // memory of the arguments of all calls of one transaction
	bad  bool
}

func (d *decoder) fail() {
	d.bad, d.rest = true, nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) fixed64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	n := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return n
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) ref() engine.Ref {
	id := d.uvarint()
	number, size := binary.Varint(d.rest)
	if size <= 0 || number < -1 || number > 15 {
		d.fail()
		return engine.Ref{}
	}
	d.rest = d.rest[size:]
	return engine.Ref{ID: id, Number: int16(number)}
}

// count reads how many elements follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) arguments() [][]byte {
	n := d.count()
	from := len(d.args)
	for range n {
		d.args = append(d.args, d.bytes())
	}
	return d.args[from:len(d.args):len(d.args)]
}

func (d *decoder) transaction(c *command.Call) {
	for n := d.count(); len(c.Watched) < n && !d.bad; {
		c.Watched = append(c.Watched, command.Watch{
			Namespace: d.ref(), Key: d.bytes(), Revision: d.uvarint(), Alive: d.byte() != 0,
		})
	}
	n := d.count()
	if n > queuedMax {
		d.fail()
	}
	for c.Sub = []command.Call{}; len(c.Sub) < n && !d.bad; {
		sub := command.Call{Credential: c.Credential}
		if d.byte() != 0 {
			sub.Namespace, sub.Args = d.ref(), d.arguments()
		}
		c.Sub = append(c.Sub, sub)
	}
}
