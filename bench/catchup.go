package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// catchUp measures how long a follower takes that comes back when the leader's log no longer reaches back to where
// it was: it needs a checkpoint.
func catchUp(o *options) error {
	after := max(1<<20, int64(o.keys)*4) // so that filling makes several checkpoints
	t, err := startTrio(o, primatomicKind{o.binary, []string{"--checkpoint-after", strconv.FormatInt(after, 10)}})
	if err != nil {
		return err
	}
	defer t.kill()
	leader, err := t.leader()
	if err != nil {
		return err
	}
	away := t.follower(leader)
	was, err := raftFigure(away, "raft_last_index")
	if err != nil {
		return err
	}
	if err := away.end(syscall.SIGTERM); err != nil {
		return err
	}
	if err := t.fill(context.Background(), leader, o.keys); err != nil {
		return err
	}
	filled, err := raftFigure(leader, "raft_last_index")
	if err != nil {
		return err
	}
	if err := outrun(leader, was, filled); err != nil {
		return err
	}
	goal, err := raftFigure(leader, "raft_applied_index")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := t.start(away); err != nil {
		return err
	}
	err = within(settleTimeout+time.Duration(o.keys)*catchUpPerKey, "the follower", func() bool {
		applied, err := raftFigure(away, "raft_applied_index")
		return err == nil && applied >= goal
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	checkpoint, err := infoFigure(leader, "persistence", "checkpoint_bytes")
	if err != nil {
		return err
	}
	o.report.note("catch-up: a follower is away while %d keys of 16 + %d bytes are written and the log is cut behind "+
		"them; from the start of its process until it has applied what the leader had", o.keys, valueBytes)
	o.report.table("catchup", "keys", "checkpoint MB", "seconds").row(o.keys, float64(checkpoint)/1e6, took.Seconds())
	return nil
}

// catchUpPerKey is how long a key may take, far more than it does.
const catchUpPerKey = 500 * time.Microsecond

const (
	ballastBytes = 1 << 20
	ballastCount = 16  // in a pipeline
	outrunMax    = 128 // pipelines
)

// outrun has the leader write until its log begins behind one index and its newest checkpoint has what was before
// the other. What it writes is one key again and again, so the data stays what it was.
func outrun(leader *node, away, filled uint64) error {
	client := redis.NewClient(&redis.Options{Addr: leader.addr, ReadTimeout: time.Minute})
	defer client.Close()
	ctx, value := context.Background(), make([]byte, ballastBytes)
	for range outrunMax {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for range ballastCount {
				p.Set(ctx, "ballast", value, 0)
			}
			p.Del(ctx, "ballast")
			return nil
		})
		if err != nil {
			return fmt.Errorf("write to the leader: %w", err)
		}
		first, err := raftFigure(leader, "raft_first_index")
		if err != nil {
			return err
		}
		checkpoint, err := infoFigure(leader, "persistence", "checkpoint_index")
		if err != nil || first > away+1 && checkpoint >= filled {
			return err
		}
	}
	return fmt.Errorf("the leader's log is not cut behind entry %d, with a checkpoint of entry %d, after %d MiB",
		away, filled, outrunMax*ballastCount*ballastBytes>>20)
}

// raftFigure reads a number of INFO raft.
func raftFigure(n *node, field string) (uint64, error) { return infoFigure(n, "raft", field) }

// infoFigure reads a number of INFO.
func infoFigure(n *node, section, field string) (uint64, error) {
	client := redis.NewClient(&redis.Options{Addr: n.addr, MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	text, err := client.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("INFO %s of %s has no %s", section, n.name, field)
}
