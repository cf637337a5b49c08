//go:build !linux

package server

// residentBytes returns how much memory the process holds, 0 if the system does not tell.
func residentBytes() int64 { return 0 }
