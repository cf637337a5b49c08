package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primatomic/primatomic/internal/clock"
	"github.com/primatomic/primatomic/internal/vfs"
)

func TestDiskGuard(t *testing.T) {
	s := mustStart(t, testOptions(t, t.TempDir()))
	defer mustStop(t, s)
	disk := vfs.NewMem(1)
	var log strings.Builder
	guard := &diskGuard{fs: disk, dir: "data", reserve: 100 << 20, store: s.core.store,
		logger: slog.New(slog.NewTextHandler(&log, nil))}
	look := func(free int64) {
		disk.SetFree(free)
		guard.look()
	}
	wantSet := func(want string) {
		t.Helper()
		if answer := ask(t, s, "SET", "k", "v"); !strings.HasPrefix(answer, want) {
			t.Errorf("SET answers %q, want %q", answer, want)
		}
	}
	look(100 << 20)
	wantSet("+OK")
	look(100<<20 - 1)
	wantSet("-DISKFULL")
	if answer := ask(t, s, "GET", "k"); answer != "$1\r\nv\r\n" {
		t.Errorf("on a full disk GET answers %q", answer)
	}
	if answer := ask(t, s, "DEL", "k"); answer != ":1\r\n" {
		t.Errorf("on a full disk DEL answers %q", answer)
	}
	look(99 << 20) // is said once
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "needed=100MiB") {
		t.Errorf("the log says\n%s", log.String())
	}
	disk.SetHook(func(vfs.Op) error { return errors.New("no answer") })
	guard.look()
	wantSet("-DISKFULL") // nothing new is known
	disk.SetHook(nil)
	look(200 << 20)
	wantSet("+OK")
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := clock.NewFake(time.Unix(0, 0))
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		go every(ctx, fake, diskInterval, func() { calls++ })
		for n := range 3 {
			synctest.Wait()
			if calls != n {
				t.Errorf("%d calls after %d intervals", calls, n)
			}
			fake.Advance(diskInterval)
		}
		cancel()
		synctest.Wait()
	})
}
