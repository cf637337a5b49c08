package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// devNode is a node of a dev cluster: a process that runs serve.
type devNode struct {
	name string
	cmd  *exec.Cmd
	http string // where it tells whether it is ready
	// announced: it has said where to connect, so what is at that address is this node.
	announced atomic.Bool
}

// start starts the process. Its log gets its name in front. The node is sent to ended when the process has ended,
// which it does with this process at the latest, where the system can do that.
func (n *devNode) start(log *lineWriter, ended chan<- *devNode) error {
	n.cmd.Stdout, n.cmd.Stderr = n, &namedLines{to: log, name: n.name}
	n.cmd.SysProcAttr = ofParent()
	started := make(chan error)
	go func() {
		// The system takes the end of the thread that started a process for the end of its parent.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := n.cmd.Start()
		started <- err
		if err == nil {
			_ = n.cmd.Wait() // its state tells how it ended
			ended <- n
		}
	}()
	return <-started
}

// Write takes what the process says on its standard output, which is where to connect.
func (n *devNode) Write(text []byte) (int, error) {
	n.announced.Store(true)
	return len(text), nil
}

// ready reports whether the node serves.
func (n *devNode) ready(ctx context.Context) bool {
	if !n.announced.Load() {
		return false
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

func (n *devNode) process() int { return n.cmd.Process.Pid }

// state is how the process has ended.
func (n *devNode) state() string { return n.cmd.ProcessState.String() }

// command is the command line of the node, for a shell.
func (n *devNode) command() string {
	words := make([]string, len(n.cmd.Args))
	for i, word := range n.cmd.Args {
		if strings.ContainsAny(word, " \t\n\"'\\$`&;|<>()*?[]~#") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

// lineWriter lets several write to one place, line by line.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer // guarded by mu
}

// namedLines puts a name in front of each line. One goroutine writes to it.
type namedLines struct {
	to   *lineWriter
	name string
	part []byte // of a line that has not ended
}

// lineBytesMax bounds what is kept of a line that does not end.
const lineBytesMax = 64 << 10

// Write passes on the lines that have ended.
func (l *namedLines) Write(text []byte) (int, error) {
	l.part = append(l.part, text...)
	for {
		line, rest, ended := bytes.Cut(l.part, []byte("\n"))
		if !ended && len(l.part) < lineBytesMax {
			return len(text), nil
		}
		l.to.mu.Lock()
		_, err := fmt.Fprintf(l.to.to, "%s | %s\n", l.name, line)
		l.to.mu.Unlock()
		l.part = rest
		if err != nil {
			return len(text), err
		}
	}
}
