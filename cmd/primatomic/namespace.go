package main

import (
	"context"
	"fmt"

	primatomicv1 "github.com/primatomic/primatomic/proto/primatomic/v1"
)

type namespaceCommand struct {
	Create namespaceCreateCommand `cmd:"" help:"Create a namespace; if it is yours already, do nothing."`
	List   namespaceListCommand   `cmd:"" help:"List your namespaces."`
	Drop   namespaceDropCommand   `cmd:"" help:"Remove a namespace and all keys in it."`
}

type namespaceCreateCommand struct {
	Name string `arg:"" help:"1 to 128 bytes of [A-Za-z0-9._:-]."`
	dialFlags
}

// Run creates a namespace.
func (c *namespaceCreateCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		_, err := kv.CreateNamespace(ctx, &primatomicv1.CreateNamespaceRequest{Namespace: c.Name})
		return err
	})
}

type namespaceListCommand struct{ dialFlags }

// Run lists the caller's namespaces.
func (c *namespaceListCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		list, err := kv.ListNamespaces(ctx, &primatomicv1.ListNamespacesRequest{})
		for _, n := range list.GetNamespaces() {
			fmt.Println(n)
		}
		return err
	})
}

type namespaceDropCommand struct {
	Name string `arg:"" help:"Name of the namespace."`
	dialFlags
}

// Run drops a namespace.
func (c *namespaceDropCommand) Run() error {
	return c.call(func(ctx context.Context, kv primatomicv1.KeyValueClient) error {
		_, err := kv.DropNamespace(ctx, &primatomicv1.DropNamespaceRequest{Namespace: c.Name})
		return err
	})
}
