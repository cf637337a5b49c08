package integration

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
)

// journal keeps what a process writes.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// process is one run of the binary.
type process struct {
	t        testing.TB
	cmd      *exec.Cmd
	out, log journal
	exited   chan struct{} // closed when it has ended
}

// launch starts the binary with arguments. The process ends with the test, at the latest. Its log is shown
// if the test fails, and a race or a fault in it fails the test.
func launch(t testing.TB, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(path, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.SysProcAttr = withParent()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // its state tells how it ended
	}()
	t.Cleanup(p.end)
	return p
}

// faults are what a log must never say.
var faults = []string{
	"DATA RACE", "panic: ", "fatal error: ", "fault while a call was carried out", "a gRPC call panicked",
}

// end kills the process if it still runs, and judges its log.
func (p *process) end() {
	p.kill()
	log := p.log.String()
	for _, sign := range faults {
		if strings.Contains(log, sign) {
			p.t.Errorf("the log of process %d says %q", p.cmd.Process.Pid, sign)
		}
	}
	if p.t.Failed() && log != "" {
		p.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, excerpt(log))
	}
}

// excerpt shortens a long text to its two ends.
func excerpt(text string) string {
	const half = 8 << 10
	if len(text) <= 2*half {
		return text
	}
	return text[:half] + "\n...\n" + text[len(text)-half:]
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(stopTimeout):
		p.t.Fatalf("process %d has not ended within %v", p.cmd.Process.Pid, stopTimeout)
		return -1
	}
}

var announced = regexp.MustCompile(`(?m)^  (Redis|gRPC) +(\S+:\d+) .*\n`)

// ready waits until the doors are open and returns where they are.
func (p *process) ready() (resp, grpc string) {
	p.t.Helper()
	eventually(p.t, startTimeout, "the node has said that it is ready", func() bool {
		select {
		case <-p.exited:
			p.t.Fatalf("the node has ended with status %d while it started:\n%s",
				p.cmd.ProcessState.ExitCode(), excerpt(p.log.String()))
		default:
		}
		for _, match := range announced.FindAllStringSubmatch(p.out.String(), -1) {
			if match[1] == "Redis" {
				resp = match[2]
			} else {
				grpc = match[2]
			}
		}
		return resp != "" && grpc != ""
	})
	return resp, grpc
}
