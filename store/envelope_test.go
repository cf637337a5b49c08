package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/command"
	"github.com/primatomic/primatomic/engine"
)

// logged is a call as it stands in an entry.
type logged struct {
	Origin origin
	Call   command.Call
}

var anySpec = &command.Spec{}

func encode(h header, all []logged) []byte {
	var e envelope
	e.begin(nil, h)
	for i := range all {
		e.add(all[i].Origin, &all[i].Call)
	}
	return e.buf
}

// decode takes an entry apart. What it returns is the caller's own.
func decode(data []byte) (header, []logged, error) {
	var o opened
	var all []logged
	if err := o.open(data); err != nil {
		return header{}, nil, err
	}
	for o.more() {
		if err := o.next(); err != nil {
			return header{}, nil, err
		}
		all = append(all, logged{o.origin, own(o.call)})
	}
	return o.header, all, nil
}

// own copies a call out of the memory of its entry, and marks the queued calls that have their arguments
// in the log, as a call that is to be encoded has them.
func own(c command.Call) command.Call {
	c.Args = ownArgs(c.Args)
	c.Sub, c.Watched = slices.Clone(c.Sub), slices.Clone(c.Watched)
	for i := range c.Sub {
		if sub := &c.Sub[i]; sub.Args != nil {
			sub.Args, sub.Spec = ownArgs(sub.Args), anySpec
		}
	}
	for i := range c.Watched {
		c.Watched[i].Key = bytes.Clone(c.Watched[i].Key)
	}
	return c
}

func ownArgs(args [][]byte) [][]byte {
	copied := make([][]byte, len(args))
	for i := range args {
		copied[i] = bytes.Clone(args[i])
	}
	return copied
}

func sameEntry(t interface {
	Helper()
	Fatalf(string, ...any)
}, gotHeader, wantHeader header, got, want []logged) {
	t.Helper()
	if gotHeader != wantHeader {
		t.Fatalf("header %+v, want %+v", gotHeader, wantHeader)
	}
	same := []cmp.Option{cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(command.Options{}), cmp.Comparer(
		func(a, b *command.Spec) bool { return (a == nil) == (b == nil) })}
	if d := cmp.Diff(want, got, same...); d != "" {
		t.Fatalf("calls differ (-want +got):\n%s", d)
	}
}

func drawNumber(t *rapid.T, label string) uint64 {
	return rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64()).Draw(t, label)
}

func drawRef(t *rapid.T) engine.Ref {
	return engine.Ref{ID: drawNumber(t, "id"), Number: int16(rapid.IntRange(-1, 15).Draw(t, "number"))}
}

func drawArgs(t *rapid.T) [][]byte {
	return rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 20), 1, 5).Draw(t, "args")
}

func drawCall(t *rapid.T) command.Call {
	c := command.Call{
		Credential: rapid.SampledFrom([]string{"a", "tenant", strings.Repeat("c", 200)}).Draw(t, "credential"),
		Namespace:  drawRef(t),
		Args:       drawArgs(t),
	}
	if rapid.Bool().Draw(t, "client") {
		c.Client = command.Client{Session: drawNumber(t, "session"), Sequence: drawNumber(t, "of session")}
	}
	if !rapid.Bool().Draw(t, "transaction") {
		return c
	}
	c.Sub = []command.Call{}
	for range rapid.IntRange(0, 4).Draw(t, "queued") {
		sub := command.Call{Credential: c.Credential}
		if rapid.Bool().Draw(t, "present") {
			sub.Spec, sub.Namespace, sub.Args = anySpec, drawRef(t), drawArgs(t)
		}
		c.Sub = append(c.Sub, sub)
	}
	for range rapid.IntRange(0, 3).Draw(t, "watched") {
		c.Watched = append(c.Watched, command.Watch{
			Namespace: drawRef(t), Key: drawArgs(t)[0], Revision: drawNumber(t, "revision"),
			Alive: rapid.Bool().Draw(t, "alive"),
		})
	}
	return c
}

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := header{
			LogTime: rapid.Int64Range(0, 1<<62).Draw(t, "time"), Seed: rapid.Uint64().Draw(t, "seed"),
			Reap: rapid.IntRange(0, 1<<20).Draw(t, "reap"), MemoryMax: rapid.Int64Min(0).Draw(t, "memory"),
			Digest: rapid.Bool().Draw(t, "digest"),
		}
		var all []logged
		from := origin{1, 2, 3}
		for range rapid.IntRange(0, 6).Draw(t, "calls") {
			switch rapid.IntRange(0, 2).Draw(t, "origin") {
			case 0:
				from.Sequence++
			case 1:
				from = origin{drawNumber(t, "node"), drawNumber(t, "process"), drawNumber(t, "sequence")}
			}
			all = append(all, logged{from, drawCall(t)})
		}
		data := encode(h, all)
		gotHeader, got, err := decode(data)
		if err != nil {
			t.Fatalf("%v: %x", err, data)
		}
		sameEntry(t, gotHeader, h, got, all)
	})
}

