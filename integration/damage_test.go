package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// fill writes numbered keys of a size.
func (n *node) fill(t testing.TB, keys, size int) {
	t.Helper()
	w := n.wire(t)
	for i := range keys {
		key := fmt.Sprint("fill:", i)
		if a := w.do(t, "SET", key, contents(key, size)); a.raw != "+OK\r\n" {
			t.Fatalf("SET: %q", a.raw)
		}
	}
}

// filled returns how many of the keys of fill are there, from the first one on. Behind a gap, or with another
// value than written, the test fails.
func (n *node) filled(t testing.TB, keys, size int) int {
	t.Helper()
	w, met, gap := n.wire(t), 0, false
	for i := range keys {
		key := fmt.Sprint("fill:", i)
		switch a := w.do(t, "GET", key); {
		case a.null:
			gap = true
		case a.text != contents(key, size):
			t.Errorf("%s holds what was never written", key)
		case gap:
			t.Errorf("%s is there, an earlier one is not", key)
		default:
			met++
		}
	}
	return met
}

// refusal starts the node, which must refuse, and returns what it says.
func (n *node) refusal(t testing.TB) string {
	t.Helper()
	p := n.launch()
	if status := p.wait(); status <= 0 {
		t.Fatalf("the exit status is %d", status)
	}
	return p.log.String()
}

// written returns a file's content and where the last byte stands that is not zero.
func written(t testing.TB, path string) (content []byte, last int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, len(bytes.TrimRight(content, "\x00")) - 1
}

func overwrite(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

var damagedAt = regexp.MustCompile(`damaged at (?:offset|byte) (\d+)`)

// TestDamagedLog flips a byte in the middle of the log. The node refuses to start, says where, and changes
// nothing: with the byte put right all is there.
func TestDamagedLog(t *testing.T) {
	n := startNode(t)
	const keys, size = 60, 8 << 10
	n.fill(t, keys, size)
	n.kill()
	rng := random(t)
	segment := n.files("wal", "*.wal")[0]
	sound, last := written(t, segment)
	for range 5 {
		at := 4096 + rng.IntN(last-4096-size)
		damaged := bytes.Clone(sound)
		damaged[at] ^= 1 << rng.IntN(8)
		overwrite(t, segment, damaged)
		says := n.refusal(t)
		where := damagedAt.FindStringSubmatch(says)
		if !strings.Contains(says, segment) || where == nil {
			t.Fatalf("the byte at %d is wrong, and the node says: %s", at, says)
		}
		if offset, _ := strconv.Atoi(where[1]); offset > at || at-offset > 64<<10 {
			t.Errorf("the byte at %d is wrong, and the node names offset %d", at, offset)
		}
		if after, _ := written(t, segment); !bytes.Equal(after, damaged) {
			t.Error("the damaged file was changed")
		}
	}
	overwrite(t, segment, sound)
	n.restart()
	if met := n.filled(t, keys, size); met != keys {
		t.Errorf("%d of %d keys are there", met, keys)
	}
}

// TestDamagedCheckpoint flips a byte of a checkpoint, and of the file of its checksums.
func TestDamagedCheckpoint(t *testing.T) {
	n := startNode(t)
	const keys, size = 60, 8 << 10
	n.fill(t, keys, size)
	n.stop()
	files := n.files("checkpoint", "*")
	if len(files) != 2 {
		t.Fatalf("the checkpoint's files are %v", files)
	}
	rng := random(t)
	for _, path := range files {
		sound, _ := written(t, path)
		damaged := bytes.Clone(sound)
		at := rng.IntN(len(sound))
		damaged[at] ^= 1 << rng.IntN(8)
		overwrite(t, path, damaged)
		says := n.refusal(t)
		stem := strings.TrimSuffix(path, filepath.Ext(path))
		if !strings.Contains(says, stem) || !damagedAt.MatchString(says) {
			t.Errorf("the byte at %d of %s is wrong, and the node says: %s", at, path, says)
		}
		overwrite(t, path, sound)
	}
	n.restart()
	if met := n.filled(t, keys, size); met != keys {
		t.Errorf("%d of %d keys are there", met, keys)
	}
}

// TestTornTail takes away the end of the last write, as a crash of the machine does. It is cut, reported and
// kept aside, and all before it is there.
func TestTornTail(t *testing.T) {
	n := startNode(t)
	const keys, size = 40, 64 << 10
	n.fill(t, keys, size)
	w := n.wire(t)
	large := strings.Repeat("x", 200<<10)
	w.send(t, frame("SET", "last", large)+frame("SET", "more", large))
	if _, err := w.get(); err != nil {
		t.Fatal(err)
	}
	n.kill()
	segment := n.files("wal", "*.wal")[0]
	content, last := written(t, segment)
	const torn = 16 << 10
	from := (last - torn) &^ 511
	clear(content[from:])
	overwrite(t, segment, content)
	n.restart()
	log := n.current().log.String()
	if !strings.Contains(log, "cut off a write") || !strings.Contains(log, segment) {
		t.Errorf("the log says nothing of the cut: %s", log)
	}
	if len(n.files("wal", "torn-*")) == 0 {
		t.Error("no copy was kept of what was cut")
	}
	if met := n.filled(t, keys, size); met != keys {
		t.Errorf("%d of %d keys are there", met, keys)
	}
	n.wire(t).do(t, "SET", "after", "cut")
	n.kill()
	n.restart()
	if a := n.wire(t).do(t, "GET", "after"); a.text != "cut" {
		t.Errorf("what was written after the cut is %q", a.raw)
	}
}

// TestMissingFiles: a node that lost a part of its directory does not start with less than it had.
func TestMissingFiles(t *testing.T) {
	const keys, size = 50, 1 << 10
	for _, folder := range []string{"wal", "checkpoint", "node.db"} {
		t.Run(folder, func(t *testing.T) {
			n := startNode(t)
			n.fill(t, keys, size)
			n.stop()
			n.restart()
			n.fill(t, keys, size)
			n.kill()
			if err := os.RemoveAll(filepath.Join(n.dir, folder)); err != nil {
				t.Fatal(err)
			}
			p := n.launch()
			eventually(t, startTimeout, "the node has ended or serves", func() bool {
				select {
				case <-p.exited:
					return true
				default:
					return strings.Contains(p.out.String(), "is ready")
				}
			})
			select {
			case <-p.exited:
				if p.log.String() == "" {
					t.Error("the node says nothing")
				}
			default:
				resp, _ := p.ready()
				n.resp = resp
				if met := n.filled(t, keys, size); met != keys {
					t.Errorf("without its %s the node serves %d of %d keys", folder, met, keys)
				}
			}
		})
	}
}

// TestSecondProcess: one data directory, one process.
func TestSecondProcess(t *testing.T) {
	n := startNode(t)
	second := &node{t: t, binary: n.binary, dir: n.dir}
	if says := second.refusal(t); !strings.Contains(says, "another process uses this data directory") {
		t.Errorf("the second process says: %s", says)
	}
	n.fill(t, 1, 1)
	n.kill()
	second.start()
	if met := second.filled(t, 1, 1); met != 1 {
		t.Error("the second process does not see what the first has written")
	}
}
