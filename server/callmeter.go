package server

import (
	"context"
	"time"

	"github.com/primatomic/primatomic/command"
)

// meterShards spreads the counters of commands over memory, so that connections do not wait for each other's
// cache lines.
const meterShards = 8

// callMeter is an executor that counts calls and how long they take, by command. A call's time is that of the
// calls that were carried out with it: the clock is read twice for all of them.
type callMeter struct {
	next   command.Executor
	exec   *command.Spec
	began  time.Time
	shards [meterShards][]histogram // by the ordinal of the row; 0 counts what is no command
}

func newCallMeter(next command.Executor, registry *command.Registry) *callMeter {
	m := &callMeter{next: next, exec: registry.Lookup([]byte("exec")), began: time.Now()}
	for i := range m.shards {
		m.shards[i] = make([]histogram, registry.Ordinals())
	}
	return m
}

// Do carries calls out. See command.Executor.
func (m *callMeter) Do(
	ctx context.Context, s *command.Session, calls []command.Call, out *command.Reply,
) int {
	began := time.Since(m.began)
	n := m.next.Do(ctx, s, calls, out)
	m.note(s.ID, calls[:n], time.Since(m.began)-began)
	return n
}

// note counts calls, those of one command that follow each other at once.
func (m *callMeter) note(shard uint64, calls []command.Call, took time.Duration) {
	shards := m.shards[shard%meterShards]
	for i := 0; i < len(calls); {
		ordinal, from := m.ordinal(&calls[i]), i
		for i++; i < len(calls) && m.ordinal(&calls[i]) == ordinal; i++ {
		}
		shards[ordinal].observe(took, uint64(i-from))
	}
}

// ordinal tells where a call is counted. An EXEC may have been given another row on its way.
func (m *callMeter) ordinal(c *command.Call) int {
	switch {
	case c.Sub != nil:
		return m.exec.Ordinal()
	case c.Spec == nil:
		return 0
	}
	return c.Spec.Ordinal()
}

// tally returns what was counted of a command.
func (m *callMeter) tally(ordinal int) (t tally) {
	for i := range m.shards {
		t.add(&m.shards[i][ordinal])
	}
	return t
}

// each calls fn for every command that was called, by its full name.
func (m *callMeter) each(registry *command.Registry, fn func(name string, t *tally)) {
	one := func(name string, ordinal int) {
		if t := m.tally(ordinal); t.total() > 0 {
			fn(name, &t)
		}
	}
	one("unknown", 0)
	for _, row := range registry.Rows() {
		one(row.FullName(), row.Ordinal())
		for _, sub := range row.Sub {
			one(sub.FullName(), sub.Ordinal())
		}
	}
}
