package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

type kvCommand struct {
	Get    kvGetCommand    `cmd:"" help:"Print the value of a key."`
	Put    kvPutCommand    `cmd:"" help:"Store a value."`
	Delete kvDeleteCommand `cmd:"" help:"Remove a key."`
	List   kvListCommand   `cmd:"" help:"Print keys in byte order."`
	CAS    kvCASCommand    `cmd:"" name:"cas" help:"Store a value only if the present one is as expected; print true or false."`
}

type kvGetCommand struct {
	Namespace string `arg:""`
	Key       string `arg:""`
	dialFlags
}

// Run prints a value as it is; on a terminal with a line break behind it, for the next prompt.
func (c *kvGetCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		reply, err := kv.GetKey(ctx, &primatomicv1.GetKeyRequest{
			Namespace: c.Namespace, KeyBytes: []byte(c.Key),
		})
		if err != nil {
			return err
		}
		if _, err = os.Stdout.Write(reply.GetValue()); err == nil && onTerminal(os.Stdout) {
			_, err = fmt.Println()
		}
		return err
	})
}

func onTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type kvPutCommand struct {
	Namespace string        `arg:""`
	Key       string        `arg:""`
	Value     string        `arg:"" help:"The value, or - to read it from standard input."`
	TTL       time.Duration `name:"ttl" help:"Let the key expire after this long."`
	dialFlags
}

// Run stores a value.
func (c *kvPutCommand) Run() error {
	value := []byte(c.Value)
	if c.Value == "-" {
		var err error
		if value, err = io.ReadAll(os.Stdin); err != nil {
			return err
		}
	}
	ttl := uint64(max(c.TTL, 0).Milliseconds())
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		_, err := kv.PutKey(ctx, &primatomicv1.PutKeyRequest{
			Namespace: c.Namespace, KeyBytes: []byte(c.Key), Value: value, TtlMs: &ttl,
		})
		return err
	})
}

type kvDeleteCommand struct {
	Namespace string `arg:""`
	Key       string `arg:""`
	dialFlags
}

// Run removes a key.
func (c *kvDeleteCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		_, err := kv.DeleteKey(ctx, &primatomicv1.DeleteKeyRequest{
			Namespace: c.Namespace, KeyBytes: []byte(c.Key),
		})
		return err
	})
}

type kvListCommand struct {
	Namespace string `arg:""`
	Prefix    string `arg:"" optional:"" help:"Only keys that begin with this."`
	Limit     uint64 `help:"Print this many keys at most; 0 for all."`
	dialFlags
}

// Run prints keys, one per line.
func (c *kvListCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		reply, err := kv.ListKeys(ctx, &primatomicv1.ListKeysRequest{
			Namespace: c.Namespace, PrefixBytes: []byte(c.Prefix), Limit: &c.Limit,
		})
		for _, key := range reply.GetKeysBytes() {
			fmt.Printf("%s\n", key)
		}
		if len(reply.GetKeysBytes()) == 0 { // keys is the whole answer
			for _, key := range reply.GetKeys() {
				fmt.Println(key)
			}
		}
		return err
	})
}

type kvCASCommand struct {
	Namespace string `arg:""`
	Key       string `arg:""`
	Expected  string `arg:"" help:"The value that must be there; empty for none."`
	New       string `arg:"" help:"The value to store."`
	dialFlags
}

// Run compares and swaps.
func (c *kvCASCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		reply, err := kv.CompareAndSwap(ctx, &primatomicv1.CompareAndSwapRequest{
			Namespace: c.Namespace, KeyBytes: []byte(c.Key),
			Expected: []byte(c.Expected), NewValue: []byte(c.New),
		})
		if err == nil {
			fmt.Println(reply.GetSwapped())
		}
		return err
	})
}
