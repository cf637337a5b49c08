package integration

import "syscall"

// withParent lets a process end with the test, however that ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// endWithParent: what this system starts can end with who has started it.
const endWithParent = true
