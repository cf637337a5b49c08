package main

import (
	"encoding/csv"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// figure is what redis-benchmark says of one command.
type figure struct {
	perSecond float64
	p50, p99  float64 // ms
}

const (
	connections = 50
	keySpace    = 100_000
)

// throughput measures SET and GET at 50 connections, values of 64 bytes, 100 000 keys, pipelines of 1 and 16.
func throughput(o *options) error {
	fmt.Println("50 connections, 64-byte values, 100 000 keys; medians of rounds; ratio = primatomic / redis")
	fmt.Println()
	fmt.Printf("%-6s %-9s %12s %12s %7s %10s %10s %10s %10s\n", "", "pipeline",
		"primatomic/s", "redis/s", "ratio", "p50 ms", "redis p50", "p99 ms", "redis p99")
	servers := []*server{primatomic(o), redisServer(o)}
	for _, s := range servers {
		if err := s.fresh(o); err != nil {
			return err
		}
		if _, err := s.start(); err != nil {
			return err
		}
		defer s.kill()
	}
	for _, pipeline := range []int{1, 16} {
		for _, test := range []string{"set", "get"} {
			if err := compare(o, servers, test, pipeline); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare measures one command on both servers, round by round in turn.
func compare(o *options, servers []*server, test string, pipeline int) error {
	var figures [2][]figure
	for range o.rounds {
		for i, s := range servers {
			f, err := benchmark(s, load{test, pipeline, connections, o.requests})
			if err != nil {
				return err
			}
			figures[i] = append(figures[i], f)
		}
	}
	ours, theirs := median(figures[0]), median(figures[1])
	fmt.Printf("%-6s %-9d %12.0f %12.0f %7.2f %10.3f %10.3f %10.3f %10.3f\n", strings.ToUpper(test), pipeline,
		ours.perSecond, theirs.perSecond, ours.perSecond/theirs.perSecond,
		ours.p50, theirs.p50, ours.p99, theirs.p99)
	return nil
}

// load is what redis-benchmark is to do.
type load struct {
	test                  string // set or get
	pipeline, connections int
	requests              int // pipelines, that is
}

func benchmark(s *server, l load) (figure, error) {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return figure{}, err
	}
	out, err := exec.Command("redis-benchmark", "-h", host, "-p", port, "-c", strconv.Itoa(l.connections),
		"-d", strconv.Itoa(valueBytes), "-r", strconv.Itoa(keySpace), "-n", strconv.Itoa(l.requests*l.pipeline),
		"-P", strconv.Itoa(l.pipeline), "-t", l.test, "--csv").Output()
	if err != nil {
		return figure{}, fmt.Errorf("redis-benchmark: %w", err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) < 8 {
		return figure{}, fmt.Errorf("redis-benchmark printed %q: %w", out, err)
	}
	var f figure
	for column, to := range map[int]*float64{1: &f.perSecond, 4: &f.p50, 6: &f.p99} {
		if *to, err = strconv.ParseFloat(rows[1][column], 64); err != nil {
			return figure{}, err
		}
	}
	return f, nil
}

// median returns the figure whose rate is the median.
func median(figures []figure) figure {
	sorted := slices.SortedFunc(slices.Values(figures), func(a, b figure) int {
		return int(a.perSecond - b.perSecond)
	})
	return sorted[len(sorted)/2]
}
