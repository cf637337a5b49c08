package auth

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/primatomic/primatomic/internal/clock"
)

const otherSecret = "fedcba9876543210fedcba9876543210"

func secretToken(secret string) string {
	return makeToken(jwt.SigningMethodHS256, []byte(secret), nil, m{"sub": "acme", "exp": exp(time.Hour)})
}

func TestReload(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "k"), []byte(testSecret))
	j := newTestJWT(t, func(o *Options) { o.KeyFiles = []string{file} })
	oldToken, newToken := secretToken(testSecret), secretToken(otherSecret)
	accepts := func(token string, want Reason) {
		t.Helper()
		if _, err := j.Authenticate(token, testNow); ReasonOf(err) != want {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	accepts(oldToken, 0)
	if changed, err := j.Reload(); changed || err != nil {
		t.Fatalf("nothing changed: %v, %v", changed, err)
	}
	for name, damage := range map[string]func(){
		"short":   func() { writeFile(t, file, []byte("short")) },
		"empty":   func() { writeFile(t, file, nil) },
		"bad PEM": func() { writeFile(t, file, []byte("-----BEGIN PUBLIC KEY-----\n")) },
		"removed": func() { os.Remove(file) },
	} {
		damage()
		if changed, err := j.Reload(); changed || err == nil {
			t.Fatalf("%s: %v, %v", name, changed, err)
		}
		accepts(oldToken, 0)
	}
	writeFile(t, file, []byte(otherSecret))
	if changed, err := j.Reload(); !changed || err != nil {
		t.Fatalf("got %v, %v", changed, err)
	}
	accepts(oldToken, BadSignature) // though it was remembered
	accepts(newToken, 0)
}

// logLines collects the messages of a logger.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) count(level string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), "level="+level)
}

func TestWatch(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "k"), []byte(testSecret))
	var lines logLines
	j := newTestJWT(t, func(o *Options) {
		o.KeyFiles, o.Logger = []string{file}, slog.New(slog.NewTextHandler(&lines, nil))
	})
	fake := clock.NewFake(testNow)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Watch(ctx, fake)
	}()
	look := func() { // returns when the watcher waits for its next look
		fake.WaitTimers(1)
		fake.Advance(reloadInterval)
		fake.WaitTimers(1)
	}
	look()
	if lines.count("INFO")+lines.count("ERROR") != 0 {
		t.Errorf("nothing happened, but it logged: %s", &lines.text)
	}
	writeFile(t, file, []byte("short"))
	look()
	look()
	if lines.count("ERROR") != 1 {
		t.Errorf("a bad file is logged once: %s", &lines.text)
	}
	if _, err := j.Authenticate(secretToken(testSecret), testNow); err != nil {
		t.Errorf("the old keys are gone: %v", err)
	}
	writeFile(t, file, []byte(otherSecret))
	look()
	if lines.count("INFO") != 1 {
		t.Errorf("a good file is logged: %s", &lines.text)
	}
	if _, err := j.Authenticate(secretToken(testSecret), testNow); !errors.Is(err, BadSignature) {
		t.Errorf("the old keys are still there: %v", err)
	}
	cancel()
	<-done
}

func TestReloadWhileAuthenticating(t *testing.T) {
	file := writeFile(t, filepath.Join(t.TempDir(), "k"), []byte(testSecret))
	j := newTestJWT(t, func(o *Options) { o.KeyFiles = []string{file} })
	tokens := []string{secretToken(testSecret), secretToken(otherSecret)}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := j.Authenticate(tokens[i%2], testNow); err != nil && !errors.Is(err, BadSignature) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	for i := range 20 {
		writeFile(t, file, []byte([]string{otherSecret, testSecret}[i%2]))
		if changed, err := j.Reload(); !changed || err != nil {
			t.Errorf("got %v, %v", changed, err)
		}
		if _, err := j.Authenticate(tokens[(i+1)%2], testNow); err != nil {
			t.Errorf("after reload %d: %v", i, err)
		}
	}
	close(stop)
	readers.Wait()
}
