//go:build !linux

package transport

import "net"

// tune does nothing where the send buffer's unsent part cannot be bounded.
func tune(net.Conn) {}
