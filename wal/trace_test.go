package wal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/primatomic/primatomic/internal/vfs"
)

// TestTrace runs scripts and shows every operation on the file system in its order, so that what must be
// durable before what can be read. Regenerate with -rewrite, and read the diff.
func TestTrace(t *testing.T) {
	datadriven.Walk(t, "testdata/trace", func(t *testing.T, path string) {
		mem := vfs.NewMem(1)
		var out strings.Builder
		show := func(op vfs.Op, err error) {
			if op.Kind != vfs.OpRead {
				fmt.Fprintf(&out, "  %v%s\n", op, map[bool]string{true: " FAILS"}[err != nil])
			}
		}
		mem.SetTrace(show)
		var l *Log
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out.Reset()
			next, err := traceStep(t, d, mem, l)
			if next != nil {
				l = next
			}
			if d.Cmd == "crash" {
				mem = mem.Crash()
				mem.SetTrace(show)
			}
			if err != nil {
				fmt.Fprintf(&out, "error: %v\n", err)
			} else {
				fmt.Fprintln(&out, "done")
			}
			return out.String()
		})
	})
}

// traceStep runs one command of a script.
func traceStep(t *testing.T, d *datadriven.TestData, mem *vfs.Mem, l *Log) (*Log, error) {
	group, count, size, index := uint64(1), 1, 10, uint64(0)
	d.MaybeScanArgs(t, "group", &group)
	d.MaybeScanArgs(t, "count", &count)
	d.MaybeScanArgs(t, "size", &size)
	d.MaybeScanArgs(t, "index", &index)
	id := GroupID(group)
	switch d.Cmd {
	case "open":
		l, _, err := Open(testOptions(mem))
		return l, err
	case "append":
		if index == 0 {
			index = l.LastIndex(id) + 1
		}
		return nil, l.Append(record(id, 1, index, count, size))
	case "sync":
		return nil, l.Sync()
	case "flush":
		return nil, l.flush()
	case "seal":
		return nil, l.Seal()
	case "release":
		return nil, l.Release(id, index)
	case "rewrite":
		return nil, l.Rewrite(id)
	case "free":
		mem.SetFree(int64(size))
		return nil, nil
	case "close":
		return nil, l.Close()
	case "crash":
		return nil, nil
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return nil, nil
}
