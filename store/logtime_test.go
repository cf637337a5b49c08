package store

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/primatomic/primatomic/internal/clock"
)

func TestLogTimeFollowsTheWallClock(t *testing.T) {
	fake := clock.NewFake(epoch)
	c := newLogClock(fake)
	start := epoch.UnixMilli()
	steps := []struct {
		name  string
		do    func()
		after int64 // ms of log time since the start
	}{
		{"at the start", func() {}, 0},
		{"forward", func() { fake.Advance(1500 * time.Millisecond) }, 1500},
		{"the wall clock jumps ahead", func() { fake.Jump(time.Second) }, 2500},
		{"the wall clock is set back", func() { fake.Jump(-10 * time.Second) }, 2500},
		{"half rate while it is behind", func() { fake.Advance(4 * time.Second) }, 4500},
		{"still half rate", func() { fake.Advance(2 * time.Second) }, 5500},
		{"the wall clock has caught up", func() { fake.Advance(8 * time.Second) }, 9500 - 2000},
		{"an earlier leader was ahead", func() { c.raise(start + 20000) }, 20000},
		{"half rate from there", func() { fake.Advance(time.Second) }, 20500},
		{"an earlier leader was behind", func() { c.raise(start) }, 20500},
	}
	for _, s := range steps {
		before := c.stamp() // so that a slew counts from here
		s.do()
		got := c.stamp() - start
		if s.name == "the wall clock has caught up" {
			if wall := fake.Now().UnixMilli() - start; got < wall {
				t.Errorf("%s: %d, the wall clock shows %d", s.name, got, wall)
			}
			continue
		}
		if got != s.after {
			t.Errorf("%s: %d, want %d (before: %d)", s.name, got, s.after, before-start)
		}
	}
}

// TestLogTimeNeverGoesBack: whatever the clocks do, stamps never fall, raised times are kept,
// and time never stands still.
func TestLogTimeNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fake := clock.NewFake(epoch)
		c := newLogClock(fake)
		last := c.stamp()
		t.Repeat(map[string]func(*rapid.T){
			"advance": func(t *rapid.T) {
				d := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "ns"))
				c.stamp()
				before := c.stamp()
				fake.Advance(d)
				if passed := c.stamp() - before; passed < d.Milliseconds()/2-1 {
					t.Fatalf("log time went on by %d ms in %v", passed, d)
				}
			},
			"jump": func(t *rapid.T) {
				fake.Jump(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "ns")))
			},
			"raise": func(t *rapid.T) {
				ms := last + rapid.Int64Range(-5000, 5000).Draw(t, "ms")
				c.raise(ms)
				if got := c.read(); got < ms {
					t.Fatalf("read %d after it was raised to %d", got, ms)
				}
			},
			"stamp": func(t *rapid.T) {
				now := c.stamp()
				if now < last {
					t.Fatalf("%d after %d", now, last)
				}
				last = now
			},
			"": func(t *rapid.T) {
				if read := c.read(); read < last {
					t.Fatalf("read %d after a stamp of %d", read, last)
				}
			},
		})
	})
}

// A clock that is known to be wrong is followed with its correction, and still never back.
func TestLogTimeOfACorrectedClock(t *testing.T) {
	fake := clock.NewFake(epoch)
	c := newLogClock(fake)
	start := epoch.UnixMilli()
	fake.Jump(time.Hour)
	c.correct(fake.Now(), -time.Hour)
	if got := c.read() - start; got != 0 {
		t.Errorf("read %d ms, want 0", got)
	}
	fake.Advance(time.Second)
	if got := c.stamp() - start; got != 1000 {
		t.Errorf("stamped %d ms, want 1000", got)
	}
	c.correct(fake.Now(), -2*time.Hour)
	if got := c.stamp() - start; got < 1000 {
		t.Errorf("stamped %d ms after 1000", got)
	}
}

// A wall clock that is set while it is not looked at, or set right while its correction still holds, is not followed
// before it was held against others: not by an entry, and not by a read.
func TestLogTimeDoesNotLeap(t *testing.T) {
	for name, test := range map[string]struct{ ahead, jump, want time.Duration }{
		"set wrong, ahead":        {0, time.Hour, 50 * time.Millisecond},
		"set right, from behind":  {-time.Hour, time.Hour, 50 * time.Millisecond},
		"set wrong, back":         {0, -time.Hour, 25 * time.Millisecond}, // half rate, as ever
		"set by less than a leap": {0, 900 * time.Millisecond, 950 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clock.NewFake(epoch)
			c := newLogClock(fake)
			fake.Jump(test.ahead)
			c.correct(fake.Now(), -test.ahead)
			if got := c.stamp() - epoch.UnixMilli(); got != 0 {
				t.Fatalf("at the start it is %d ms off", got)
			}
			fake.Jump(test.jump)
			c.stamp()
			fake.Advance(50 * time.Millisecond)
			for name, now := range map[string]int64{"read": c.read(), "stamp": c.stamp()} {
				if got := now - epoch.UnixMilli(); got != test.want.Milliseconds() {
					t.Errorf("after 50 ms a %s is %d ms on, want %d", name, got, test.want.Milliseconds())
				}
			}
		})
	}
}

// A process that stood still while the wall clock went on has not seen it leap, and what was found to be right is
// followed however far it has gone.
func TestLogTimeAfterAPause(t *testing.T) {
	fake := clock.NewFake(epoch)
	c := newLogClock(fake)
	c.correct(fake.Now(), 0)
	fake.Advance(time.Hour)
	if got := c.stamp() - epoch.UnixMilli(); got != time.Hour.Milliseconds() {
		t.Errorf("after an hour log time is %d ms on", got)
	}
	fake.Jump(9 * time.Second)
	c.correct(fake.Now(), 0)
	if got := c.read() - epoch.UnixMilli(); got != (time.Hour + 9*time.Second).Milliseconds() {
		t.Errorf("after an hour and a jump that is believed log time is %d ms on", got)
	}
}

// Readers that wait for a deadline to come into the log, and give up because nothing is applied, leave nothing behind.
func TestTicksThatNeverCome(t *testing.T) {
	settled(t, func(t *testing.T, n *node) {
		expect(t, n.session().do("SET a 1 PX 10"), "+OK ")
		n.clock.Advance(20 * time.Millisecond)
		for range 3 { // nothing has a turn meanwhile
			p := n.session().start("GET a")
			n.clock.Advance(n.limits.Deadline)
			synctest.Wait()
			expect(t, p.answers(t), "-TRYAGAIN "+errNotApplied.Text+" ")
		}
		if left := len(n.store.ticks.waiting); left != 0 {
			t.Errorf("%d still wait", left)
		}
		n.settle()
		expect(t, n.session().do("GET a"), "$-1 ")
	})
}
