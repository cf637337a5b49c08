package main

import "syscall"

// ofParent lets a process end when this one does, however that ends. It is in a group of its own: what is typed at the
// terminal reaches this process alone, which passes it on.
func ofParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
