package integration

import (
	codec "encoding/binary" // binary is what is tested
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// warped returns the binary under test with another file in the place of the one that asks the machine for the time,
// so that each node can be given a clock of its own. It is built with the race detector, and never shipped.
var warped = sync.OnceValues(func() (string, error) {
	var here [2]string
	for i, path := range []string{"../internal/clock/system.go", "testdata/warp/system.go"} {
		var err error
		if here[i], err = filepath.Abs(path); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here[0]: here[1]}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(binaries, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		return "", err
	}
	return build("warped", "-race", "-overlay", path)
})

// warp is the clock of a node that runs the warped binary. It is set in a file, which the process looks at all the
// time: see testdata/warp.
type warp struct {
	t    testing.TB
	path string

	ahead time.Duration // of the wall clock
	rate  int64         // of the boot clock and of timers, in thousandths
}

// rightRate is the rate of a clock that is right.
const rightRate = 1000

// warp gives a node, which does not run, a clock that can be set. It begins right.
func (n *node) warp() {
	n.t.Helper()
	n.binary = binary(n.t, warped)
	n.clock = &warp{t: n.t, path: filepath.Join(n.t.TempDir(), "clock"), rate: rightRate}
	n.clock.write()
}

// entry is the command that runs another one by this clock.
func (w *warp) entry() []string {
	if w == nil {
		return nil
	}
	return []string{"env", "PRIMATOMIC_WARP=" + w.path}
}

// jump sets the wall clock to be ahead of the right one, or behind it.
func (w *warp) jump(ahead time.Duration) {
	w.ahead = ahead
	w.write()
}

// run lets the boot clock, and timers that start from now on, run at a rate in thousandths.
func (w *warp) run(rate int64) {
	w.rate = rate
	w.write()
}

// write changes the file where it is: it is mapped.
func (w *warp) write() {
	w.t.Helper()
	content := codec.NativeEndian.AppendUint64(nil, uint64(w.ahead))
	content = codec.NativeEndian.AppendUint64(content, uint64(w.rate))
	file, err := os.OpenFile(w.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(content, 0); err != nil {
		w.t.Fatal(err)
	}
}
