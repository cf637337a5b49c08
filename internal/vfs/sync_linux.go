package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync leaves out the times of the file, which cost a journal commit and which nothing needs.
func dataSync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) {
		for syncErr = unix.EINTR; syncErr == unix.EINTR; {
			syncErr = unix.Fdatasync(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return syncErr
}
