package clock

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func fired(t Timer) (time.Time, bool) {
	select {
	case at := <-t.C():
		return at, true
	default:
		return time.Time{}, false
	}
}

func TestSystemClockMoves(t *testing.T) {
	before := System.Boot()
	timer := System.NewTimer(time.Millisecond)
	<-timer.C()
	if after := System.Boot(); after-before < time.Millisecond {
		t.Fatalf("boot time moved by %v over a timer of 1ms", after-before)
	}
	if timer.Stop() {
		t.Fatal("a timer that fired says it was running")
	}
	if since := time.Since(System.Now()); since < 0 || since > time.Minute {
		t.Fatalf("wall clock is %v off", since)
	}
}

func TestFakeAdvanceFiresInOrder(t *testing.T) {
	f := NewFake(epoch)
	late, early := f.NewTimer(3*time.Second), f.NewTimer(time.Second)
	f.Advance(999 * time.Millisecond)
	if _, ok := fired(early); ok {
		t.Fatal("fired before its deadline")
	}
	f.Advance(10 * time.Second)
	if at, ok := fired(early); !ok || !at.Equal(epoch.Add(time.Second)) {
		t.Fatalf("early: %v %v", at, ok)
	}
	if at, ok := fired(late); !ok || !at.Equal(epoch.Add(3*time.Second)) {
		t.Fatalf("late: %v %v", at, ok)
	}
	if f.Boot() != 10999*time.Millisecond || !f.Now().Equal(epoch.Add(f.Boot())) {
		t.Fatalf("boot %v, wall %v", f.Boot(), f.Now())
	}
}

func TestFakeStepFiresOne(t *testing.T) {
	f := NewFake(epoch)
	first, second, late := f.NewTimer(time.Second), f.NewTimer(time.Second), f.NewTimer(time.Hour)
	left := f.Step(3 * time.Second)
	_, ok := fired(first)
	_, early := fired(second)
	if !ok || early || left != 2*time.Second || f.Boot() != time.Second {
		t.Fatalf("first fired: %v, second: %v, %v left, boot %v", ok, early, left, f.Boot())
	}
	left = f.Step(left)
	if _, ok := fired(second); !ok || left != 2*time.Second {
		t.Fatalf("second fired: %v, %v left", ok, left)
	}
	left = f.Step(left)
	if _, ok := fired(late); ok || left != 0 || f.Boot() != 3*time.Second {
		t.Fatalf("late fired: %v, %v left, boot %v", ok, left, f.Boot())
	}
}

func TestFakeTimerAtOnce(t *testing.T) {
	f := NewFake(epoch)
	if _, ok := fired(f.NewTimer(0)); !ok {
		t.Fatal("a timer of 0 did not fire")
	}
	if _, ok := fired(f.NewTimer(-time.Second)); !ok {
		t.Fatal("a timer of -1s did not fire")
	}
}

func TestFakeStopAndReset(t *testing.T) {
	f := NewFake(epoch)
	timer := f.NewTimer(time.Second)
	if !timer.Stop() || timer.Stop() {
		t.Fatal("Stop must report running once")
	}
	f.Advance(time.Minute)
	if _, ok := fired(timer); ok {
		t.Fatal("fired after Stop")
	}
	if timer.Reset(time.Second) {
		t.Fatal("Reset of a stopped timer says it was running")
	}
	f.Advance(time.Second)
	if timer.Reset(time.Second) {
		t.Fatal("Reset of a fired timer says it was running")
	}
	if _, ok := fired(timer); ok {
		t.Fatal("Reset left a stale value")
	}
}

func TestFakeJumpMovesWallAlone(t *testing.T) {
	f := NewFake(epoch)
	timer := f.NewTimer(time.Second)
	f.Jump(-time.Hour)
	if f.Boot() != 0 || !f.Now().Equal(epoch.Add(-time.Hour)) {
		t.Fatalf("boot %v, wall %v", f.Boot(), f.Now())
	}
	if _, ok := fired(timer); ok {
		t.Fatal("a jump fired a timer")
	}
}

func TestFakeWaitTimers(t *testing.T) {
	f := NewFake(epoch)
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-f.NewTimer(time.Second).C()
	}()
	f.WaitTimers(1)
	f.Advance(time.Second)
	<-done
}
