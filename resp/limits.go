package resp

import (
	"cmp"
	"fmt"
	"time"
)

// Limits are the bounds of the front door. A zero field means its default.
type Limits struct {
	// Connections is how many may be open at once, 10 000 by default. One more is told so and closed.
	Connections int

	// CommandArgs is the largest number of arguments of a command, 1 048 576 by default. More is a
	// protocol error.
	CommandArgs int
	// CommandBytes is the largest command as it is sent, 64 MiB by default. A larger one is read past
	// and answered with an error.
	CommandBytes int
	// BulkBytes is the largest argument that is passed on, 16 MiB and 64 KiB by default: a value of the
	// largest size in its serialized form fits. A larger one is read past and answered with an error.
	BulkBytes int
	// BulkBytesSkipped is the largest argument that is read past, 512 MiB by default as in Redis. More
	// is a protocol error.
	BulkBytesSkipped int64
	// BuffersBytes is the memory for commands on their way, all connections together, 1 GiB by default;
	// the first 64 KiB and InlineBytes of each do not count. A command beyond it is read past and refused.
	BuffersBytes int64
	// TransactionsBytes is the memory of what is queued by MULTI and watched, all connections together, 1 GiB
	// by default. Beyond it such commands are refused.
	TransactionsBytes int64
	// AnswersBytes is the memory of answers that are being written, all connections together, 1 GiB by
	// default; those of up to 64 KiB do not count. Beyond it the connections that hold most are cut off.
	AnswersBytes int64
	// InlineBytes is the longest line: an inline command or a length, 64 KiB by default as in Redis.
	InlineBytes int

	// Before a connection has a credential: the number of arguments, 16 by default, and the size of
	// each, 16 KiB by default. More is a protocol error.
	AnonymousArgs, AnonymousBulkBytes int

	// SubmissionCalls and SubmissionBytes bound what is given to the executor at once, 1 024 commands and
	// 1 MiB by default. A larger command is a submission of its own.
	SubmissionCalls, SubmissionBytes int

	// HandshakeTimeout bounds a TLS handshake, 10 s by default.
	HandshakeTimeout time.Duration
	// AnonymousTimeout ends a connection that sends no whole command before it has a credential, 60 s by
	// default.
	AnonymousTimeout time.Duration
	// IdleTimeout ends a connection that sends nothing; 0, the default, never does.
	IdleTimeout time.Duration
	// WriteTimeout is how long a client may take to accept writeChunk bytes of answers, 30 s by default.
	// A slower one is cut off.
	WriteTimeout time.Duration
	// KeepAlive is the idle time before TCP keepalive probes start, 300 s by default as in Redis.
	KeepAlive time.Duration
}

// sizeMax keeps positions in a buffer within 32 bits.
const sizeMax = 1 << 30

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 10_000)
	l.CommandArgs = cmp.Or(l.CommandArgs, 1<<20)
	l.CommandBytes = cmp.Or(l.CommandBytes, 64<<20)
	l.BulkBytes = cmp.Or(l.BulkBytes, 16<<20+64<<10)
	l.BulkBytesSkipped = cmp.Or(l.BulkBytesSkipped, 512<<20)
	l.BuffersBytes = cmp.Or(l.BuffersBytes, 1<<30)
	l.AnswersBytes = cmp.Or(l.AnswersBytes, 1<<30)
	l.TransactionsBytes = cmp.Or(l.TransactionsBytes, 1<<30)
	l.InlineBytes = cmp.Or(l.InlineBytes, 64<<10)
	l.AnonymousArgs = cmp.Or(l.AnonymousArgs, 16)
	l.AnonymousBulkBytes = cmp.Or(l.AnonymousBulkBytes, 16<<10)
	l.SubmissionCalls = cmp.Or(l.SubmissionCalls, 1024)
	l.SubmissionBytes = cmp.Or(l.SubmissionBytes, 1<<20)
	l.HandshakeTimeout = cmp.Or(l.HandshakeTimeout, 10*time.Second)
	l.AnonymousTimeout = cmp.Or(l.AnonymousTimeout, time.Minute)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 30*time.Second)
	l.KeepAlive = cmp.Or(l.KeepAlive, 300*time.Second)
	return l
}

func (l Limits) check() error {
	for _, size := range []struct {
		name  string
		value int
	}{
		{"Connections", l.Connections},
		{"CommandArgs", l.CommandArgs},
		{"CommandBytes", l.CommandBytes},
		{"BulkBytes", l.BulkBytes},
		{"InlineBytes", l.InlineBytes},
		{"AnonymousArgs", l.AnonymousArgs},
		{"AnonymousBulkBytes", l.AnonymousBulkBytes},
		{"SubmissionCalls", l.SubmissionCalls},
		{"SubmissionBytes", l.SubmissionBytes},
	} {
		if size.value < 1 || size.value > sizeMax {
			return fmt.Errorf("resp: limit %s is %d, want 1 to %d", size.name, size.value, sizeMax)
		}
	}
	if l.BulkBytesSkipped < int64(l.BulkBytes) {
		return fmt.Errorf("resp: limit BulkBytesSkipped is %d, below BulkBytes", l.BulkBytesSkipped)
	}
	return nil
}
