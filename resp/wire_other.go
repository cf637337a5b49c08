//go:build !unix

package resp

// readNow leaves what has arrived to the next read that waits.
func readNow(uintptr, []byte) (int, error) { return 0, errWouldBlock }
