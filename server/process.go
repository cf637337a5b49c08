package server

import (
	"fmt"
	"math"
	"syscall"
	"time"

	"github.com/primatomic/primatomic/command"
)

// cpuInfo is the section CPU of INFO.
func cpuInfo() []command.InfoField {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return nil
	}
	seconds := func(t syscall.Timeval) string {
		return fmt.Sprintf("%.6f", time.Duration(t.Nano()).Seconds())
	}
	return fields("used_cpu_sys", seconds(usage.Stime), "used_cpu_user", seconds(usage.Utime))
}

// human writes a size as Redis does in the fields that end in _human.
func human(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%dB", n)
	case n < 1<<20:
		return fmt.Sprintf("%.2fK", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.2fM", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2fG", float64(n)/(1<<30))
}

// filesMax returns how many files the process may have open at one time.
func filesMax() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return limit.Cur
}

// filesReserved is for everything but clients: the log, checkpoints, listeners, probes.
const filesReserved = 64 + probesMax

// connectionsThatFit returns how many connections each of the two doors may have, at least one.
func connectionsThatFit(files uint64) int {
	spare := int(min(files, math.MaxInt32)) - filesReserved
	return max(1, spare/2)
}
