// Command bench measures this store beside redis-server with appendonly yes and appendfsync always, on one
// machine and in one run: the same load generator (redis-benchmark), the two servers in turn, several rounds,
// medians. Run it with `make bench`.
//
// What it says of a machine holds for that machine in that hour: read the ratios, not the absolute figures.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

type options struct {
	binary   string
	dir      string
	rounds   int
	requests int
	keys     int
	only     string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "bin", "bin/primatomic", "binary to measure")
	flag.StringVar(&o.dir, "dir", "", "directory for the servers' data; a temporary one if empty")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each measurement; the median is printed")
	flag.IntVar(&o.requests, "requests", 100_000, "requests of each throughput measurement")
	flag.IntVar(&o.keys, "keys", 1_000_000, "keys for restart time and memory")
	flag.StringVar(&o.only, "only", "", "one of throughput, restart, checkpoint; all if empty")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "primatomic-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	fmt.Printf("# %s\n", machine())
	parts := []struct {
		name string
		run  func(*options) error
	}{
		{"throughput", throughput}, {"restart", restart}, {"checkpoint", underCheckpoint},
	}
	for _, part := range parts {
		if o.only != "" && o.only != part.name {
			continue
		}
		fmt.Printf("\n## %s\n\n", part.name)
		began := time.Now()
		if err := part.run(o); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Printf("\n(%s)\n", time.Since(began).Round(time.Second))
	}
	return nil
}
