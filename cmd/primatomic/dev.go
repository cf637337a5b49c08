package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

type devCommand struct {
	Nodes   int    `default:"3" help:"How many, from 1 to 9. A majority of them must run: with three one may be lost, with five two."`
	Port    int    `default:"6379" help:"Port on 127.0.0.1 where Redis clients connect to the first node, the others behind it. gRPC is 1000 above, the nodes for each other 2000, HTTP 3000."`
	DataDir string `default:"data-dev" type:"path" help:"Directory for the data of the nodes: one in it for each number of nodes and port, as they are another cluster."`
}

// The doors of a dev node, as distances of their ports from the Redis port.
const (
	devGRPC = 1000
	devPeer = 2000
	devHTTP = 3000
)

// devNodesMax is what --cluster takes.
const devNodesMax = 9

// Run runs nodes that found a cluster, each a process, until a signal ends them: the first one lets them finish, a
// second one ends them at once.
func (c *devCommand) Run() error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	return c.run(signals, os.Stdout, os.Stderr)
}

func (c *devCommand) run(signals <-chan os.Signal, out, log io.Writer) error {
	if c.Nodes < 1 || c.Nodes > devNodesMax {
		return fmt.Errorf("--nodes %d: it is a number from 1 to %d", c.Nodes, devNodesMax)
	}
	if highest := c.Port + c.Nodes - 1 + devHTTP; c.Port < 1 || highest > 65535 {
		return fmt.Errorf("--port %d: the ports behind it must be from 1 to 65535, and the last one is %d",
			c.Port, highest)
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	fleet := &devFleet{out: out, ended: make(chan *devNode, c.Nodes)}
	defer fleet.kill() // whatever happens, none is left behind
	lines := &lineWriter{to: log}
	for i := range c.Nodes {
		n := &devNode{
			name: fmt.Sprint("n", i+1), cmd: exec.Command(binary, c.args(i)...), http: c.addr(i, devHTTP),
		}
		if err := fleet.start(n, lines); err != nil {
			return err
		}
	}
	if err := fleet.await(signals); err != nil {
		if fleet.stopped {
			return nil // before it was up, as told
		}
		return err
	}
	c.announce(fleet)
	return fleet.watch(signals)
}

// addr is that of a door of a node.
func (c *devCommand) addr(i, distance int) string {
	return fmt.Sprintf("127.0.0.1:%d", c.Port+i+distance)
}

// args are those of serve for a node.
func (c *devCommand) args(i int) []string {
	var founders []string
	for i := range c.Nodes {
		founders = append(founders, fmt.Sprintf("n%d=%s", i+1, c.addr(i, devPeer)))
	}
	name := fmt.Sprint("n", i+1)
	return []string{
		"serve", "--name", name, "--cluster", strings.Join(founders, ","),
		"--data-dir", filepath.Join(c.DataDir, fmt.Sprintf("%d-nodes-%d", c.Nodes, c.Port), name),
		"--resp-addr", c.addr(i, 0), "--grpc-addr", c.addr(i, devGRPC), "--http-addr", c.addr(i, devHTTP),
	}
}

// announce says where to connect and what to try.
func (c *devCommand) announce(fleet *devFleet) {
	w := fleet.out
	fmt.Fprintf(w, "\nA cluster of %d nodes runs. Any of them takes any call:\n\n", c.Nodes)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  NODE\tPROCESS\tREDIS\tGRPC\tHTTP")
	for i, n := range fleet.nodes {
		fmt.Fprintf(table, "  %s\t%d\tredis-cli -p %d\t127.0.0.1:%d\thttp://127.0.0.1:%d/metrics\n",
			n.name, n.process(), c.Port+i, c.Port+i+devGRPC, c.Port+i+devHTTP)
	}
	_ = table.Flush() // to a terminal: nothing can be done
	last := c.Port + c.Nodes - 1
	at := ""
	if last+devGRPC != 7379 {
		at = fmt.Sprintf(" --grpc-addr 127.0.0.1:%d", last+devGRPC)
	}
	fmt.Fprintf(w, "\nTry this:\n\n"+
		"  redis-cli -p %d SET greeting hello\n"+
		"  redis-cli -p %d GET greeting\n"+
		"  %s cluster status%s\n", c.Port, last, os.Args[0], at)
	if c.Nodes > 2 {
		fmt.Fprintf(w, "  kill -9 %d    # n1: the others go on, and one of them leads if it did\n",
			fleet.nodes[0].process())
	}
	fmt.Fprintf(w, "\nThe data stays in %s. Ctrl-C stops the nodes.\n\n", c.DataDir)
}

// devFleet is the nodes of a dev cluster. One goroutine uses it.
type devFleet struct {
	out     io.Writer
	nodes   []*devNode
	ended   chan *devNode // gets each node once, after its process has ended
	running int
	stopped bool // a signal was passed on
}

// start starts a node.
func (f *devFleet) start(n *devNode, log *lineWriter) error {
	if err := n.start(log, f.ended); err != nil {
		return fmt.Errorf("%s cannot be started: %w", n.name, err)
	}
	f.nodes = append(f.nodes, n)
	f.running++
	return nil
}

// readyPause is how long it waits until it looks again whether all serve.
const readyPause = 100 * time.Millisecond

// await waits until all nodes serve. One that ends before ends all.
func (f *devFleet) await(signals <-chan os.Signal) error {
	look := time.NewTicker(readyPause)
	defer look.Stop()
	for {
		select {
		case n := <-f.ended:
			f.running--
			f.stop(syscall.SIGTERM)
			f.drain(signals)
			return fmt.Errorf("%s has not started (%s): its last lines above say why. If a port is taken, give "+
				"another --port", n.name, n.state())
		case s := <-signals:
			f.stop(s)
			f.drain(signals)
			f.stopped = true
			return errors.New("stopped")
		case <-look.C:
			if f.ready() {
				return nil
			}
		}
	}
}

func (f *devFleet) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, n := range f.nodes {
		if !n.ready(ctx) {
			return false
		}
	}
	return true
}

// watch tells of nodes that end, until a signal ends all, or none is left.
func (f *devFleet) watch(signals <-chan os.Signal) error {
	for f.running > 0 {
		select {
		case n := <-f.ended:
			f.running--
			fmt.Fprintf(f.out, "\n%s has ended (%s). To start it again:\n\n  %s\n\n", n.name, n.state(), n.command())
		case s := <-signals:
			f.stop(s)
			return f.drain(signals)
		}
	}
	return errors.New("no node runs any more")
}

// stop passes a signal on.
func (f *devFleet) stop(s os.Signal) {
	for _, n := range f.nodes {
		_ = n.cmd.Process.Signal(s) // it may have ended
	}
}

// drain waits until all have ended, passing further signals on.
func (f *devFleet) drain(signals <-chan os.Signal) error {
	var failed error
	for f.running > 0 {
		select {
		case n := <-f.ended:
			f.running--
			if !n.cmd.ProcessState.Success() {
				failed = cmp.Or(failed, fmt.Errorf("%s has not stopped as it should (%s)", n.name, n.state()))
			}
		case s := <-signals:
			f.stop(s)
		}
	}
	return failed
}

// kill ends what still runs.
func (f *devFleet) kill() {
	for _, n := range f.nodes {
		_ = n.cmd.Process.Kill() // it may have ended
	}
	for ; f.running > 0; f.running-- {
		<-f.ended
	}
}
