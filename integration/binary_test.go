package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// binaries is where TestMain lets the binaries be built.
var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "primatomic-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// tested returns the binary under test: PRIMATOMIC_BIN, or one built with the race detector.
var tested = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PRIMATOMIC_BIN"); path != "" {
		return path, nil
	}
	return build("race", "-race")
})

// lean returns a binary without the race detector, whose shadow memory would hide what is measured.
var lean = sync.OnceValues(func() (string, error) { return build("lean") })

func build(name string, flags ...string) (string, error) {
	path := filepath.Join(binaries, "primatomic-"+name)
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "../cmd/primatomic")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return path, nil
}

// binary returns what one of the functions above makes. With -short it skips the test: no processes.
func binary(t testing.TB, which func() (string, error)) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no processes")
	}
	path, err := which()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// random returns the random choices of a test. The seed is logged, and taken from SEED.
func random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	t.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// eventually waits until a condition holds, at most for the given time.
func eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("within %v it was never true that %s", within, what)
		}
	}
}
