//go:build !linux

package integration

import "syscall"

// withParent would let a process end with the test: only Linux can.
func withParent() *syscall.SysProcAttr { return nil }

// endWithParent: only Linux lets a process end with who has started it.
const endWithParent = false
