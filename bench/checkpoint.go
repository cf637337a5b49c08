package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// underCheckpoint measures the latency of SET at 50 connections with 1 M keys in store, with and without a
// checkpoint being written at the same time.
func underCheckpoint(o *options) error {
	// So small that filling makes the first checkpoint and the load below keeps making more.
	s := primatomic(o, "--checkpoint-after", "16MiB")
	if err := s.fresh(o); err != nil {
		return err
	}
	if _, err := s.start(); err != nil {
		return err
	}
	defer s.kill()
	if err := fill(s, o.keys); err != nil {
		return err
	}
	busy := func() bool { return len(unfinished(o)) > 0 }
	fmt.Printf("%-28s %10s %10s %10s %10s %10s\n",
		"SET, 50 connections", "calls", "p50 ms", "p99 ms", "p99.9 ms", "max ms")
	if err := phase(o, s, "no checkpoint", func() bool { return !busy() }); err != nil {
		return err
	}
	return phase(o, s, "while a checkpoint is written", busy)
}

// unfinished returns the files of a checkpoint that is being written.
func unfinished(o *options) []string {
	files, _ := filepath.Glob(filepath.Join(o.dir, "primatomic", "checkpoint", "*.tmp"))
	return files
}

const (
	phaseWait  = 3 * time.Minute // for the condition to come true
	phaseTime  = 10 * time.Second
	phaseCheck = 10 * time.Millisecond
)

// phase loads the server while the condition holds, ten seconds at most, and prints the latencies.
func phase(o *options, s *server, name string, holds func() bool) error {
	began := time.Now()
	if err := until(o, s, holds); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	began = time.Now()
	stop := make(chan struct{})
	go func() {
		for holds() && time.Since(began) < phaseTime {
			time.Sleep(phaseCheck)
		}
		close(stop)
	}()
	took, err := setLatencies(s, 50, o.keys, stop)
	if err != nil {
		return err
	}
	at := func(p int) float64 { return ms(percentile(took, p)) }
	fmt.Printf("%-28s %10d %10.2f %10.2f %10.2f %10.2f\n", name, len(took), at(500), at(990), at(999), at(1000))
	return nil
}

// until loads the server until the condition holds: checkpoints begin under load only.
func until(o *options, s *server, holds func() bool) error {
	began := time.Now()
	for !holds() {
		if time.Since(began) > phaseWait {
			return os.ErrDeadlineExceeded
		}
		if err := fill(s, o.keys/100); err != nil {
			return err
		}
	}
	return nil
}
