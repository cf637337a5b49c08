// Command bench measures this store beside its peers, on one machine and in one run: the same load generator,
// the servers in turn, several rounds, medians.
//
//	bench          one node beside redis-server with appendonly yes and appendfsync always
//	bench cluster  three nodes beside that redis-server and three nodes of etcd
//
// What it says of a machine holds for that machine in that hour: read the ratios, not the absolute figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

type options struct {
	binary   string
	dir      string
	rounds   int
	requests int
	keys     int
	only     string
	out      io.Writer // for people

	// Of the cluster alone.
	callTime time.Duration // of each measurement over gRPC
	turns    int           // of each disturbance
	report   *report
}

// part is one chapter of a programme.
type part struct {
	name string
	run  func(*options) error
}

// silent keeps go-redis from logging that a server which was killed cannot be reached.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silent{}) }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "cluster" {
		return runCluster(args[1:])
	}
	o := options{out: os.Stdout}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	o.register(flags, "throughput, restart, checkpoint")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Printf("# %s\n", machine())
	return o.inDirectory([]part{
		{"throughput", throughput}, {"restart", restart}, {"checkpoint", underCheckpoint},
	})
}

// register declares the flags that both programmes have.
func (o *options) register(flags *flag.FlagSet, parts string) {
	flags.StringVar(&o.binary, "bin", "bin/primatomic", "binary to measure")
	flags.StringVar(&o.dir, "dir", "", "directory for the servers' data; a temporary one if empty")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement; the median is printed")
	flags.IntVar(&o.requests, "requests", 100_000, "requests of each measurement with redis-benchmark")
	flags.IntVar(&o.keys, "keys", 1_000_000, "keys for what depends on how many there are")
	flags.StringVar(&o.only, "only", "", "one of "+parts+"; all if empty")
}

// inDirectory runs the parts that are wanted with a directory for data.
func (o *options) inDirectory(parts []part) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "primatomic-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	known := o.only == ""
	for _, part := range parts {
		if o.only != "" && o.only != part.name {
			continue
		}
		known = true
		fmt.Fprintf(o.out, "\n## %s\n\n", part.name)
		began := time.Now()
		if err := part.run(o); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Fprintf(o.out, "\n(%s)\n", time.Since(began).Round(time.Second))
	}
	if !known {
		return fmt.Errorf("there is no part %q", o.only)
	}
	return nil
}
