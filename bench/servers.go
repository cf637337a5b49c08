package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a server under measurement, in a process of its own.
type server struct {
	name    string
	command []string // without the port
	port    string   // name of the option that sets the port
	addr    string
	process *exec.Cmd
}

func primatomic(o *options, flags ...string) *server {
	dir := filepath.Join(o.dir, "primatomic")
	return &server{name: "primatomic", port: "--resp-addr", command: append([]string{
		o.binary, "serve", "--data-dir", dir, "--grpc-addr=", "--http-addr=", "--log-level", "warn",
	}, flags...)}
}

func redisServer(o *options) *server {
	dir := filepath.Join(o.dir, "redis")
	return &server{name: "redis", port: "--port", command: []string{
		"redis-server", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--logfile", filepath.Join(dir, "log"),
	}}
}

// fresh empties a server's data directory.
func (s *server) fresh(o *options) error {
	dir := filepath.Join(o.dir, s.name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o755)
}

// start starts a server and returns how long it took until it answered a read of a key.
func (s *server) start() (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	s.addr = net.JoinHostPort(loopback, strconv.Itoa(port))
	where := s.addr
	if s.port == "--port" {
		where = strconv.Itoa(port)
	}
	began := time.Now()
	if err := s.launch(s.port, where); err != nil {
		return 0, err
	}
	return s.answering(began)
}

// launch starts a server's process with further arguments.
func (s *server) launch(further ...string) error {
	args := append(append([]string{}, s.command[1:]...), further...)
	s.process = exec.Command(s.command[0], args...)
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	return nil
}

func (s *server) answering(began time.Time) (time.Duration, error) {
	client := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	for time.Since(began) < 5*time.Minute {
		err := client.Get(context.Background(), "key:000000000001").Err()
		if err == nil || err == redis.Nil {
			return time.Since(began), nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return 0, fmt.Errorf("%s did not answer within 5 minutes", s.name)
}

// end ends a server with a signal and waits for it.
func (s *server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	_ = s.process.Wait() // killed processes report an error
	s.process = nil
	return nil
}

func (s *server) kill() { _ = s.end(syscall.SIGKILL) }

// resident returns the memory that the server's process holds, in bytes.
func (s *server) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of %s", s.name)
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version(), time.Now().Format(time.DateOnly))
}
