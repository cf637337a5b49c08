//go:build !linux

package main

import "syscall"

// ofParent puts a process into a group of its own: what is typed at the terminal reaches this process alone, which
// passes it on.
func ofParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
