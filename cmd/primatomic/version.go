package main

import (
	"fmt"
	"runtime"

	"github.com/primatomic/primatomic/server"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Printf("primatomic %s (%s, %s/%s)\n", server.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
