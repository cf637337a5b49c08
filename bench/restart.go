package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// restart measures, with 1 M keys of 16 + 64 bytes: memory held after filling, the time from start to the first
// answer after kill -9 (everything comes from the log) and after a clean stop (from the checkpoint).
func restart(o *options) error {
	fmt.Printf("%d keys of 16 + 64 bytes\n\n", o.keys)
	fmt.Printf("%-11s %14s %18s %22s %22s\n", "", "resident MB", "resident MB again",
		"start after kill -9 s", "start after SIGTERM s")
	for _, s := range []*server{primatomic(o), redisServer(o)} {
		if err := restartOne(o, s); err != nil {
			return err
		}
	}
	return nil
}

func restartOne(o *options, s *server) error {
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
	filled, err := s.resident()
	if err != nil {
		return err
	}
	killed, err := startAgain(s, syscall.SIGKILL)
	if err != nil {
		return err
	}
	stopped, err := startAgain(s, syscall.SIGTERM)
	if err != nil {
		return err
	}
	again, err := s.resident()
	if err != nil {
		return err
	}
	fmt.Printf("%-11s %14.0f %18.0f %22.2f %22.2f\n", s.name, float64(filled)/1e6, float64(again)/1e6,
		killed.Seconds(), stopped.Seconds())
	return nil
}

func startAgain(s *server, signal os.Signal) (time.Duration, error) {
	if err := s.end(signal); err != nil {
		return 0, err
	}
	return s.start()
}