func TestCallBytesIsAnUpperBound(t *testing.T) {
	most := command.Call{
		Credential: "c", Namespace: engine.Ref{ID: 1<<64 - 1, Number: 15}, Args: [][]byte{nil},
		Client: command.Client{Session: 1<<64 - 1, Sequence: 1<<64 - 1}, Sub: []command.Call{},
	}
	check := func(fatalf func(string, ...any), from origin, c *command.Call) {
		var e envelope
		e.begin(nil, header{})
		before := len(e.buf)
		e.add(from, c)
		if n := len(e.buf) - before; n > callBytes(c) {
			fatalf("a call of %d bytes was taken for one of %d", n, callBytes(c))
		}
	}
	largest := origin{1<<64 - 1, 1<<64 - 1, 1<<64 - 1}
	check(t.Fatalf, largest, &most)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCall(t)
		check(t.Fatalf, largest, &c)
	})
}

func TestEnvelopeIsRefused(t *testing.T) {
	call := command.Call{Credential: "c", Args: [][]byte{[]byte("get")}}
	good := encode(header{LogTime: 1, Seed: 2}, []logged{{origin{1, 1, 1}, call}})
	headerBytes := len(encode(header{LogTime: 1, Seed: 2}, nil))
	changed := func(at int, b byte) []byte {
		data := bytes.Clone(good)
		data[at] = b
		return data
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "not well formed"},
		{"a newer version", changed(0, envelopeVersion+1), "start a newer binary"},
		{"an unknown flag", changed(1, 1<<7), "start a newer binary"},
		{"an unknown flag of a call", changed(headerBytes, 1<<7), "start a newer binary"},
		{"no earlier origin", changed(headerBytes, sameOrigin), "not well formed"},
		{"no earlier caller", changed(headerBytes, sameCaller), "not well formed"},
		{"a time before all time",
			binary.AppendUvarint([]byte{envelopeVersion, 0}, 1<<63), "not well formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := decode(tt.data)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
	for n := headerBytes + 1; n < len(good); n++ {
		if _, _, err := decode(good[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken for a whole entry", n, len(good))
		}
	}
}

func TestManyQueuedCallsAreRefused(t *testing.T) {
	many := command.Call{Credential: "c", Args: [][]byte{nil}, Sub: make([]command.Call, queuedMax+1)}
	if _, _, err := decode(encode(header{}, []logged{{origin{}, many}})); err == nil {
		t.Error("accepted")
	}
}

// FuzzEnvelope: no bytes make the reader panic or take memory beyond a multiple of theirs, and what it
// reads comes out the same when it is written again.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte{envelopeVersion, 0})
	f.Add(encode(header{LogTime: 1, Reap: 3, MemoryMax: 7}, nil))
	f.Add(encode(header{LogTime: 1}, []logged{
		{origin{1, 2, 3}, command.Call{Credential: "c", Args: [][]byte{[]byte("set"), []byte("k"), []byte("v")}}},
		{origin{1, 2, 4}, command.Call{Credential: "c", Args: [][]byte{[]byte("exec")}, Sub: []command.Call{
			{}, {Spec: anySpec, Args: [][]byte{[]byte("get"), []byte("k")}},
		}, Watched: []command.Watch{{Key: []byte("k"), Revision: 1, Alive: true}}}},
		{origin{2, 2, 4}, command.Call{Credential: "d", Args: [][]byte{nil}, Client: command.Client{Session: 1}}},
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, all, err := decode(data)
		if err != nil {
			return
		}
		held := 0
		for i := range all {
			c := &all[i].Call
			held += 1 + len(c.Args) + len(c.Sub) + len(c.Watched)
			for j := range c.Sub {
				held += len(c.Sub[j].Args)
			}
		}
		if held > len(data) {
			t.Fatalf("%d things were read out of %d bytes", held, len(data))
		}
		again, rest, err := decode(encode(h, all))
		if err != nil {
			t.Fatal(err)
		}
		sameEntry(t, again, h, rest, all)
	})
}
