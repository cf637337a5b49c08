package command

import (
	"testing"

	"github.com/primatomic/primatomic/engine"
)

// tenant is the credential that tests work for.
const tenant = "tenant"

// local carries calls out on a state of its own, without a log: what package store does around the
// functions of the rows, and nothing more.
type local struct {
	registry *Registry
	state    *engine.State
	now      int64 // log time, ms
	ref      engine.Ref
	reply    *Reply
	call     Call
	used     map[string]bool // full names of the rows that were carried out
}

func newLocal() *local { return newLocalWith(NewRegistry()) }

func newLocalWith(registry *Registry) *local {
	return &local{
		registry: registry, state: engine.New([16]byte{1}), now: 1_000_000, reply: NewReply(2, nil),
		used: map[string]bool{},
	}
}

// do carries one command line out and returns the answer, valid until the next call.
func (l *local) do(args ...[]byte) []byte {
	l.reply.Reset()
	c := &l.call
	*c = Call{Args: args, Credential: tenant, Namespace: l.ref}
	if err := l.registry.Prepare(c); err != nil {
		l.reply.Error(err)
		return l.reply.Bytes()
	}
	l.used[c.Spec.FullName()] = true
	switch c.Spec.Class() {
	case Read:
		l.read(c)
	case Write:
		l.write(c)
	}
	return l.reply.Bytes()
}

func (l *local) read(c *Call) {
	for {
		tick, err := l.state.Read(tenant, c.Namespace, l.now, func(v *engine.View) { c.Spec.Read(v, c, l.reply) })
		if err != nil {
			panic(err)
		}
		if tick == 0 {
			return
		}
		l.reply.Reset()
		l.state.Begin(tick, 1).End()
	}
}

func (l *local) write(c *Call) {
	batch := l.state.Begin(l.now, 1)
	defer batch.End()
	tx, err := batch.Tx(tenant, c.Namespace)
	if err != nil {
		panic(err)
	}
	c.Spec.Write(tx, c, l.reply)
	if l.reply.Code() != OK {
		tx.Rollback()
		return
	}
	tx.Commit()
}

func line(words ...string) [][]byte {
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	return args
}

// BenchmarkSet overwrites an existing key: gate and function, without log and network.
func BenchmarkSet(b *testing.B) {
	l, args := newLocal(), line("SET", "key:000000001", "a value of some thirty bytes or so")
	l.do(args...)
	b.ReportAllocs()
	for b.Loop() {
		l.do(args...)
	}
}

// BenchmarkSetOptions is BenchmarkSet with a deadline and a condition.
func BenchmarkSetOptions(b *testing.B) {
	l := newLocal()
	args := line("SET", "key:000000001", "a value of some thirty bytes or so", "XX", "PX", "60000")
	l.do(args[:3]...)
	b.ReportAllocs()
	for b.Loop() {
		l.do(args...)
	}
}

// BenchmarkGet reads an existing key.
func BenchmarkGet(b *testing.B) {
	l := newLocal()
	l.do(line("SET", "key:000000001", "a value of some thirty bytes or so")...)
	args := line("GET", "key:000000001")
	b.ReportAllocs()
	for b.Loop() {
		l.do(args...)
	}
}

// BenchmarkPrepare is the gate alone.
func BenchmarkPrepare(b *testing.B) {
	registry := NewRegistry()
	for name, args := range map[string][][]byte{
		"get": line("get", "key"), "set": line("set", "key", "value"),
		"set options": line("set", "key", "value", "px", "100", "nx", "get"),
	} {
		b.Run(name, func(b *testing.B) {
			c := Call{Args: args}
			b.ReportAllocs()
			for b.Loop() {
				if err := registry.Prepare(&c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
