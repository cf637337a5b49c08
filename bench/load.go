package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	fillPipeline = 500
	valueBytes   = 64
)

func keyName(i int) string { return fmt.Sprintf("key:%012d", i) }

// fill writes keys of 16 bytes with values of 64.
func fill(s *server, keys int) error {
	client := redis.NewClient(&redis.Options{Addr: s.addr, ReadTimeout: time.Minute})
	defer client.Close()
	ctx, value := context.Background(), make([]byte, valueBytes)
	for first := 0; first < keys; first += fillPipeline {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := first; i < min(first+fillPipeline, keys); i++ {
				p.Set(ctx, keyName(i), value, 0)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("fill %s: %w", s.name, err)
		}
	}
	return nil
}

// setLatencies has clients send SETs to random keys until stop is closed, and returns how long each took.
func setLatencies(s *server, clients, keys int, stop <-chan struct{}) ([]time.Duration, error) {
	client := redis.NewClient(&redis.Options{Addr: s.addr, PoolSize: clients})
	defer client.Close()
	var (
		mu     sync.Mutex
		all    []time.Duration
		failed error
		work   sync.WaitGroup
	)
	for range clients {
		work.Go(func() {
			took, err := setUntil(client, keys, stop)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if failed == nil {
				failed = err
			}
		})
	}
	work.Wait()
	slices.Sort(all)
	return all, failed
}

func setUntil(client *redis.Client, keys int, stop <-chan struct{}) ([]time.Duration, error) {
	var took []time.Duration
	ctx, value := context.Background(), make([]byte, valueBytes)
	for {
		select {
		case <-stop:
			return took, nil
		default:
		}
		began := time.Now()
		if err := client.Set(ctx, keyName(rand.IntN(keys)), value, 0).Err(); err != nil {
			return took, err
		}
		took = append(took, time.Since(began))
	}
}

// percentile returns the p-th of a thousand of sorted latencies.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/1000)]
}
