//go:build unix && !linux

package vfs

import "os"

// dataSync is a full sync: on Darwin only F_FULLFSYNC, which os.File.Sync issues, reaches the disk.
func dataSync(f *os.File) error { return f.Sync() }
