package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A client that does not read its answers is no reason for a stop to fail.
func TestStopCutsOffWhoDoesNotRead(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	if answer := ask(t, s, "SET", "k", strings.Repeat("v", 16<<20)); answer != "+OK\r\n" {
		t.Fatalf("SET answers %q", answer)
	}
	stuck, err := net.Dial("tcp", s.door.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	fmt.Fprint(stuck, strings.Repeat("GET k\r\n", 8))
	for end := time.Now().Add(10 * time.Second); s.door.Stats().AnswersBytes == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no answer is held")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s.closeDoors(ctx)
	if now := s.door.Stats(); now.Connected != 0 {
		t.Errorf("%d connections are left", now.Connected)
	}
	mustStop(t, s)
}

func TestConnectionsFitTheFiles(t *testing.T) {
	for files, want := range map[uint64]int{
		0: 1, 120: 1, 1024: 448, 20_128: 10_000, math.MaxUint64: (math.MaxInt32 - filesReserved) / 2,
	} {
		if got := connectionsThatFit(files); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 1024
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	if answer := ask(t, s, "CONFIG", "GET", "maxclients"); !strings.Contains(answer, "\r\n448\r\n") {
		t.Errorf("maxclients is %q, want 448", answer)
	}
}
