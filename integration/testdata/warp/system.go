// Package clock, this file in place of system.go, tells a time that a test sets: see integration/warp_test.go,
// which builds the binary with it. Timers and the boot clock run at the test's rate, the wall clock is off by what the
// test says, and both may change at any moment.
package clock

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// warp is what the file holds whose name is in PRIMATOMIC_WARP, in the byte order of the machine. The test writes it
// while the process runs.
type warp struct {
	ahead atomic.Int64 // of the wall clock, ns
	rate  atomic.Int64 // of the boot clock and of timers, in thousandths of what is right; more than 0
}

// System is the clock of the machine, warped.
var System Clock = open(os.Getenv("PRIMATOMIC_WARP"))

// open maps the file of a warp; without a name nothing is warped.
func open(path string) *warpedClock {
	c := &warpedClock{warp: &warp{}, at: bootTime()}
	c.boot = c.at
	c.warp.rate.Store(1000)
	if path == "" {
		return c
	}
	file, err := os.Open(path)
	if err != nil {
		panic("clock: " + err.Error())
	}
	defer file.Close()
	size := int(unsafe.Sizeof(warp{}))
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		panic("clock: " + err.Error())
	}
	c.warp = (*warp)(unsafe.Pointer(&memory[0]))
	return c
}

type warpedClock struct {
	warp *warp

	mu   sync.Mutex
	at   time.Duration // the machine's boot clock when boot was counted; guarded by mu
	boot time.Duration // guarded by mu
	rest int64         // thousandths of a ns that are to be added to boot; guarded by mu
}

func (c *warpedClock) Now() time.Time { return time.Now().Add(time.Duration(c.warp.ahead.Load())) }

func (c *warpedClock) Boot() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := bootTime()
	c.rest += int64(now-c.at) * c.warp.rate.Load()
	c.at = now
	c.boot += time.Duration(c.rest / 1000)
	c.rest %= 1000
	return c.boot
}

// NewTimer makes a timer that goes by the rate of the moment at which it starts.
func (c *warpedClock) NewTimer(d time.Duration) Timer {
	return warpedTimer{c, time.NewTimer(c.machine(d))}
}

// machine is how long a time of this clock takes by the machine's.
func (c *warpedClock) machine(d time.Duration) time.Duration {
	return d / time.Duration(c.warp.rate.Load()) * 1000
}

type warpedTimer struct {
	clock *warpedClock
	timer *time.Timer
}

func (t warpedTimer) C() <-chan time.Time        { return t.timer.C }
func (t warpedTimer) Stop() bool                 { return t.timer.Stop() }
func (t warpedTimer) Reset(d time.Duration) bool { return t.timer.Reset(t.clock.machine(d)) }
